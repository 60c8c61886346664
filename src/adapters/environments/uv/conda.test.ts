import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { standInConda } from './testing/stand-in-conda.ts'
import { UvEnvironments } from './uv-environments.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-conda-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { bin, noarch, calls } = standInConda(folder)
const path = process.env.PATH ?? '/usr/bin:/bin'
const environments = new UvEnvironments({
  dataDir: join(folder, 'data'),
  passEnv: { PATH: `${bin}:${path}`, HOME: folder },
})
const quiet = () => undefined
const file = (numpy = '1.26.4', more = '') =>
  `name: mine\nchannels: [lab, nodefaults]\ndependencies:\n  - python=3.11.9\n  - numpy=${numpy}\n${more}`
const locked = (conda: string) => environments.resolve({ requirements: '', conda }, quiet)

describe('environments of conda', () => {
  it('are locked to the very files that the solver chose, with their hashes', async () => {
    const lock = await locked(file())
    const line = (name: string, version: string) => {
      const hash = (kind: string) => createHash(kind).update(`${name}-${version}`).digest('hex')
      const url = pathToFileURL(join(noarch, `${name}-${version}-0.conda`)).href
      return `${name}==${version} --hash=sha256:${hash('sha256')} --md5=${hash('md5')} --conda=${url}\n`
    }
    expect(lock.pythonVersion).toBe('3.11.9')
    expect(lock.requirements).toBe(line('_mutex', '1') + line('numpy', '1.26.4') + line('python', '3.11.9'))
    expect(await locked(file())).toEqual(lock)
    expect((await locked(file('2.0.0'))).digest).not.toBe(lock.digest)
    expect(readFileSync(calls, 'utf8')).toContain('--override-channels -c lab python=3.11.9')
  })

  it('are built once from the lock alone, told of as they are, and removed when nobody wants them', async () => {
    const lock = await locked(file())
    const lines: string[] = []
    const [one, two] = await Promise.all([
      environments.ensure(lock, (line) => lines.push(line)),
      environments.ensure(lock, quiet),
    ])
    expect(one).toEqual(two)
    expect(lines.filter((text) => text.startsWith('Linking'))).toHaveLength(3)
    expect(execFileSync(one.pythonPath, ['-c', 'print(1)'], { encoding: 'utf8' })).toBe('1\n')
    expect(await environments.find(lock.digest)).toEqual(one)
    const removed = await environments.removeUnused(Date.now() + 60_000)
    expect(removed).toMatchObject([{ digest: lock.digest, pythonVersion: '3.11.9' }])
    expect(await environments.find(lock.digest)).toBeUndefined()
  })

  it('are not built of a file that became another one', async () => {
    const lock = await locked(file('2.0.0'))
    writeFileSync(join(noarch, 'numpy-2.0.0-0.conda'), 'tampered')
    await expect(environments.ensure(lock, quiet)).rejects.toMatchObject({
      code: 'EnvironmentFailed',
      message: expect.stringContaining('has another hash'),
    })
    expect(await environments.find(lock.digest)).toBeUndefined()
  })

  it.each([
    ['what cannot be solved', file('9.9.9'), 'EnvironmentFailed', 'nothing provides numpy=9.9.9'],
    ['packages of pip', file('1.26.4', '  - pip: [six]\n'), 'NotYetSupported', 'packages of pip'],
    ['a file without Python', 'dependencies: [numpy=1.26.4]', 'EnvironmentFailed', 'leads to no Python'],
    ['what is no conda file', 'six==1.16.0', 'EnvironmentFailed', 'no list of dependencies'],
    ['an option in the place of a package', 'dependencies: ["--prefix=/"]', 'EnvironmentFailed', 'is no conda package'],
    [
      'a channel with a token',
      'channels: ["https://h/t/x1/c"]\ndependencies: [python]',
      'EnvironmentFailed',
      'a token',
    ],
    [
      'a channel with a password',
      'channels: ["https://a:b@h/c"]\ndependencies: [python]',
      'EnvironmentFailed',
      'a token',
    ],
  ])('are refused for %s', async (_, conda, code, words) => {
    await expect(locked(conda)).rejects.toMatchObject({ code, message: expect.stringContaining(words) })
  })

  it('say what to install where the server has none of the programs', async () => {
    const without = new UvEnvironments({ dataDir: join(folder, 'none'), passEnv: { PATH: join(folder, 'nowhere') } })
    await expect(without.resolve({ requirements: '', conda: file() }, quiet)).rejects.toMatchObject({
      code: 'EnvironmentFailed',
      next: expect.stringContaining('Install micromamba'),
    })
  })
})
