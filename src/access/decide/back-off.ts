import type { EpochMs } from '../../kernel/time.ts'

/** Passwords tried for one name, without a right one since. */
export type Failures = { count: number; lastAt: EpochMs }

const free = 5
const firstWaitMs = 1000
const longestWaitMs = 60_000

/**
 * How long (ms, 0 = not at all) the next password for a name has to wait: the first five go freely, then the wait doubles from one
 * second to a minute. A guesser gets about 1,500 tries a day; a person who forgot is never locked out for longer than a minute.
 */
export function waitMs(failures: Failures | undefined, now: EpochMs): number {
  if (!failures || failures.count < free) return 0
  const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures.count - free, 16))
  return Math.max(0, failures.lastAt + wait - now)
}
