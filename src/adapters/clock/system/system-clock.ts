import { setTimeout as sleep } from 'node:timers/promises'
import type { EpochMs } from '../../../kernel/time.ts'
import type { Clock } from '../../../ports/clock.ts'

// setTimeout takes at most 2^31 - 1 ms (25 days) and turns more into 1 ms.
const longestTimerMs = 2 ** 31 - 1

/** This machine's clock. */
export class SystemClock implements Clock {
  now(): EpochMs {
    return Date.now()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    for (let left = ms; left > 0 && !signal?.aborted; left -= longestTimerMs)
      await sleep(Math.min(left, longestTimerMs), undefined, { signal }).catch(endedEarly)
  }
}

function endedEarly(error: Error): void {
  if (error.name !== 'AbortError') throw error
}
