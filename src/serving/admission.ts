import type { EpochMs } from '../kernel/time.ts'
import { answersPerSecond, noThroughput, retryAfterSeconds, type Throughput, withAnswer } from './decide/throughput.ts'
import { ScoringError, tooMany, unavailable } from './scoring-error.ts'

export type AdmissionLimits = {
  /** Requests that are computed at once; where it is left out the model takes what it can, and the rest waits with it. */
  concurrency?: number
  /** Requests that may wait besides. */
  queue: number
  /** How long a client is kept waiting in all; for ever where it is left out (the model has a limit of its own). */
  deadlineMs?: number
}

export type AdmissionSetting = {
  now: () => EpochMs
  /** Asked at each request: they change with what Git says. */
  limits: () => AdmissionLimits
  /** Processes that compute at once; they hold as many that do not wait. */
  computing: () => number
  /** Whether somebody can answer now. While nobody can, requests wait for the model and not for each other. */
  isReady: () => boolean
}

type Waiting = { begin: () => void; refuse: (error: ScoringError) => void; deadline: EpochMs }
type Computed = { refuse: (error: ScoringError) => void; deadline: EpochMs }

/** The door of one model: how many requests are inside, how many wait, and who is told to come again. First come, first served. */
export class Admission {
  /** Requests that were turned away because too many were here. */
  turnedAway = 0
  readonly #setting: AdmissionSetting
  #waiting: Waiting[] = []
  readonly #timed = new Set<Computed>()
  #inside = 0
  #counted = 0
  #pace: Throughput

  constructor(setting: AdmissionSetting) {
    this.#setting = setting
    this.#pace = noThroughput(setting.now())
  }

  /** Requests that wait at the door, and those behind it. */
  get waiting(): number {
    return this.#waiting.length
  }
  get inside(): number {
    return this.#inside
  }

  /** @throws ScoringError 429 where too many wait for a model that can answer, 503 where it cannot, 504 past the deadline */
  run<Value>(work: () => Promise<Value>, signal?: AbortSignal): Promise<Value> {
    const limits = this.#setting.limits()
    const { concurrency, deadlineMs } = limits
    const mustWait = concurrency !== undefined && (this.#inside >= concurrency || this.#waiting.length > 0)
    if (this.#isFull(limits)) return Promise.reject(this.#refusal(limits))
    if (!mustWait && deadlineMs === undefined) return this.#within(work)
    const deadline = this.#setting.now() + (deadlineMs ?? Number.POSITIVE_INFINITY)
    return mustWait ? this.#later(work, deadline, signal) : this.#inTime(work, deadline)
  }

  /** Called every fraction of a second: who was kept waiting too long is told so. */
  expire(now: EpochMs): void {
    const late = this.#waiting.filter((one) => one.deadline <= now)
    if (late.length > 0) this.#waiting = this.#waiting.filter((one) => one.deadline > now)
    for (const one of late) one.refuse(unavailable('The model was not free in time.', this.#retryAfter()))
    for (const one of this.#timed)
      if (one.deadline <= now) one.refuse(new ScoringError(504, 'DEADLINE_EXCEEDED', tooLate))
    this.#beginNext()
  }

  #isFull({ concurrency, queue }: AdmissionLimits): boolean {
    if (concurrency !== undefined) return this.#inside >= concurrency && this.#waiting.length >= queue
    return this.#setting.isReady() && this.#counted >= queue + this.#setting.computing()
  }

  #refusal({ concurrency }: AdmissionLimits): ScoringError {
    this.turnedAway++
    const retryAfter = this.#retryAfter()
    const here =
      concurrency === undefined
        ? `${this.#inside} are here`
        : `${this.#inside} are computed, ${this.#waiting.length} wait`
    const message = `Too many requests at once: ${here}.`
    return this.#setting.isReady() ? tooMany(message, retryAfter) : unavailable(message, retryAfter)
  }

  #retryAfter(): number {
    const perSecond = answersPerSecond(this.#pace, this.#setting.now())
    return retryAfterSeconds(this.#waiting.length + this.#inside, perSecond)
  }

  async #within<Value>(work: () => Promise<Value>): Promise<Value> {
    // Who came while nobody could answer waited for the model: that crowd turns nobody away once it can.
    const counts = this.#setting.isReady() ? 1 : 0
    this.#inside++
    this.#counted += counts
    try {
      return await work()
    } finally {
      this.#inside--
      this.#counted -= counts
      this.#pace = withAnswer(this.#pace, this.#setting.now())
      this.#beginNext()
    }
  }

  #later<Value>(work: () => Promise<Value>, deadline: EpochMs, signal: AbortSignal | undefined): Promise<Value> {
    if (signal?.aborted) return Promise.reject(unavailable('The client hung up.'))
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        deadline,
        refuse: reject,
        begin: () => this.#inTime(work, deadline).then(resolve, reject),
      }
      this.#waiting.push(waiting)
      signal?.addEventListener('abort', () => this.#leave(waiting), { once: true })
    })
  }

  /** The work goes on behind a client that was told of its deadline: what has begun cannot be stopped. */
  #inTime<Value>(work: () => Promise<Value>, deadline: EpochMs): Promise<Value> {
    if (deadline === Number.POSITIVE_INFINITY) return this.#within(work)
    return new Promise((resolve, reject) => {
      const computed: Computed = { refuse: reject, deadline }
      this.#timed.add(computed)
      this.#within(work)
        .then(resolve, reject)
        .finally(() => this.#timed.delete(computed))
    })
  }

  #leave(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    waiting.refuse(unavailable('The client hung up.'))
  }

  #beginNext(): void {
    const { concurrency = Number.POSITIVE_INFINITY } = this.#setting.limits()
    while (this.#waiting.length > 0 && this.#inside < concurrency) this.#waiting.shift()!.begin()
  }
}

const tooLate = 'Request processing time exceeded limit'
