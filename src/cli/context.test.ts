import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pc from 'picocolors'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDataFolder } from '../compose/data-folder.ts'
import { rememberDataFolder } from '../compose/data-folders.ts'
import { writeFacts } from '../compose/members.ts'
import { createContext, type GlobalOptions } from './context.ts'

let root: string
const base = { PATH: process.env.PATH, HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' }
const io = { out: () => {}, err: () => {}, isTty: false, color: pc.createColors(false), json: false }
const context = (options: GlobalOptions = {}, env: NodeJS.ProcessEnv = {}, cwd = root) =>
  createContext({ io, env: { ...base, ...env }, cwd, options })
const git = (...args: string[]) => execFileSync('git', args, { cwd: root, env: base })

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'modelwright-context-')))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** As `modelwright init` leaves it, with a data folder whose path the shell would cut in two. */
function connected(): string {
  const dataDir = join(root, "the data's")
  mkdirSync(join(dataDir, 'keys'), { recursive: true })
  writeFileSync(join(dataDir, 'keys', 'owner.token'), 'secret\n')
  git('init', '-q')
  git('remote', 'add', 'modelwright', 'http://models.test:5000/git/tumour.git')
  const quoted = `'${dataDir.replaceAll("'", "'\\''")}'`
  git(
    ...['config', 'credential.http://models.test:5000.helper'],
    `!node main.ts git-credential --data ${quoted} --server http://models.test:5000`,
  )
  return dataDir
}

describe('where a command looks', () => {
  it('takes data folder, server and project from the connected repository, from any folder below', async () => {
    const dataDir = connected()
    mkdirSync(join(root, 'src', 'deep'), { recursive: true })
    const here = context({}, {}, join(root, 'src', 'deep'))
    expect(await here.dataDir()).toBe(dataDir)
    expect(await here.serverUrl()).toBe('http://models.test:5000')
    expect(await here.project()).toBe('tumour')
    expect(await here.token()).toBe('secret')
  })

  it('finds the server that this user runs elsewhere, but never starts or ends one there', async () => {
    const elsewhere = join(root, 'elsewhere')
    mkdirSync(join(elsewhere, 'keys'), { recursive: true })
    writeFileSync(join(elsewhere, 'keys', 'owner.token'), 'secret\n')
    const here = join(root, 'here')
    mkdirSync(here)
    const env = { XDG_STATE_HOME: join(root, 'state') }
    rememberDataFolder(elsewhere, env)
    rememberDataFolder(join(root, 'ended'), env)
    expect(await context({}, env, here).dataDir()).toBe(join(here, '.modelwright'))

    const lock = lockDataFolder(join(elsewhere, 'run'), 'server')
    writeFacts(join(elsewhere, 'run'), 'server', { pid: process.pid, url: 'http://127.0.0.1:5000' })
    expect(await context({}, env, here).dataDir()).toBe(elsewhere)
    expect(await context({}, env, here).token()).toBe('secret')
    expect(await context({}, env, here).ownDataDir()).toBe(join(here, '.modelwright'))
    expect(await context({ server: 'http://127.0.0.1:5000/' }, env, here).token()).toBe('secret')
    expect(await context({ server: 'http://stranger.test' }, env, here).token()).toBeUndefined()
    lock.release()
  })

  it('lets flags win over the environment, and that over what lies here', async () => {
    connected()
    mkdirSync(join(root, '.modelwright'))
    expect(await context().dataDir()).toBe(join(root, '.modelwright'))
    const env = { MODELWRIGHT_DATA_DIR: '/from/env', MODELWRIGHT_SERVER: 'http://env.test:1/' }
    expect(await context({}, env).dataDir()).toBe('/from/env')
    expect(await context({}, env).serverUrl()).toBe('http://env.test:1')
    const flags = { dataDir: 'flagged', server: 'http://flag.test:2', project: 'other' }
    expect(await context(flags, env).dataDir()).toBe(join(root, 'flagged'))
    expect(await context(flags, env).serverUrl()).toBe('http://flag.test:2')
    expect(await context(flags, env).project()).toBe('other')
  })

  it('shows the token to no server but the one that the folder is connected to', async () => {
    connected()
    expect(await context({ server: 'http://stranger.test' }).token()).toBeUndefined()
    expect(await context({ server: 'http://stranger.test' }, { MODELWRIGHT_TOKEN: 'mine' }).token()).toBe('mine')
  })

  it('reads the project from modelwright.yaml where nothing is connected', async () => {
    writeFileSync(join(root, 'modelwright.yaml'), '# ours\nproject: "sorter" # name\nsteps: {}\n')
    expect(await context().projectHere()).toBe('sorter')
    writeFileSync(join(root, 'modelwright.yaml'), 'project: [broken')
    expect(await context().projectHere()).toBeUndefined()
  })

  it('says how to start a server where none is known, and refuses what is no address', async () => {
    await expect(context().serverUrl()).rejects.toMatchObject({ code: 'ServerUnreachable' })
    await expect(context({ server: 'models:5000' }).serverUrl()).rejects.toMatchObject({ code: 'BadRequest' })
  })
})
