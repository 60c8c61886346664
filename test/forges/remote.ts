import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { GitRepositories } from '../../src/adapters/repository/git-cli/git-repositories.ts'
import { createHttpApp, mountEndpoints } from '../../src/compose/http/app.ts'
import { type Db, eventsAfter, openDatabase } from '../../src/db/index.ts'
import { type GitHttpParts, gitHttp, type PlanPush, PushService } from '../../src/forges/index.ts'
import { AppError } from '../../src/kernel/errors.ts'
import type { CommitId } from '../../src/kernel/ids.ts'
import { type Actor, anonymous } from '../../src/kernel/route.ts'
import { ProjectsService, ProjectsStore, projectEndpoints } from '../../src/projects/index.ts'

const actors: Record<string, Actor> = {
  'ann-token': { kind: 'owner', name: 'ann' },
  'bob-token': { kind: 'member', name: 'bob' },
  'step-token': { kind: 'step', name: 'step', runId: 'r' },
}

async function authenticate(authorization: string | undefined): Promise<Actor> {
  if (!authorization) return anonymous
  const [scheme, value = ''] = authorization.split(' ')
  const token = scheme === 'Basic' ? Buffer.from(value, 'base64').toString().split(':')[1]! : value
  const actor = actors[token]
  if (!actor) throw new AppError('Unauthenticated', 'The token is not known.', 'Use one that is.')
  return actor
}

export type Remote = Awaited<ReturnType<typeof startRemote>>

/** A server that is a Git remote and nothing more: real database, real bare repositories, a real port. */
export async function startRemote(
  options: {
    planPush?: PlanPush
    folder?: string
    http?: Partial<GitHttpParts>
    loopback?: boolean
    beforeAnswer?: (url: string) => void
  } = {},
) {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'modelwright-remote-')))
  const searchPath = process.env.PATH!
  const db: Db = await openDatabase(join(folder, 'modelwright.db'))
  const repositories = new GitRepositories({ root: join(folder, 'git'), path: searchPath })
  const time = { now: 1_000_000 }
  const clock = { now: () => time.now, sleep: async () => {} }
  const projects = new ProjectsService({ store: new ProjectsStore(db), repositories, clock })
  const log = pino({ level: 'silent' })
  const app: FastifyInstance = createHttpApp({
    log,
    loopback: options.loopback ?? true,
    allowedHosts: [],
    authenticate,
  })
  const planPush = options.planPush ?? (async ({ to }) => [`planned ${to.slice(0, 7)}`])
  const publicUrl = () => 'http://models.test'
  const pushes = new PushService({ projects, repositories, planPush, publicUrl, log })
  let broken: string | undefined
  const encodings = new Set<string>()
  let meeting: ReturnType<typeof meetingOf> | undefined
  app.addHook('preHandler', async (request) => {
    options.beforeAnswer?.(request.url)
    for (const name of ['content-encoding', 'transfer-encoding'] as const)
      if (request.headers[name]) encodings.add(request.headers[name])
    if (broken && request.url.endsWith(broken)) {
      request.raw.socket.destroy()
      throw new Error('as if dead')
    }
    if (meeting && request.method === 'POST' && request.url.endsWith('/git-receive-pack')) await meeting()
  })
  mountEndpoints(app, projectEndpoints(projects))
  const http: GitHttpParts = {
    projects,
    repositories,
    pushes,
    hooksFolder: join(folder, 'git', 'hooks'),
    nodePath: process.execPath,
    searchPath,
    log,
    ...options.http,
  }
  gitHttp(app, http)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return {
    app,
    db,
    folder,
    projects,
    repositories,
    http,
    port,
    time,
    url: `http://127.0.0.1:${port}`,
    /** The remote's address with the token in it, as nobody should write it outside of a test. */
    remote: (project: string, token = 'ann-token') => `http://any:${token}@127.0.0.1:${port}/git/${project}.git`,
    /** In which forms bodies came: gzip, chunked. */
    encodings,
    /** From now on the server is as if dead when it is asked this. */
    breakOff: (path: string) => {
      broken = path
    },
    /** So many pushes come to the server before the first of them is let in. */
    meet: (count: number) => {
      meeting = meetingOf(count)
    },
    moves: async () =>
      (await eventsAfter(db, 0, { types: ['branch.moved'], limit: 100 })).map(
        (event) => event.payload as { branch: string; from?: string; to: string; actor: string; origin: string },
      ),
    stop: async (keep = false) => {
      await app.close()
      await db.destroy()
      repositories.close()
      if (!keep) await rm(folder, { recursive: true, force: true })
    },
  }
}

function meetingOf(count: number): () => Promise<void> {
  let here = 0
  let begin = () => {}
  const all = new Promise<void>((resolve) => {
    begin = resolve
  })
  return () => {
    if (++here === count) begin()
    return all
  }
}

export type GitRun = { code: number; output: string }

/** The real client, cut off from the settings of whoever runs the test; both streams as one text. */
export function git(cwd: string, ...args: string[]): Promise<GitRun> {
  return new Promise((resolve) => {
    execFile('git', args, { cwd, env: gitEnvironment() }, (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, output: `${stdout}${stderr}` }),
    )
  })
}

export const gitEnvironment = (): Record<string, string> => ({
  PATH: process.env.PATH!,
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@example.org',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@example.org',
})

export const minimalFile = (project: string): string => `project: ${project}
steps:
  train: { run: python train.py, deps: [train.py], outs: [model.txt] }
`

export async function makeWorkingCopy(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'modelwright-copy-'))
  await git(folder, 'init', '-q', '-b', 'main')
  await commit(folder, files)
  return folder
}

export async function commit(folder: string, files: Record<string, string>, message = 'change'): Promise<CommitId> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  await git(folder, 'add', '-A')
  await git(folder, 'commit', '-q', '--allow-empty', '-m', message)
  return (await git(folder, 'rev-parse', 'HEAD')).output.trim() as CommitId
}
