import type { EpochMs } from '../../../kernel/time.ts'
import type { Clock } from '../../../ports/clock.ts'

type Sleeper = { until: EpochMs; wake: () => void }

/** A clock that stands still until it is turned: for tests. */
export class TurnableClock implements Clock {
  #time: EpochMs
  #sleepers: Sleeper[] = []

  constructor(start: EpochMs) {
    this.#time = start
  }

  now(): EpochMs {
    return this.#time
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted) return Promise.resolve()
    return new Promise((done) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake)
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper)
        done()
      }
      const sleeper = { until: this.#time + ms, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  /**
   * Moves time on. Sleepers wake in the order of their ends, each seeing its own end as now, and what it does next (a shorter
   * sleep, say) still falls into this turn.
   */
  async turn(ms: number): Promise<void> {
    const end = this.#time + ms
    for (let next = this.#nextUntil(end); next; next = this.#nextUntil(end)) {
      this.#time = Math.max(this.#time, next.until)
      next.wake()
      await settled()
    }
    this.#time = end
    await settled()
  }

  /** How many sleep: lets a test wait until a loop has come to rest. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  #nextUntil(end: EpochMs): Sleeper | undefined {
    return this.#sleepers.filter((one) => one.until <= end).sort((a, b) => a.until - b.until)[0]
  }
}

/** Lets everything run that was woken, promises and finished reads alike. */
const settled = (): Promise<void> => new Promise((done) => setImmediate(done))
