import { existsSync, readFileSync } from 'node:fs'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { type Readable, Transform } from 'node:stream'
import { rootCertificates } from 'node:tls'
import { addressProblem } from '../../../kernel/data-address.ts'
import { AppError, isAppError, messageOf } from '../../../kernel/errors.ts'
import { formatBytes } from '../../../kernel/units.ts'
import type { Addresses, Asking, AtAddress } from '../../../ports/addresses.ts'
import { tooLarge } from '../bounded.ts'

type Options = {
  mostBytes: number
  /** How this machine reaches the web: proxies, and the file of its certificates. */
  environment: Readonly<Record<string, string | undefined>>
  /** So long may nothing come. */
  stallMs?: number
}

const mostRedirects = 5
/** RFC 9110, 8.8.2.2: a file may have been written twice within the second that Last-Modified names. */
const settledAfterMs = 60_000

/** Files by https (and from this machine by http). */
export class WebAddresses implements Addresses {
  readonly #mostBytes: number
  readonly #stallMs: number
  readonly #https: HttpsAgent
  // What listens on this machine is not reached through a proxy.
  readonly #http = new HttpAgent()

  constructor({ mostBytes, environment, stallMs = 60_000 }: Options) {
    this.#mostBytes = mostBytes
    this.#stallMs = stallMs
    const certificates = environment.SSL_CERT_FILE
    this.#https = new HttpsAgent({
      proxyEnv: { ...environment },
      ...(certificates && existsSync(certificates)
        ? { ca: [...rootCertificates, readFileSync(certificates, 'utf8')] }
        : {}),
    })
  }

  async open(address: string, asking: Asking): Promise<AtAddress> {
    const first = new URL(address)
    let url = first
    for (let hops = 0; ; hops++) {
      const response = await this.#ask(url, {
        ...asking,
        ...(url.origin === first.origin ? {} : { secret: undefined }),
      })
      const location = response.headers.location
      if (!isRedirect(response) || location === undefined) return this.#answer(address, response, asking)
      response.destroy()
      if (hops === mostRedirects)
        throw unavailable(
          address,
          `was redirected more than ${mostRedirects} times`,
          'Name the address to which it leads.',
        )
      url = redirected(address, url, location)
    }
  }

  #ask(url: URL, { known, secret, signal }: Asking & { secret?: string | undefined }): Promise<IncomingMessage> {
    const tag = known?.startsWith('etag:') ? known.slice('etag:'.length) : undefined
    const headers = {
      // The bytes as they are kept: their digest is the data's.
      'accept-encoding': 'identity',
      'user-agent': 'modelwright',
      ...(tag === undefined ? {} : { 'if-none-match': tag }),
      ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
    }
    const call = { headers, timeout: this.#stallMs, ...(signal ? { signal } : {}) }
    return new Promise((done, fail) => {
      let answered: IncomingMessage | undefined
      const answer = (response: IncomingMessage) => {
        answered = response
        done(response)
      }
      const asked =
        url.protocol === 'http:'
          ? httpRequest(url, { ...call, agent: this.#http }, answer)
          : httpsRequest(url, { ...call, agent: this.#https }, answer)
      asked.on('timeout', () => (answered ?? asked).destroy(this.#stalled(url)))
      asked.on('error', (error) => fail(signal?.aborted ? signal.reason : unreachable(url, error)))
      asked.end()
    })
  }

  #answer(address: string, response: IncomingMessage, { known, signal }: Asking): AtAddress {
    const size = sizeOf(response)
    const validator = validatorOf(response, size)
    const isKnown = response.statusCode === 304 || (response.statusCode === 200 && validator === known)
    if (known !== undefined && isKnown) {
      response.destroy()
      return { state: 'unchanged' }
    }
    const problem =
      response.statusCode === 200 ? tooLarge(address, size ?? 0, this.#mostBytes) : refusal(address, response)
    if (problem) {
      response.destroy()
      throw problem
    }
    return {
      state: 'content',
      content: this.#contentOf(address, response, size, signal),
      ...(size === undefined ? {} : { size }),
      ...(validator === undefined ? {} : { validator }),
    }
  }

  #contentOf(address: string, response: IncomingMessage, size: number | undefined, signal?: AbortSignal): Readable {
    let seen = 0
    const mostBytes = this.#mostBytes
    const content = new Transform({
      transform(chunk: Buffer, _, done) {
        seen += chunk.length
        done(tooLarge(address, seen, mostBytes), chunk)
      },
      flush: (done) => done(size === undefined || seen === size ? null : brokenOff(address, seen, size)),
    })
    response.on('error', (error) => {
      const told = isAppError(error) ? error : brokenOff(address, seen, size, error)
      content.destroy(signal?.aborted ? signal.reason : told)
    })
    content.once('close', () => response.destroy())
    return response.pipe(content)
  }

  #stalled(url: URL): AppError {
    return new AppError(
      'DataUnreachable',
      `${shown(url)} sent nothing for ${this.#stallMs / 1000} s.`,
      'Try again later.',
    )
  }
}

const isRedirect = ({ statusCode = 0 }: IncomingMessage): boolean => [301, 302, 303, 307, 308].includes(statusCode)

/** From the web only on into the web: what listens on this machine is not for an address outside to reach. */
function redirected(address: string, from: URL, location: string): URL {
  const url = URL.parse(location, from.href)
  const problem = !url
    ? 'is none'
    : from.protocol === 'https:' && url.protocol !== 'https:'
      ? `is ${url.protocol.slice(0, -1)}`
      : addressProblem(url.href)
  if (url && problem === undefined && url.protocol !== 'file:') return url
  throw unavailable(
    address,
    `is redirected to ${url ? shown(url) : 'something'}, which ${problem ?? 'is a file'}`,
    'Name an address that leads to https://.',
  )
}

function sizeOf({ headers }: IncomingMessage): number | undefined {
  const size = Number(headers['content-length'] ?? Number.NaN)
  return Number.isSafeInteger(size) && size >= 0 ? size : undefined
}

/** Only what stands for the exact bytes: a weak tag stands for what means the same. */
function validatorOf({ headers }: IncomingMessage, size: number | undefined): string | undefined {
  if (headers.etag?.startsWith('"')) return `etag:${headers.etag}`
  const changed = Date.parse(headers['last-modified'] ?? '')
  const asked = Date.parse(headers.date ?? '')
  return size !== undefined && asked - changed >= settledAfterMs ? `modified:${changed}:${size}` : undefined
}

function refusal(address: string, { statusCode = 0, statusMessage = '' }: IncomingMessage): AppError {
  const said = `answers ${statusCode} ${statusMessage}`.trim()
  if (statusCode >= 500 || statusCode === 408 || statusCode === 429)
    return new AppError('DataUnreachable', `${address} ${said}.`, 'Try again later.')
  if (statusCode === 401 || statusCode === 403)
    return unavailable(address, said, 'Let it be read, or name the secret that it asks for: secret: NAME under data:.')
  return unavailable(address, said, 'Look whether the address in modelwright.yaml is right.')
}

function unreachable(url: URL, cause: unknown): AppError {
  if (isAppError(cause)) return cause
  // Where a name has several addresses, the error is about all of them and says nothing itself.
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  const message = `${shown(url)} cannot be reached: ${messageOf(first)}.`
  return new AppError('DataUnreachable', message, 'Look whether the server can reach it, then try again.', { cause })
}

const brokenOff = (address: string, seen: number, size: number | undefined, cause?: unknown): AppError =>
  new AppError(
    'DataUnreachable',
    `${address} broke off after ${formatBytes(seen)}${size === undefined ? '' : ` of ${formatBytes(size)}`}.`,
    'Try again later.',
    { cause },
  )

const unavailable = (address: string, what: string, next: string): AppError =>
  new AppError('DataUnavailable', `${address} ${what}.`, next)

/** What a redirection carries behind its question mark may be a key. */
const shown = ({ origin, pathname }: URL): string => origin + pathname
