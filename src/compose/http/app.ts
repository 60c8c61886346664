import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { Logger } from 'pino'
import type { ZodError } from 'zod'
import { asStorageError } from '../../db/index.ts'
import { AppError, bug } from '../../kernel/errors.ts'
import type { Actor, Call, Endpoint, RouteAccess } from '../../kernel/route.ts'

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor
  }
}

export type HttpOptions = {
  log: Logger
  /** Whether the address is loopback: then reading needs no token. */
  loopback: boolean
  /** Names that the Host header may carry beside loopback ones (against DNS rebinding). */
  allowedHosts: readonly string[]
  authenticate: (authorization: string | undefined) => Promise<Actor>
}

/** The HTTP door: who calls, whether they may, what went wrong, in one place for all routes. */
export function createHttpApp(options: HttpOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    loggerInstance: options.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 32 * 1024 * 1024,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 2000 },
    // What fails before routing, as an address that cannot be decoded.
    frameworkErrors: (error, request, reply) => answerError(error, request as FastifyRequest, reply as FastifyReply),
  })
  app.decorateRequest('actor')
  app.addHook('onRequest', async (request) => {
    refuseForeignHost(request, options)
    refuseForeignOrigin(request)
    request.actor = await options.authenticate(request.headers.authorization)
    if (!options.loopback && request.actor.kind === 'anonymous' && !guardsItself(request.url))
      throw new AppError(
        'Unauthenticated',
        'This server listens beyond loopback, so every request needs a token.',
        'Send `Authorization: Bearer <token>`; `modelwright token` shows yours.',
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
  if (access === 'owner' && actor.kind !== 'owner')
    throw new AppError('Forbidden', `${actor.name} is not the owner.`, 'Ask the owner.')
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

/** Hooks of a push ask with a secret of that push, from this machine; see forges/git-http.ts. */
const guardsItself = (url: string): boolean => url === '/health' || url.startsWith('/internal/git/')

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]'])

function refuseForeignHost(request: FastifyRequest, options: HttpOptions): void {
  const name = hostName(request.headers.host ?? '')
  if (!options.loopback || request.url === '/health' || loopbackNames.has(name) || options.allowedHosts.includes(name))
    return
  throw new AppError(
    'Forbidden',
    `The Host header names "${name}", which is not this server.`,
    'Start it with --allowed-host to serve under that name.',
  )
}

/** A page of another site must not make the browser change anything here. */
function refuseForeignOrigin(request: FastifyRequest): void {
  const origin = request.headers.origin
  if (!origin || request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return
  if (origin !== 'null' && URL.canParse(origin) && new URL(origin).host === request.headers.host) return
  throw new AppError(
    'Forbidden',
    `Requests from pages of ${origin} may not change anything here.`,
    'Use the page that this server itself serves.',
  )
}

const hostName = (host: string): string => host.replace(/:\d+$/, '').toLowerCase()
