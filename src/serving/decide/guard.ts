import type { EndpointDesired } from '../gateway-state.ts'

export type GuardCounts = { requests: number; errors: number; inputFailures: number }
export type GuardFinding = { outcome: 'too few' | 'within' } | { outcome: 'broken'; reason: string }

/**
 * The gateway's own brake, for the time in which no server looks: plain shares of the newcomer's requests, once there are
 * `minRequests`. It tests no hypothesis on purpose: it may stop a good newcomer by chance (a rollout is then repeated),
 * and the server's own analysis, which does, decides about everything else.
 */
export function judgeGuard(guard: NonNullable<EndpointDesired['guard']>, counts: GuardCounts): GuardFinding {
  if (counts.requests === 0 || counts.requests < guard.minRequests) return { outcome: 'too few' }
  const broken = [
    brokenBound('failed', counts.errors, counts.requests, guard.maxErrorRate),
    brokenBound('had their input refused', counts.inputFailures, counts.requests, guard.maxInputFailureRate),
  ].filter((text) => text !== undefined)
  return broken.length === 0 ? { outcome: 'within' } : { outcome: 'broken', reason: broken.join('; ') }
}

function brokenBound(what: string, count: number, of: number, max: number | undefined): string | undefined {
  if (max === undefined || count / of <= max) return undefined
  return `${count} of ${of} requests ${what} (${percent(count / of)}, allowed ${percent(max)})`
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))}%`
