import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { environmentsConformance } from '../../../ports/conformance/environments.ts'
import { findInterpreters } from './interpreters.ts'
import { runTool } from './run-tool.ts'
import { UvEnvironments, type UvOptions } from './uv-environments.ts'
import { uvInstallation } from './uv-installation.ts'

const passEnv = Object.fromEntries(
  Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && /^(PATH|HOME|LANG|PIP_|UV_|SSL_|REQUESTS_|.*_proxy$)/i.test(entry[0]),
  ),
)
// One uv for all of this file: what is tested is the environments.
const shared = mkdtempSync(join(tmpdir(), 'modelwright-uv-'))
const uvCacheDir = join(shared, 'cache')
afterAll(() => rmSync(shared, { recursive: true, force: true }))

environmentsConformance('environments/uv', async () => {
  const options: UvOptions = { dataDir: join(shared, 'uv'), uvCacheDir, passEnv }
  return { environments: () => new UvEnvironments(options), cleanup: async () => undefined }
})

describe('the uv environments', () => {
  const dataDir = join(shared, 'uv')

  it('builds anew what a killed process left half built', async () => {
    const environments = new UvEnvironments({ dataDir, uvCacheDir, passEnv })
    const lock = await environments.resolve({ requirements: 'six==1.14.0\niniconfig' }, () => undefined)
    const program = join(shared, 'builder.ts')
    const adapter = fileURLToPath(new URL('./uv-environments.ts', import.meta.url))
    writeFileSync(
      program,
      `import { UvEnvironments } from ${JSON.stringify(adapter)}
       const environments = new UvEnvironments(${JSON.stringify({ dataDir, uvCacheDir, passEnv })})
       environments.ensure(${JSON.stringify(lock)}, () => undefined)
       setTimeout(() => console.log('begun'), 60)`,
    )
    const builder = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((done) => builder.stdout.once('data', done))
    const gone = new Promise((done) => builder.once('exit', done))
    builder.kill('SIGKILL')
    await gone
    const environment = await environments.ensure(lock, () => undefined)
    const digits = lock.digest.slice(7, 19)
    const folders = readdirSync(join(dataDir, 'envs')).filter((name) => name.startsWith(`${digits}-`))
    expect(folders).toContain(environment.binPath.split('/').at(-2))
  })

  it('locks the dependencies of a pyproject.toml, and not the project that it describes', async () => {
    const environments = new UvEnvironments({ dataDir, uvCacheDir, passEnv })
    const requirements = '[project]\nname = "churn"\nversion = "1"\ndependencies = [\n  "six==1.14.0",\n]\n'
    const lock = await environments.resolve({ requirements }, () => undefined)
    const plain = await environments.resolve({ requirements: 'six==1.14.0' }, () => undefined)
    expect(lock).toEqual(plain)
  })

  it('takes a uv.lock as it stands, without the project itself and its tools for developing', async () => {
    const environments = new UvEnvironments({ dataDir, uvCacheDir, passEnv })
    const requirements =
      '[project]\nname = "churn"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["six"]\n[dependency-groups]\ndev = ["iniconfig"]\n'
    const project = join(shared, 'project')
    mkdirSync(project)
    writeFileSync(join(project, 'pyproject.toml'), requirements.replace('"six"', '"six==1.15.0"'))
    const uv = await uvInstallation({
      toolsDir: join(dataDir, 'tools'),
      python: (await findInterpreters(passEnv))[0]!.path,
      env: passEnv,
      onLine: () => undefined,
    })
    execFileSync(uv!, ['lock', '--quiet'], { cwd: project, env: { ...passEnv, UV_CACHE_DIR: uvCacheDir } })
    const uvLock = readFileSync(join(project, 'uv.lock'), 'utf8')
    const lock = await environments.resolve({ requirements, uvLock }, () => undefined)
    expect(lock.requirements).toMatch(/^six==1\.15\.0 \\\n( {4}--hash=sha256:[0-9a-f]{64}( \\)?\n)+$/)
  })

  it('locks what projects that are installed in place depend on, within the constraints', async () => {
    const environments = new UvEnvironments({ dataDir, uvCacheDir, passEnv })
    const projects = ['[project]\nname = "churn"\nversion = "1"\ndependencies = ["six"]\n']
    const lock = await environments.resolve(
      { requirements: 'iniconfig==2.0.0', projects, constraints: 'six<1.16' },
      () => undefined,
    )
    expect(lock.requirements.match(/^[a-z]+==\S+/gm)).toEqual(['iniconfig==2.0.0', 'six==1.15.0'])
  })

  it('ends what a build has started when it is cancelled', async () => {
    const stop = new AbortController()
    const marker = `modelwright-child-${process.pid}`
    const running = runTool({
      command: '/bin/sh',
      args: ['-c', `sh -c 'echo up >&2; sleep 600; : ${marker}' & wait`],
      cwd: '/',
      env: passEnv,
      onLine: () => stop.abort(new Error('enough')),
      signal: stop.signal,
    })
    await expect(running).rejects.toThrow('enough')
    const alive = () => spawnSync('pgrep', ['-f', marker], { encoding: 'utf8' }).stdout.trim()
    await vi.waitFor(() => expect(alive()).toBe(''), 60_000)
  })

  it('keeps environments apart by Python version where the machine has several', async () => {
    const environments = new UvEnvironments({ dataDir, uvCacheDir, passEnv, pythonCandidates: ['python3'] })
    const lock = await environments.resolve({ requirements: '' }, () => undefined)
    const [major, minor] = lock.pythonVersion.split('.')
    const exact = await environments.resolve(
      { pythonVersion: `~= ${major}.${minor}.0`, requirements: '' },
      () => undefined,
    )
    expect(exact.digest).toBe(lock.digest)
  })

  it('resolves and builds with venv and pip where there is no uv', async () => {
    const environments = new UvEnvironments({ dataDir: join(shared, 'pip'), passEnv, installer: 'pip' })
    const lock = await environments.resolve({ requirements: 'six<1.17' }, () => undefined)
    expect(lock.requirements).toMatch(/^six==1\.16\.0 \\\n {4}--hash=sha256:[0-9a-f]{64}\n$/)
    const { pythonPath } = await environments.ensure(lock, () => undefined)
    expect(execFileSync(pythonPath, ['-c', 'import six; print(six.__version__)'], { encoding: 'utf8' })).toBe(
      '1.16.0\n',
    )
  })

  it('says why uv cannot be had, and goes on without it', async () => {
    const lines: string[] = []
    const env = { ...passEnv, PATH: '/usr/bin:/bin', PIP_NO_INDEX: '1', PIP_FIND_LINKS: '' }
    const python = (await findInterpreters(passEnv))[0]!.path
    const where = { toolsDir: join(shared, 'none'), python, env, onLine: (line: string) => lines.push(line) }
    expect(await uvInstallation(where)).toBeUndefined()
    expect(lines.at(-1)).toMatch(/^uv cannot be had \(.*uv.*\); going on with venv and pip/)
    expect(readdirSync(where.toolsDir)).toEqual([])
  })
})
