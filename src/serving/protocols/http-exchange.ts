import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable, Transform } from 'node:stream'
import { promisify } from 'node:util'
import { createBrotliDecompress, createGunzip, createInflate, deflate, gzip } from 'node:zlib'
import { warningsText } from '../input-handling.ts'
import { badRequest, ScoringError } from '../scoring-error.ts'

/** Below it packing costs more than it saves: an answer goes in one packet anyway. */
const worthPackingBytes = 1_400

const packers = { gzip: promisify(gzip), deflate: promisify(deflate) }

/** What is asked for, without its query. Proxies send it whole, `http://host/path`: its host then stands for the header's (RFC 9112, 3.2.2). */
export function targetOf({ url = '/', headers }: IncomingMessage): { path: string; host: string } {
  const whole = url.startsWith('/') ? undefined : /^https?:\/\/(?:[^/?#@]*@)?([^/?#]*)([^?#]*)/i.exec(url)
  if (whole) return { path: whole[2] || '/', host: whole[1]! }
  return { path: url.split('?')[0]!, host: headers.host ?? '' }
}

/**
 * The whole body, unpacked where it came packed.
 * @throws ScoringError 413 beyond `maxBytes` (of what comes out, too: a small body may unpack to a huge one), 415, 400
 */
export async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new ScoringError(413, 'BAD_REQUEST', `The body is larger than the ${maxBytes} bytes allowed.`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  const encoding = request.headers['content-encoding'] ?? 'identity'
  const stream = unpacked(request, encoding)
  let chunks: Buffer[] | undefined
  try {
    chunks = await chunksOf(stream, maxBytes)
  } catch (error) {
    if (stream !== request && request.complete)
      throw badRequest(`The body is not ${encoding}: ${error instanceof Error ? error.message : String(error)}.`)
    throw badRequest('The connection ended before the body did.')
  }
  if (!chunks) throw tooLarge()
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

/** By events: an iterator would cost as much as the rest of a small request. Undefined beyond `maxBytes`. */
function chunksOf(stream: Readable, maxBytes: number): Promise<Buffer[] | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) chunks.push(chunk)
      else {
        // Left early, the stream must live on: its connection still has to carry the answer.
        stream.removeAllListeners('data').pause()
        resolve(undefined)
      }
    })
    stream.once('end', () => resolve(chunks))
    stream.once('error', reject)
    stream.once('close', () => {
      if (!stream.readableEnded) reject(new Error('closed before its end'))
    })
  })
}

function unpacked(request: IncomingMessage, encoding: string): Readable {
  const unpacker = unpackers[encoding]
  if (encoding === 'identity' || encoding === '') return request
  if (!unpacker) throw new ScoringError(415, 'BAD_REQUEST', `Content encoding "${encoding}" is not served.`)
  const unpacking = unpacker()
  request.once('error', (error) => unpacking.destroy(error))
  request.once('aborted', () => unpacking.destroy(new Error('aborted')))
  return request.pipe(unpacking)
}

const unpackers: Record<string, () => Transform> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

/** Sends a body, packed where the client wants it so: always where it named one packing only, else where it is worth it. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: Record<string, string | number>,
): Promise<void> {
  const packing = packingOf(request.headers['accept-encoding'], body.length)
  const sent = packing ? await packers[packing](body) : body
  if (response.destroyed) return
  response.writeHead(status, {
    ...headers,
    ...(packing ? { 'content-encoding': packing, vary: 'accept-encoding' } : {}),
    'content-length': sent.length,
  })
  response.end(request.method === 'HEAD' ? undefined : sent)
}

function packingOf(accepted: string | string[] | undefined, bytes: number): keyof typeof packers | undefined {
  if (!accepted) return undefined
  const named = String(accepted)
    .split(',')
    .map((one) => one.trim().toLowerCase())
  if (named.length === 1 && (named[0] === 'gzip' || named[0] === 'deflate')) return named[0]
  if (bytes < worthPackingBytes) return undefined
  return named.some((one) => one === 'gzip' || (one.startsWith('gzip;') && !/q=0(\.0*)?$/.test(one)))
    ? 'gzip'
    : undefined
}

export const sendJson = (request: IncomingMessage, response: ServerResponse, status: number, value: unknown) =>
  send(request, response, status, Buffer.from(JSON.stringify(value)), { 'content-type': 'application/json' })

export const sendText = (request: IncomingMessage, response: ServerResponse, status: number, text: string) =>
  send(request, response, status, Buffer.from(text), { 'content-type': 'text/plain; charset=utf-8' })

/**
 * For a request that is refused before its body has come: who sends before he reads would otherwise meet a broken pipe instead of the
 * answer. So the rest is read and thrown away, for a while.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete) return
  request.resume()
  const late = setTimeout(() => request.complete || request.destroy(), 10_000).unref()
  request.once('close', () => clearTimeout(late))
}

/** The last resort behind all other deadlines: whatever was forgotten on the way, no client waits for ever. */
export function answerInTime(response: ServerResponse, ms: number): void {
  const late = setTimeout(() => {
    if (response.headersSent) return
    const message = 'Request processing time exceeded limit'
    response.writeHead(504, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ error_code: 'DEADLINE_EXCEEDED', message, error: message }))
  }, ms).unref()
  response.once('close', () => clearTimeout(late))
}

/** What was wrong with an input that was answered all the same: `x-modelwright-input-warnings: range=2, missing=1`. */
export function warningHeader(warnings: Record<string, number>): Record<string, string> {
  const text = warningsText(warnings)
  return text === '' ? {} : { 'x-modelwright-input-warnings': text }
}

/** Aborted when the client hangs up before its answer is sent. */
export function hangUpSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return gone.signal
}

/** @throws ScoringError 405 */
export function onlyMethods(request: IncomingMessage, response: ServerResponse, ...methods: string[]): void {
  if (methods.includes(request.method ?? '')) return
  response.setHeader('allow', methods.join(', '))
  throw new ScoringError(405, 'BAD_REQUEST', `This answers ${methods.join(' and ')}; found ${request.method}.`)
}

export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw badRequest(`"${part}" is not a valid part of a path.`)
  }
}
