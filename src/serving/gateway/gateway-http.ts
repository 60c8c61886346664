import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../../kernel/errors.ts'
import type { Gateway } from './gateway.ts'
import type { JournalWriter } from './journal-writer.ts'
import { badRequest, ScoringError } from './scoring-error.ts'
import { readScoringRequest } from './scoring-request.ts'

export type DoorSetting = {
  gateway: Gateway
  journal: JournalWriter
  version: string
  maxBodyBytes: number
  /** Names that the Host header may carry beside loopback ones (against DNS rebinding); absent: any. */
  allowedHosts?: readonly string[]
  /** Needed as `Authorization: Bearer …` by all but `/ping`, `/health` and `/version`. */
  token?: string
}

const openPaths = new Set(['/ping', '/health', '/version'])

/** The gateway's HTTP door: MLflow's scoring protocol per endpoint. */
export async function answerHttp(
  setting: DoorSetting,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    await route(setting, request, response)
  } catch (error) {
    if (!request.complete) response.setHeader('connection', 'close')
    if (error instanceof ScoringError) sendError(response, error)
    else sendError(response, new ScoringError(500, 'INTERNAL_ERROR', `A bug in the gateway: ${messageOf(error)}`))
  }
}

async function route(setting: DoorSetting, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0]!
  if (path !== '/health') checkHost(setting, request)
  if (!openPaths.has(path)) checkToken(setting, request)
  if (path === '/health') return readOnly(request, () => sendText(response, 200, '\n'))
  if (path === '/ping') return readOnly(request, () => sendText(response, setting.gateway.isServing ? 200 : 503, '\n'))
  if (path === '/version') return readOnly(request, () => sendText(response, 200, setting.version))
  if (path === '/status')
    return readOnly(request, () => sendJson(response, 200, setting.gateway.status(setting.journal)))
  const named = /^\/endpoints\/([^/]+)\/([^/]+)\/invocations$/.exec(path)
  if (path !== '/invocations' && !named)
    throw new ScoringError(404, 'ENDPOINT_NOT_FOUND', `There is nothing at ${path}. ${waysIn(setting.gateway)}`)
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST')
    throw new ScoringError(405, 'BAD_REQUEST', `${path} answers POST; found ${request.method}.`)
  }
  await invoke(setting, named ? `${decoded(named[1]!)}/${decoded(named[2]!)}` : undefined, request, response)
}

async function invoke(
  setting: DoorSetting,
  name: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const endpoint = setting.gateway.endpoint(name)
  if (!endpoint) {
    const what =
      name === undefined ? 'A bare /invocations needs exactly one endpoint.' : `There is no endpoint ${name}.`
    throw new ScoringError(404, 'ENDPOINT_NOT_FOUND', `${what} ${waysIn(setting.gateway)}`)
  }
  const scoring = readScoringRequest(request.headers['content-type'], await bodyOf(request, setting.maxBodyBytes))
  const { id, body } = await endpoint.predict(scoring)
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-modelwright-prediction-id': id,
  })
  response.end(body)
}

const waysIn = (gateway: Gateway): string =>
  gateway.names.length === 0
    ? 'No endpoint is deployed.'
    : `There are: ${gateway.names.map((name) => `/endpoints/${name}/invocations`).join(', ')}.`

function readOnly(request: IncomingMessage, answer: () => void): void {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new ScoringError(405, 'BAD_REQUEST', `This answers GET; found ${request.method}.`)
  answer()
}

function checkHost({ allowedHosts }: DoorSetting, request: IncomingMessage): void {
  if (!allowedHosts) return
  const host = (request.headers.host ?? '')
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  if (!isLoopback(host) && !allowedHosts.includes(host))
    throw new ScoringError(403, 'PERMISSION_DENIED', `Host "${host}" is not served here.`)
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

function checkToken({ token }: DoorSetting, request: IncomingMessage): void {
  if (token === undefined) return
  const given = Buffer.from(request.headers.authorization ?? '')
  const needed = Buffer.from(`Bearer ${token}`)
  if (given.length !== needed.length || !timingSafeEqual(given, needed))
    throw new ScoringError(401, 'UNAUTHENTICATED', 'This gateway needs a token: Authorization: Bearer TOKEN.')
}

async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new ScoringError(415, 'BAD_REQUEST', `Content encoding "${encoding}" is not served.`)
  const tooLarge = () => new ScoringError(413, 'BAD_REQUEST', `The body is larger than the ${maxBytes} bytes allowed.`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) break
      chunks.push(chunk)
    }
  } catch {
    throw badRequest('The connection ended before the body did.')
  }
  if (bytes > maxBytes) throw tooLarge()
  return Buffer.concat(chunks)
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw badRequest(`"${part}" is not a valid part of a path.`)
  }
}

function sendError(response: ServerResponse, error: ScoringError & { predictionId?: string }): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  if (error.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(error.retryAfterSeconds))
  if (error.predictionId) response.setHeader('x-modelwright-prediction-id', error.predictionId)
  // MLflow's clients expect plain text here.
  if (error.status === 415) sendText(response, 415, error.message)
  else sendJson(response, error.status, { error_code: error.errorCode, message: error.message })
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}
