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
      await rest(Math.min(left, longestTimerMs), signal)
  }
}

/** Without an error for what is no error: loops are woken many times a second, and each would cost its stack's trace. */
function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
  })
}
