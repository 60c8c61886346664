import { type LookupAddress, lookup as lookupAddress } from 'node:dns'
import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { messageOf } from '../kernel/errors.ts'
import { isPublicAddress } from './public-address.ts'
import type { Attempt } from './webhook.ts'

export const sendTimeoutMs = 30_000
const keptOfAnswer = 64 * 1024

/** An address that the policy does not allow: the attempt is not made, and not made again. */
class NotPublic extends Error {}

export type Post = { url: string; headers: Record<string, string>; body: string; allowPrivate: boolean }

/**
 * One POST, no redirect followed, the answer's first 64 KB kept, over after 30 s. The address is looked up once and that address is
 * connected to: a name that leads elsewhere between check and connection gains nothing. No proxy is used, for the same reason.
 */
export async function post({ url, headers, body, allowPrivate }: Post, signal: AbortSignal): Promise<Attempt> {
  const target = new URL(url)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  // The lookup is skipped for a literal address.
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host))
    return { kind: 'refused', reason: refusal(host, host) }
  const timeout = AbortSignal.timeout(sendTimeoutMs)
  try {
    const response = await open(target, body, {
      method: 'POST',
      agent: false,
      headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)), 'User-Agent': 'modelwright' },
      signal: AbortSignal.any([signal, timeout]),
      ...(allowPrivate ? {} : { lookup: publicOnly }),
    })
    const retryAfter = response.headers['retry-after']
    return {
      kind: 'answered',
      status: response.statusCode ?? 0,
      body: await beginningOf(response),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }
  } catch (error) {
    if (error instanceof NotPublic) return { kind: 'refused', reason: error.message }
    if (timeout.aborted) return { kind: 'unreachable', reason: `No answer within ${sendTimeoutMs / 1000} s.` }
    return { kind: 'unreachable', reason: `${target.host} could not be reached: ${messageOf(error)}` }
  }
}

function open(target: URL, body: string, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, options, resolve)
    request.on('error', reject)
    request.end(body)
  })
}

/** What the receiver says matters little; a stream without end must not matter at all. */
async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= keptOfAnswer) break
    }
  } catch {
    // The status has come; a body that breaks off changes nothing of it.
  }
  return Buffer.concat(chunks).subarray(0, keptOfAnswer).toString('utf8').replaceAll('\0', '')
}

const publicOnly: LookupFunction = (hostname, options, done) => {
  lookupAddress(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return done(error, '')
    const inner = addresses.find(({ address }) => !isPublicAddress(address))
    if (inner) return done(new NotPublic(refusal(hostname, inner.address)) as NodeJS.ErrnoException, '')
    if (options.all) return done(null, addresses)
    done(null, addresses[0]!.address, addresses[0]!.family)
  })
}

/** MLflow's words (utils/validation.py). */
export const refusal = (host: string, address: string): string =>
  `Webhook URL must not resolve to a non-public IP address. '${host}' resolves to ${address}.`
