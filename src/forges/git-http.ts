import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppError, bug } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import { httpUrl } from '../kernel/listening.ts'
import type { Actor } from '../kernel/route.ts'
import { Turns } from '../kernel/turns.ts'
import type { Quarantine, Repositories } from '../ports/repository.ts'
import type { ProjectsService } from '../projects/index.ts'
import { hookSecretHeader, hookVariables, installHooks } from './hook-script.ts'
import { type GitService, HttpBackend } from './http-backend.ts'
import type { PushAnswer } from './push.ts'
import type { PushService } from './push-service.ts'

export type GitHttpParts = {
  projects: ProjectsService
  repositories: Pick<Repositories, 'path'>
  pushes: PushService
  /** `<data>/git/hooks`; written when the server gets ready. */
  hooksFolder: string
  /** The Node that runs this server; it runs the hooks too. */
  nodePath: string
  /** The PATH on which `git` is found. */
  searchPath: string
  log: { warn(details: object, message: string): void }
  /** Called when a push begins: what is pushed is soon carried out. */
  onPush?: () => void
  /** A push that cannot be judged in this time is refused. */
  answerWithinMs?: number
  maxPushBytes?: number
}

/** A push that is under way: from the start of its http-backend to the end. */
type PushUnderWay = { project: string; actor: Actor; ended: boolean; endTurn: () => void }

const resourcePattern = /^\/git\/([^/]+)\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/

/**
 * Modelwright as a Git remote at `/git/PROJECT.git` (smart HTTP only), and the door by which the hooks of a push ask the
 * server. Expects `request.actor`, which the HTTP door sets.
 */
export function gitHttp(app: FastifyInstance, parts: GitHttpParts): void {
  const pushes = new Map<string, PushUnderWay>()
  const running = new Set<HttpBackend>()
  app.addHook('onReady', () => installHooks(parts.hooksFolder, parts.nodePath))
  app.addHook('onClose', async () => {
    for (const backend of running) backend.end()
    await Promise.all([...running].map((backend) => backend.ended))
  })
  void app.register(async (scope) => {
    // The body goes to git as it comes, however large: git itself bounds it (receive.maxInputSize).
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    scope.setErrorHandler(answerInWords)
    const serve = (request: FastifyRequest, reply: FastifyReply) =>
      serveGit({ app, parts, pushes, running }, request, reply)
    scope.get('/git/*', serve)
    scope.post('/git/*', serve)
  })
  answerHooks(app, parts, pushes)
}

type Serving = {
  app: FastifyInstance
  parts: GitHttpParts
  pushes: Map<string, PushUnderWay>
  running: Set<HttpBackend>
}

async function serveGit(serving: Serving, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { parts, running } = serving
  const { name, resource, service, query } = readAddress(request)
  if (service === 'git-receive-pack') refuseUnlessMember(request.actor)
  const project = await parts.projects.get(name)
  const push = resource === '/git-receive-pack' ? beginPush(serving, project.name, request.actor) : undefined
  if (push) parts.onPush?.()
  const backend = new HttpBackend(
    {
      repository: parts.repositories.path(project.name),
      resource,
      query,
      actor: request.actor.name,
      env: push?.env ?? {},
      settings: gitSettings(parts),
      searchPath: parts.searchPath,
    },
    request.raw,
  )
  running.add(backend)
  void backend.ended.then(() => {
    running.delete(backend)
    push?.end()
    if (backend.complaints) parts.log.warn({ project: name, resource, git: backend.complaints }, 'git complained')
  })
  const { status, headers, body } = await backend.answer()
  return reply.status(status).headers(headers).send(body)
}

type Address = { name: string; resource: string; service: GitService; query: string }

function readAddress(request: FastifyRequest): Address {
  const [path, query = ''] = request.url.split('?', 2) as [string, string?]
  const match = resourcePattern.exec(decodedPath(path))
  const service = match?.[2] === 'info/refs' ? new URLSearchParams(query).get('service') : match?.[2]
  const wanted = match?.[2] === 'info/refs' ? 'GET' : 'POST'
  if (!match || request.method !== wanted || !(service === 'git-upload-pack' || service === 'git-receive-pack'))
    throw new AppError(
      'NotFound',
      `There is nothing at ${request.method} ${path} for this Git client.`,
      'Remotes are at /git/PROJECT.git, and need a client with smart HTTP (Git 1.6.6 or later).',
    )
  return { name: match[1]!, resource: `/${match[2]}`, service, query }
}

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function refuseUnlessMember(actor: Actor): void {
  if (actor.kind === 'owner' || actor.kind === 'member') return
  if (actor.kind === 'anonymous')
    throw new AppError(
      'Unauthenticated',
      'Pushing needs a token.',
      'Run `modelwright init` in the repository: it sets Git up to find your token; or give the token as password.',
    )
  throw new AppError('Forbidden', 'A step may not push.', 'Push from a machine of yours.')
}

