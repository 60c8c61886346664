import { isIPv4, isIPv6 } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'

export type DoorRules = {
  /** Whether the server listens on loopback. */
  loopback: boolean
  /** Names that the Host header may carry beside loopback and private addresses; `*` stands for anything. */
  allowedHosts: readonly string[]
  /** Origins whose pages may use the API; `*` stands for anything. */
  corsOrigins: readonly string[]
}

/**
 * Pages of other sites at the door, as MLflow's security middleware has it (server/security.py), stricter in three things: only our
 * own pages change what is not MLflow's API; "192.168.*" means an address, not any name that begins so; and of a server beyond
 * loopback, pages on the user's own machine are foreign like others.
 */
export function guardDoor(request: FastifyRequest, reply: FastifyReply, rules: DoorRules): FastifyReply | undefined {
  void reply.header('x-content-type-options', 'nosniff').header('x-frame-options', 'SAMEORIGIN')
  refuseForeignHost(request, rules)
  const { origin } = request.headers
  if (origin === undefined) return undefined
  const trust = trustIn(origin, request, rules)
  const isPreflight = request.method === 'OPTIONS' && 'access-control-request-method' in request.headers
  if (trust === 'foreign') {
    if (isPreflight)
      throw new AppError('BadRequest', `Disallowed CORS origin: pages of ${origin} may not use this server.`, allowIt)
    if (changesSomething(request))
      throw new AppError(
        'Forbidden',
        `Cross-origin request blocked: pages of ${origin} may not change anything here.`,
        allowIt,
      )
    return undefined
  }
  if (trust === 'own') return undefined
  void reply.header('access-control-allow-origin', trust === 'anyone' ? '*' : origin)
  if (trust === 'named') void reply.header('access-control-allow-credentials', 'true').header('vary', 'Origin')
  if (!isPreflight) {
    void reply.header('access-control-expose-headers', '*')
    return undefined
  }
  return reply
    .status(204)
    .header('access-control-allow-methods', 'GET, POST, PUT, DELETE, OPTIONS, PATCH')
    .header('access-control-allow-headers', request.headers['access-control-request-headers'] ?? '*')
    .header('access-control-max-age', '600')
    .send()
}

const allowIt = 'Use the page that this server itself serves, or start it with --cors-origin.'

/** Against DNS rebinding: a foreign name that was made to lead here would let its pages read everything. */
function refuseForeignHost(request: FastifyRequest, rules: DoorRules): void {
  const path = request.url.split('?')[0]
  if (path === '/health' || path === '/version') return
  // Beyond loopback nothing answers without a token, and a rebound page has none; names are checked where they are given.
  if (!rules.loopback && rules.allowedHosts.length === 0) return
  const host = (request.headers.host ?? '').toLowerCase()
  const name = host.replace(/:\d+$/, '')
  if (isHere(name) || rules.allowedHosts.some((allowed) => fits(allowed, host) || fits(allowed, name))) return
  throw new AppError(
    'Forbidden',
    `Invalid Host header - possible DNS rebinding attack detected: "${name.slice(0, 250)}" is not this server.`,
    'Start it with --allowed-host to serve under that name.',
  )
}

type Trust = 'own' | 'named' | 'anyone' | 'foreign'

function trustIn(origin: string, request: FastifyRequest, rules: DoorRules): Trust {
  const url = origin !== 'null' && URL.canParse(origin) ? new URL(origin) : undefined
  if (url && url.host === request.headers.host) return 'own'
  if (rules.corsOrigins.includes('*')) return 'anyone'
  if (rules.corsOrigins.some((allowed) => fits(allowed, origin))) return 'named'
  if (url && rules.loopback && isMlflows(request.url) && isLoopbackName(url.hostname)) return 'named'
  return 'foreign'
}

const changesSomething = ({ method }: FastifyRequest): boolean =>
  method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'

const mlflowPaths = [
  '/api/2.0',
  '/api/3.0',
  '/ajax-api/',
  '/v1/traces',
  '/get-artifact',
  '/model-versions/',
  '/version',
]
const isMlflows = (url: string): boolean => mlflowPaths.some((path) => url.startsWith(path))

const isLoopbackName = (name: string): boolean => name === 'localhost' || name === '127.0.0.1' || name === '[::1]'

/** Loopback, or a private address (RFC 1918, RFC 4193): no name of the open net can be made to look like one. */
function isHere(name: string): boolean {
  if (isLoopbackName(name)) return true
  if (isIPv4(name)) return /^(0\.0\.0\.0$|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(name)
  const address = /^\[(.+)\]$/.exec(name)?.[1]
  return address !== undefined && isIPv6(address) && /^f[cd]/.test(address)
}

/** `*` stands for any characters, as in MLflow's patterns. */
function fits(pattern: string, value: string): boolean {
  if (!pattern.includes('*')) return pattern.toLowerCase() === value.toLowerCase()
  const escaped = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('.*')}$`, 'i').test(value)
}
