import { setImmediate } from 'node:timers/promises'
import { ScoringError } from '../scoring-error.ts'

const sliceMs = 4

/** Keeps long work from keeping others waiting: every few milliseconds everybody else has a turn. */
export class Pace {
  readonly #signal: AbortSignal | undefined
  readonly #limitMs: number
  readonly #startedAt = performance.now()
  #turnAt = this.#startedAt

  /** @param limitMs after which it is given up */
  constructor(limitMs: number, signal: AbortSignal | undefined) {
    this.#limitMs = limitMs
    this.#signal = signal
  }

  get isDue(): boolean {
    return performance.now() - this.#turnAt >= sliceMs
  }

  /** @throws ScoringError 504 where it took too long, 503 where nobody waits any more */
  async rest(): Promise<void> {
    await setImmediate()
    if (this.#signal?.aborted) throw new ScoringError(503, 'TEMPORARILY_UNAVAILABLE', 'The client hung up.')
    if (performance.now() - this.#startedAt > this.#limitMs)
      throw new ScoringError(
        504,
        'DEADLINE_EXCEEDED',
        `The explanation was not ready within ${this.#limitMs / 1000} s; ask for fewer rows at once.`,
      )
    this.#turnAt = performance.now()
  }
}