function gitSettings(parts: GitHttpParts): Record<string, string> {
  return {
    'core.hooksPath': parts.hooksFolder,
    'http.receivepack': 'true',
    'transfer.fsckObjects': 'true',
    // Faults that honest old histories have and that harm nobody (Gitaly lets the same ones pass).
    'receive.fsck.badTimezone': 'ignore',
    'receive.fsck.missingSpaceBeforeDate': 'ignore',
    'receive.fsck.zeroPaddedFilemode': 'ignore',
    'receive.maxInputSize': String(parts.maxPushBytes ?? 2 * 1024 ** 3),
    // Housekeeping within the push that makes it due: nothing may stay behind when the server goes.
    'gc.autoDetach': 'false',
    // Snapshots of working trees are nobody else's business.
    'uploadpack.hideRefs': 'refs/modelwright',
  }
}

function beginPush({ app, parts, pushes }: Serving, project: string, actor: Actor) {
  const secret = randomBytes(32).toString('hex')
  const push: PushUnderWay = { project, actor, ended: false, endTurn: () => {} }
  pushes.set(secret, push)
  return {
    env: {
      [hookVariables.url]: `${ownAddress(app)}/internal/git/${project}`,
      [hookVariables.secret]: secret,
      [hookVariables.withinMs]: String(parts.answerWithinMs ?? 30_000),
    },
    end: () => {
      push.ended = true
      push.endTurn()
      pushes.delete(secret)
    },
  }
}

/** Where this very server listens, seen from its own machine. */
function ownAddress(app: FastifyInstance): string {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw bug('A push came to a server that listens on no port.')
  const any = address.address === '::' || address.address === '0.0.0.0'
  const host = any ? (address.family === 'IPv6' ? '::1' : '127.0.0.1') : address.address
  return httpUrl(host, address.port)
}

const commitId = z
  .string()
  .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)
  .transform((text) => text as CommitId)

const hookQuestion = z.object({
  updates: z.array(
    z.object({ ref: z.string(), from: commitId.optional(), to: commitId.optional(), fastForward: z.boolean() }),
  ),
  objectDirectory: z.string().optional(),
  alternates: z.string().optional(),
})

function answerHooks(app: FastifyInstance, parts: GitHttpParts, pushes: ReadonlyMap<string, PushUnderWay>): void {
  const turns = new Turns()

  app.post('/internal/git/:project/pre-receive', async (request): Promise<PushAnswer> => {
    const push = pushOf(request, pushes)
    const { updates, objectDirectory, alternates } = hookQuestion.parse(request.body)
    // A push that only deletes brings no objects, so there is no quarantine.
    const quarantine: Quarantine | undefined = objectDirectory ? { objectDirectory, alternates } : undefined
    // From here until Git has moved the branches: the second of two pushes is judged on what the first one left.
    push.endTurn = await turns.take(push.project)
    if (push.ended) {
      push.endTurn()
      return { accepted: false, lines: [] }
    }
    return parts.pushes.judge({ project: push.project, actor: push.actor, updates, quarantine })
  })

  app.post('/internal/git/:project/post-receive', async (request): Promise<PushAnswer> => {
    const push = pushOf(request, pushes)
    push.endTurn()
    const { updates } = hookQuestion.parse(request.body)
    const lines = await parts.pushes.received({ project: push.project, actor: push.actor, updates })
    return { accepted: true, lines }
  })
}

function pushOf(request: FastifyRequest, pushes: ReadonlyMap<string, PushUnderWay>): PushUnderWay {
  const push = pushes.get(String(request.headers[hookSecretHeader]))
  if (push && push.project === (request.params as { project: string }).project) return push
  throw new AppError(
    'Forbidden',
    'Only the hooks of a push that this server is receiving may ask here.',
    'Push again; the server was restarted in between.',
  )
}

/** Git shows an error's body to the person if it is plain text; anything else it answers with a bare number. */
function answerInWords(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (!(error instanceof AppError)) throw error
  if (error.culprit === 'ours') request.log.error({ err: error, url: request.url }, 'a Git request failed')
  if (error.code === 'Unauthenticated')
    void reply.header('www-authenticate', 'Basic realm="Modelwright", charset="UTF-8"')
  void reply.status(error.status).type('text/plain; charset=utf-8').send(`${error.message}\n${error.next}\n`)
}
