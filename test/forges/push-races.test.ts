import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import type { Actor } from '../../src/kernel/route.ts'
import { commit, git, makeWorkingCopy, minimalFile, type Remote, startRemote } from './remote.ts'

const ann: Actor = { kind: 'owner', name: 'ann' }
const folders: string[] = []
const servers: Remote[] = []
const children: ChildProcess[] = []

async function start(options: Parameters<typeof startRemote>[0] = {}): Promise<Remote> {
  const server = await startRemote(options)
  servers.push(server)
  await server.projects.connect({ name: 'demo' }, ann)
  return server
}

async function workingCopy(): Promise<string> {
  const folder = await makeWorkingCopy({ 'modelwright.yaml': minimalFile('demo'), 'train.py': 'print(1)\n' })
  folders.push(folder)
  return folder
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

describe('two pushes at once', () => {
  it('let one win, and tell the other what moved and what to do', async () => {
    const server = await start({ planPush: async ({ actor }) => [`planned for ${actor.name}`] })
    const copy = await workingCopy()
    const base = (await git(copy, 'rev-parse', 'HEAD')).output.trim()
    await git(copy, 'push', server.remote('demo'), 'main')
    await git(copy, 'branch', 'other')
    const mine = await commit(copy, { mine: '1' })
    await git(copy, 'checkout', '-q', 'other')
    const theirs = await commit(copy, { theirs: '1' })
    // Both have read where main is before either is let in.
    server.meet(2)
    const results = await Promise.all([
      git(copy, 'push', server.remote('demo', 'ann-token'), `${mine}:refs/heads/main`),
      git(copy, 'push', server.remote('demo', 'bob-token'), `${theirs}:refs/heads/main`),
    ])
    const [won, lost] = [results.find((r) => r.code === 0)!, results.find((r) => r.code !== 0)!]
    expect(won.output).toContain('remote: planned for')
    const winner = won === results[0] ? { to: mine, actor: 'ann' } : { to: theirs, actor: 'bob' }
    expect(lost.output).toContain(`main moved while this push was on its way: it is at ${winner.to.slice(0, 12)} now`)
    expect(lost.output).toContain('git pull --rebase modelwright main')
    expect(await server.repositories.head('demo', 'main')).toBe(winner.to)
    expect((await server.moves()).slice(1)).toEqual([
      { project: 'demo', branch: 'main', from: base, origin: 'push', ...winner },
    ])
  })
})

describe('a server that is killed', () => {
  it('between the move of a branch and its record finds the move again, with its pusher, and tells it once', async () => {
    const folder = await dataFolder()
    const copy = await workingCopy()
    const port = await startDying(folder, '/post-receive')
    await git(copy, 'push', `http://any:bob-token@127.0.0.1:${port}/git/demo.git`, 'main')

    const again = await start({ folder })
    const to = (await git(copy, 'rev-parse', 'HEAD')).output.trim()
    expect(await again.repositories.head('demo', 'main')).toBe(to)
    expect(await again.moves()).toEqual([])
    expect(await again.projects.observeAll()).toEqual([])
    await Promise.all([again.projects.observeAll(), again.projects.observeHeads('demo')])
    expect(await again.moves()).toEqual([{ project: 'demo', branch: 'main', to, actor: 'bob', origin: 'push' }])
  })

  it('before it has judged a push has let nothing in, and takes the same push after its restart', async () => {
    const folder = await dataFolder()
    const copy = await workingCopy()
    const port = await startDying(folder, '/pre-receive')
    const result = await git(copy, 'push', `http://any:bob-token@127.0.0.1:${port}/git/demo.git`, 'main')
    expect(result.code).toBe(1)

    const again = await start({ folder })
    await again.projects.observeAll()
    expect(await again.moves()).toEqual([])
    expect(await again.repositories.head('demo', 'main')).toBeUndefined()
    expect(await git(copy, 'push', again.remote('demo'), 'main')).toMatchObject({ code: 0 })
  })
})

describe('a server that does not answer the hooks', () => {
  it('has refused the push, and Git says so', async () => {
    const server = await start()
    server.breakOff('pre-receive')
    const result = await git(await workingCopy(), 'push', server.remote('demo'), 'main')
    expect(result.code).toBe(1)
    expect(result.output).toContain('could not judge this push')
    expect(result.output).toContain('nothing has changed')
    expect(await server.repositories.head('demo', 'main')).toBeUndefined()
  })

  it('after the branch moved lets the pusher know that it will be taken up', async () => {
    const server = await start()
    server.breakOff('post-receive')
    const result = await git(await workingCopy(), 'push', server.remote('demo'), 'main')
    expect(result).toMatchObject({ code: 0 })
    expect(result.output).toContain('did not take it up yet')
  })
})

describe('a push that cannot be judged', () => {
  it('in time is refused, and does not hold up the next one', async () => {
    let stuck = true
    const planPush = async () => (stuck ? new Promise<string[]>(() => {}) : ['planned'])
    const server = await start({ planPush, http: { answerWithinMs: 1_000 } })
    const copy = await workingCopy()
    const result = await git(copy, 'push', server.remote('demo'), 'main')
    expect(result.code).toBe(1)
    expect(result.output).toContain('no answer within 1 s')
    stuck = false
    server.http.answerWithinMs = 120_000
    expect(await git(copy, 'push', server.remote('demo'), 'main')).toMatchObject({ code: 0 })
  })

  it('because of what this version lacks is refused by that name', async () => {
    const planPush = async () => {
      throw new AppError('NotYetSupported', 'Step "train" asks for\u001b[31m a GPU.', 'Wait.', {
        place: { file: 'modelwright.yaml', line: 3, column: 3 },
      })
    }
    const server = await start({ planPush })
    const result = await git(await workingCopy(), 'push', server.remote('demo'), 'main')
    expect(result.output).toContain('main is refused: NotYetSupported')
    expect(result.output).toContain('modelwright.yaml:3:3 Step "train" asks for\ufffd[31m a GPU.')
  })
})

describe('a push that is too large', () => {
  it('is refused by Git with the bound, and leaves nothing', async () => {
    const server = await start({ http: { maxPushBytes: 100_000 } })
    const copy = await workingCopy()
    await commit(copy, { 'large.bin': randomBytes(300_000).toString('hex') })
    const result = await git(copy, 'push', server.remote('demo'), 'main')
    expect(result.code).toBe(1)
    expect(result.output).toContain('exceeds maximum allowed size')
    expect(await server.repositories.head('demo', 'main')).toBeUndefined()
  })
})

describe('a server beyond loopback', () => {
  it('lets the hooks of its own pushes ask, and nobody read without a token', async () => {
    const server = await start({ loopback: false })
    const copy = await workingCopy()
    expect(await git(copy, 'push', server.remote('demo'), 'main')).toMatchObject({ code: 0 })
    expect((await git(copy, 'ls-remote', `${server.url}/git/demo.git`)).code).toBe(1)
  })
})

describe('a commit of Modelwright itself', () => {
  it('is told as its own, also when it is found only later', async () => {
    const server = await start()
    const copy = await workingCopy()
    await git(copy, 'push', server.remote('demo'), 'main')
    const base = (await server.projects.desiredHead('demo'))!
    const to = await server.repositories.commitFiles('demo', {
      branch: 'modelwright/promote-1',
      expectedHead: undefined,
      base,
      files: [{ path: 'x', content: '1' }],
      message: 'Promote',
      author: { name: 'Modelwright', email: 'modelwright@example.org' },
      at: 1_000_000,
    })
    await server.projects.observeAll()
    expect((await server.moves()).at(-1)).toEqual({
      project: 'demo',
      branch: 'modelwright/promote-1',
      to,
      actor: 'modelwright',
      origin: 'modelwright',
    })
  })
})

async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'modelwright-killed-'))
  folders.push(folder)
  return folder
}

/** The port of a server of its own process, which kills itself when it is asked that. */
async function startDying(folder: string, moment: string): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'dying-server.ts'), folder, moment], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  })
  children.push(child)
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  return Number(line.toString())
}
