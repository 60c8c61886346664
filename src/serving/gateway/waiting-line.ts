import type { EpochMs } from '../../kernel/time.ts'
import { unavailable } from '../scoring-error.ts'

export type LineLimits = { requests: number; bytes: number }

type Waiting = { bytes: number; since: EpochMs; deadline: EpochMs; go: () => void; refuse: (error: Error) => void }

/** Requests that came while no version could take them, in their order; they are given to one as soon as there is one. */
export class WaitingLine {
  readonly #limits: LineLimits
  #waiting: Waiting[] = []
  #bytes = 0

  constructor(limits: LineLimits) {
    this.#limits = limits
  }

  get length(): number {
    return this.#waiting.length
  }

  /** When the first of them came. */
  get since(): EpochMs | undefined {
    return this.#waiting[0]?.since
  }

  /** Until it is this one's turn. @throws ScoringError 503 where the line is full, the deadline passes, or nobody will come */
  join(request: { bytes: number; since: EpochMs; deadline: EpochMs; signal?: AbortSignal | undefined }): Promise<void> {
    const { bytes, since, deadline, signal } = request
    if (this.#waiting.length >= this.#limits.requests || this.#bytes + bytes > this.#limits.bytes)
      return Promise.reject(
        unavailable(`${this.#waiting.length} requests wait already for a model that is not loaded.`),
      )
    return new Promise((resolve, reject) => {
      const one: Waiting = { bytes, since, deadline, go: resolve, refuse: reject }
      this.#waiting.push(one)
      this.#bytes += bytes
      signal?.addEventListener('abort', () => this.#refuse((other) => other === one, 'The client hung up.'), {
        once: true,
      })
    })
  }

  /** The first one goes. */
  next(): void {
    const first = this.#waiting.shift()
    if (!first) return
    this.#bytes -= first.bytes
    first.go()
  }

  expire(now: EpochMs): void {
    if (this.#waiting.some(({ deadline }) => deadline <= now))
      this.#refuse(({ deadline }) => deadline <= now, 'The model was not loaded in time.')
  }

  refuseAll(message: string): void {
    this.#refuse(() => true, message)
  }

  #refuse(which: (one: Waiting) => boolean, message: string): void {
    const [leaving, staying] = [this.#waiting.filter(which), this.#waiting.filter((one) => !which(one))]
    this.#waiting = staying
    for (const one of leaving) {
      this.#bytes -= one.bytes
      one.refuse(unavailable(message))
    }
  }
}
