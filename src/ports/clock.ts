import type { EpochMs } from '../kernel/time.ts'

/** The one source of time. `sleep` ends early, without error, when the signal aborts or when a turned clock passes its end. */
export interface Clock {
  now(): EpochMs
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}
