import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { Logger } from 'pino'
import type { ZodError } from 'zod'
import { answerMlflowError, isMlflowPath } from '../../dialects/mlflow/index.ts'
import { AppError, bug } from '../../kernel/errors.ts'
import type { Actor, Call, Endpoint, RouteAccess } from '../../kernel/route.ts'
import { asStorageError } from '../../kernel/storage-errors.ts'
import { type DoorRules, guardDoor } from './door.ts'

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor
  }
}

export type HttpOptions = {
  log: Logger
  /** Whether the address is loopback: then reading and MLflow's API need no token, unless a login is required there too. */
  loopback: boolean
  requireLogin?: boolean
  /** Names that the Host header may carry beside loopback and private ones (against DNS rebinding). */
  allowedHosts: readonly string[]
  /** Origins whose pages may use the API. */
  corsOrigins?: readonly string[]
  /** How long a client may take to send its headers. */
  headersMs?: number
  authenticate: (authorization: string | undefined) => Promise<Actor>
}

/** A client that does not end its headers is waited for so long, and for its body: uploads of hours go in parts. */
const defaultHeadersMs = 20_000
const checkMs = 5_000
const requestMs = 3_600_000

/** The HTTP door: who calls, whether they may, what went wrong, in one place for all routes. */
export function createHttpApp(options: HttpOptions): FastifyInstance {
  const { headersMs = defaultHeadersMs } = options
  const app: FastifyInstance = Fastify({
    loggerInstance: options.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 32 * 1024 * 1024,
    forceCloseConnections: true,
    requestTimeout: requestMs,
    http: { headersTimeout: headersMs, connectionsCheckingInterval: Math.min(headersMs, checkMs) },
    routerOptions: { maxParamLength: 2000 },
    // What fails before routing, as an address that cannot be decoded.
    frameworkErrors: (error, request, reply) => {
      const answer = isMlflowPath(request.url) ? answerMlflowError : answerError
      answer(error, request as FastifyRequest, reply as FastifyReply)
    },
  })
  app.decorateRequest('actor')
  const rules: DoorRules = { corsOrigins: [], ...options }
  const everybodyLogsIn = !options.loopback || options.requireLogin === true
  app.addHook('onRequest', async (request, reply) => {
    const preflight = guardDoor(request, reply, rules)
    if (preflight) return preflight
    request.actor = await options.authenticate(request.headers.authorization)
    if (everybodyLogsIn && request.actor.kind === 'anonymous' && !isOpen(request.url))
      throw new AppError(
        'Unauthenticated',
        'You are not authenticated. On this server every request needs a login or a token.',
        "Send `Authorization: Bearer <token>`, or your user and password; `modelwright token` shows the owner's token.",
      )
  })
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler((request, reply) =>
    answerError(
      new AppError(
        'NotFound',
        `There is nothing at ${request.method} ${request.url.split('?')[0]}.`,
        'See /api/v1/openapi.json for what there is.',
      ),
      request,
      reply,
    ),
  )
  return app
}

/** Mounts endpoints of our own API: parse, check access, handle. */
export function mountEndpoints(app: FastifyInstance, endpoints: readonly Endpoint[]): void {
  for (const { route, handle } of endpoints) {
    app.route({
      method: route.method,
      url: route.path,
      handler: async (request) => {
        allow(request.actor, route.access)
        const call: Call<typeof route> = {
          params: parsePart(route.params, request.params, 'path'),
          query: parsePart(route.query, request.query, 'query'),
          body: parsePart(route.body, request.body ?? {}, 'body'),
          actor: request.actor,
        }
        return handle(call)
      },
    })
  }
}

/** Throws unless the actor may use a route of that access. */
export function allow(actor: Actor, access: RouteAccess): void {
  if (access === 'read') return
  if (actor.kind === 'anonymous')
    throw new AppError(
      'Unauthenticated',
      'This changes something that matters, so it needs a token.',
      "Send `Authorization: Bearer <token>`; the CLI takes it from MODELWRIGHT_TOKEN or the server's data folder (--data-dir). There, `modelwright token --show` prints it.",
    )
  if (actor.kind === 'step')
    throw new AppError('Forbidden', "A step's token stands for its own run only.", 'Do this from the CLI instead.')
  if (access === 'owner' && actor.kind !== 'owner' && actor.admin !== true)
    throw new AppError('Forbidden', `${actor.name} is neither the owner nor an admin.`, 'Ask the owner.')
}

function parsePart(schema: Endpoint['route']['params'], value: unknown, part: string) {
  if (!schema) return undefined
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new AppError(
    'BadRequest',
    `The ${part} is not as documented: ${issuesText(result.error)}.`,
    'See /api/v1/openapi.json for the form.',
  )
}

const issuesText = (error: ZodError): string =>
  error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`)
    .join('; ')

function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAppError(asStorageError(thrown))
  if (error.culprit === 'ours') request.log.error({ err: thrown, url: request.url }, 'a request failed')
  if (error.code === 'Unauthenticated')
    void reply.header('www-authenticate', 'Basic realm="Modelwright", charset="UTF-8"')
  if (error.code === 'TooManyAttempts' || error.status === 503) void reply.header('retry-after', '1')
  void reply.status(error.status).send({ error: error.toJSON() })
}

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode !== undefined && statusCode < 500)
    return new AppError(
      'BadRequest',
      message ?? 'The request cannot be read.',
      'See /api/v1/openapi.json for the form.',
      { cause: error },
    )
  return bug(`Unexpected: ${message ?? String(error)}`, error)
}

/** Hooks of a push ask with a secret of that push, from this machine; see forges/git-http.ts. What the server can do is read before a login. */
const isOpen = (url: string): boolean =>
  url === '/health' || url.startsWith('/internal/git/') || /^\/(ajax-)?api\/3\.0\/mlflow\/server-info(\?|$)/.test(url)
