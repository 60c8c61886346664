import { timingSafeEqual } from 'node:crypto'
import { ScoringError } from '../scoring-error.ts'

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

/**
 * @param named '' where nobody was named, as probes of HTTP/1.0 do: browsers, whom this is about, always name one
 * @param allowed names beside loopback ones (against DNS rebinding); undefined: any
 * @throws ScoringError 403
 */
export function checkHost(named: string, allowed: readonly string[] | undefined): void {
  if (!allowed || named === '') return
  const host = named
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  if (!isLoopback(host) && !allowed.includes(host) && !allowed.includes('*'))
    throw new ScoringError(403, 'PERMISSION_DENIED', `Host "${host}" is not served here.`)
}

/** @throws ScoringError 401 */
export function checkToken(authorization: string | undefined, token: string | undefined): void {
  if (token === undefined) return
  const given = Buffer.from(authorization ?? '')
  const needed = Buffer.from(`Bearer ${token}`)
  if (given.length !== needed.length || !timingSafeEqual(given, needed))
    throw new ScoringError(401, 'UNAUTHENTICATED', 'A token is needed here: Authorization: Bearer TOKEN.')
}
