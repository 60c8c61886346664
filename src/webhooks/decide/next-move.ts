import type { EpochMs } from '../../kernel/time.ts'
import type { Attempt } from '../webhook.ts'

export const mostAttempts = 8
const longestPauseMs = 60_000
/** A receiver may ask for a longer pause than ours, but not hold a delivery for days. */
const longestAskedMs = 3_600_000
const retriedStatuses = [429, 500, 502, 503, 504]

export type Move = { to: 'delivered' } | { to: 'failed'; error: string } | { to: 'waiting'; at: EpochMs; error: string }

/**
 * After the `attempts`-th attempt (1 is the first): delivered on 2xx; again on 429, 500, 502, 503, 504 and where nobody answered, after
 * 1, 2, 4, … s (at most 60) and up to a second more (`chance` in 0..1), or after what Retry-After asks (at most an hour); failed
 * otherwise, on a redirect (never followed: it could lead to where the policy does not) and after 8 attempts.
 * Source: mlflow 3.17.2, webhooks/delivery.py, which gives up after 4: ours outlive a receiver's restart.
 */
export function nextMove(attempt: Attempt, attempts: number, now: EpochMs, chance: number): Move {
  if (attempt.kind === 'answered' && attempt.status >= 200 && attempt.status < 300) return { to: 'delivered' }
  const error = errorOf(attempt)
  const again =
    attempt.kind === 'unreachable' || (attempt.kind === 'answered' && retriedStatuses.includes(attempt.status))
  if (!again || attempts >= mostAttempts) return { to: 'failed', error }
  const asked = attempt.kind === 'answered' ? askedPauseMs(attempt.retryAfter, now) : undefined
  const pauseMs = asked ?? Math.min(1000 * 2 ** (attempts - 1), longestPauseMs) + Math.round(chance * 1000)
  return { to: 'waiting', at: now + pauseMs, error }
}

function errorOf(attempt: Attempt): string {
  if (attempt.kind !== 'answered') return attempt.reason
  const redirect = attempt.status >= 300 && attempt.status < 400 ? '; redirects are not followed' : ''
  const said = attempt.body.trim() === '' ? '' : `: ${attempt.body.trim().slice(0, 500)}`
  return `The receiver answered ${attempt.status}${redirect}${said}`
}

/** Seconds, or a date (RFC 9110, 10.2.3); undefined for anything else. */
function askedPauseMs(retryAfter: string | undefined, now: EpochMs): number | undefined {
  if (retryAfter === undefined) return undefined
  const text = retryAfter.trim()
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : /GMT$/.test(text) ? Date.parse(text) - now : Number.NaN
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestAskedMs)
}
