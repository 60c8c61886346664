import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pc from 'picocolors'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { init } from '../../src/cli/init.ts'
import { createClient } from '../../src/kernel/client.ts'
import { commit, git, gitEnvironment, makeWorkingCopy, type Remote, startRemote } from './remote.ts'

let server: Remote
let dataDir: string
let binPath: string
const folders: string[] = []

beforeEach(async () => {
  server = await startRemote()
  dataDir = await realpath(await mkdtemp(join(tmpdir(), "modelwright data 'quoted' ")))
  folders.push(dataDir)
  await mkdir(join(dataDir, 'keys'))
  await writeFile(join(dataDir, 'keys', 'owner.token'), 'ann-token\n')
  binPath = join(dataDir, 'helper.ts')
  const helper = pathToFileURL(join(import.meta.dirname, '../../src/cli/git-credential.ts'))
  await writeFile(
    binPath,
    `import { readFileSync } from 'node:fs'
import { gitCredential } from '${helper}'
const [, , name, , dataDir, , server, operation] = process.argv
if (name !== 'git-credential') throw new Error(process.argv.join(' '))
const io = { out: (text) => process.stdout.write(text), err: (text) => process.stderr.write(text) }
await gitCredential(operation, { dataDir, server, input: readFileSync(0, 'utf8') }, io)
`,
  )
})

afterEach(async () => {
  await server.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function run(cwd: string, options: { json?: boolean; url?: string; dataDir?: string } = {}) {
  const said = { out: '', err: '' }
  const url = options.url ?? server.url
  const code = await init(
    {
      cwd,
      env: gitEnvironment(),
      server: url,
      client: createClient({ baseUrl: url, token: 'ann-token' }),
      dataDir: options.dataDir ?? dataDir,
      nodePath: process.execPath,
      binPath,
    },
    {
      out: (text) => {
        said.out += text
      },
      err: (text) => {
        said.err += text
      },
      isTty: false,
      color: pc.createColors(false),
      json: options.json ?? false,
    },
  )
  return { code, ...said }
}

async function copyOf(files: Record<string, string>): Promise<string> {
  const folder = await realpath(await makeWorkingCopy(files))
  folders.push(folder)
  return folder
}

const trainScript = `import csv, pickle
rows = list(csv.reader(open('data/rows.csv')))
pickle.dump(len(rows), open('model.pkl', 'wb'))
`

describe('modelwright init', () => {
  it('writes a file that the push then accepts, with no secret in .git/config and no question asked', async () => {
    const copy = await copyOf({ 'train.py': trainScript, 'requirements.txt': '', 'data/rows.csv': 'id,x\n1,2\n' })
    const said = await run(copy)
    expect(said.code).toBe(0)
    expect(said.out).toMatch(/found .*train\.py/)
    expect(said.out).toContain('guessed')
    expect(said.out).toContain('git push modelwright main')
    expect(await readFile(join(copy, 'modelwright.yaml'), 'utf8')).toContain('train.py')
    expect(await readFile(join(copy, '.git/config'), 'utf8')).not.toContain('ann-token')
    const head = await commit(copy, {})
    const pushed = await git(copy, 'push', 'modelwright', 'main')
    expect(pushed).toMatchObject({ code: 0 })
    expect(pushed.output).toContain(`remote: planned ${head.slice(0, 7)}`)
    expect((await server.moves())[0]).toMatchObject({ to: head, actor: 'ann' })
  })

  it('run again keeps the file and says so; a broken file is named with its place', async () => {
    const copy = await copyOf({ 'train.py': trainScript })
    await run(copy)
    const text = `${await readFile(join(copy, 'modelwright.yaml'), 'utf8')}# mine\n`
    await writeFile(join(copy, 'modelwright.yaml'), text)
    const again = await run(copy)
    expect(again.out).toContain('kept as it is')
    expect(again.out).toContain('knew the project')
    expect(await readFile(join(copy, 'modelwright.yaml'), 'utf8')).toBe(text)
    const helpers = await git(copy, 'config', '--get-all', `credential.${server.url}.helper`)
    expect(helpers.output.trim().split('\n')).toHaveLength(1)
    await writeFile(join(copy, 'modelwright.yaml'), 'project: x\nstepz: {}\n')
    await expect(run(copy)).rejects.toMatchObject({ code: 'ConfigInvalid', place: { line: 2 } })
  })

  it('in a subfolder writes at the root of the repository', async () => {
    const copy = await copyOf({ 'src/train.py': trainScript })
    expect((await run(join(copy, 'src'))).out).toContain(`wrote ${join(copy, 'modelwright.yaml')}`)
  })

  it('makes a plain folder a repository, and never follows a link out of it', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'modelwright-plain-')))
    folders.push(folder)
    await writeFile(join(dataDir, 'outside.py'), 'secret = 1\n')
    await symlink(join(dataDir, 'outside.py'), join(folder, 'train.py'))
    const said = await run(folder)
    expect(said.out).toContain(`made ${folder} a Git repository`)
    expect(said.code).toBe(0)
    expect((await git(folder, 'symbolic-ref', 'HEAD')).output.trim()).toBe('refs/heads/main')
  })

  it('takes the branch that is checked out, where that is not main, for the authoritative one', async () => {
    const copy = await copyOf({ 'train.py': trainScript })
    await git(copy, 'checkout', '-q', '-b', 'trunk')
    const said = await run(copy, { json: true })
    expect(JSON.parse(said.out)).toMatchObject({ branch: 'trunk', connected: true, written: true })
    const { project } = JSON.parse(said.out) as { project: string }
    expect(await server.projects.get(project)).toMatchObject({ branch: 'trunk' })
    await commit(copy, {})
    expect(await git(copy, 'push', 'modelwright', 'trunk')).toMatchObject({ code: 0 })
    expect(await server.projects.desiredHead(project)).toBeDefined()
  })

  it('without a server writes the file, says that connecting waits, and how', async () => {
    const copy = await copyOf({ 'train.py': trainScript })
    const said = await run(copy, { url: 'http://127.0.0.1:9' })
    expect(said.code).toBe(1)
    expect(said.out).toContain('modelwright up')
    expect(await readFile(join(copy, 'modelwright.yaml'), 'utf8')).toContain('project:')
    expect((await git(copy, 'remote')).output).toBe('')
  })

  it('keeps a data folder in the repository out of `git add .`', async () => {
    const copy = await copyOf({ 'train.py': trainScript })
    const inside = join(copy, '.modelwright')
    await mkdir(join(inside, 'keys'), { recursive: true })
    await writeFile(join(inside, 'keys', 'owner.token'), 'ann-token\n')
    await run(copy, { dataDir: inside })
    await run(copy, { dataDir: inside })
    await git(copy, 'add', '-A')
    expect((await git(copy, 'ls-files')).output).not.toContain('.modelwright/')
  })
})
