import type { EpochMs } from '../../kernel/time.ts'
import type { FailureKind, Retries } from '../../projects/index.ts'

export type AfterFailure = { outcome: 'ends' } | { outcome: 'again'; notBefore: EpochMs }

/** A step that a crash lost is tried anew so many times in all, also where it declares no retries. */
const attemptsAfterLoss = 3
const longestWaitMs = 24 * 3_600_000

/**
 * Whether a failed attempt (counted from 1) is followed by another, and when at the earliest: the pause doubles from `waitMs` on, and
 * never exceeds a day. What was lost is no fault of the step, so that it starts again at once, and so often without being asked.
 */
export function afterFailure(retries: Retries, failure: FailureKind, attempt: number, now: EpochMs): AfterFailure {
  if (retries.on.includes(failure) && attempt <= retries.times)
    return { outcome: 'again', notBefore: now + Math.min(longestWaitMs, retries.waitMs * 2 ** (attempt - 1)) }
  if (failure === 'lost' && attempt < attemptsAfterLoss) return { outcome: 'again', notBefore: now }
  return { outcome: 'ends' }
}

export type EndFacts = {
  code: number
  /** It was ended for its time limit. */
  timedOut: boolean
  /** A memory limit was declared. */
  memoryLimited: boolean
  /** How often the system ended a process of it for its memory; undefined where nobody counted. */
  memoryKills?: number
  /** Its last words. */
  tail: string
}

const noMemory = /MemoryError|std::bad_alloc|Cannot allocate memory|out of memory|OutOfMemory/i

/** Why a command that did not end well did so. Where nobody counted, its own words tell of memory. */
export function failureOf({ timedOut, memoryLimited, memoryKills, tail }: EndFacts): FailureKind {
  if (timedOut) return 'timeout'
  if (memoryKills !== undefined ? memoryKills > 0 : memoryLimited && noMemory.test(tail)) return 'memory'
  return 'error'
}
