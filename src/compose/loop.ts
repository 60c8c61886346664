import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'

/**
 * A level-triggered loop: a pass looks at what is recorded and brings it on. It runs when woken and, for what nobody told of,
 * every now and then. Passes never overlap; one that throws is logged and tried again at the next turn.
 */
export class Loop {
  readonly name: string
  readonly #everyMs: number
  readonly #pass: (signal: AbortSignal) => Promise<unknown>
  #wakeUp: () => void = () => {}
  #woken = false

  constructor(name: string, everyMs: number, pass: (signal: AbortSignal) => Promise<unknown>) {
    this.name = name
    this.#everyMs = everyMs
    this.#pass = pass
  }

  wake = (): void => {
    this.#woken = true
    this.#wakeUp()
  }

  async run(clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken = false
      await this.#pass(signal).catch((error: unknown) => {
        if (!signal.aborted) log.error({ err: error, loop: this.name }, 'a pass failed')
      })
      if (!this.#woken && !signal.aborted) await this.#rest(clock, signal)
    }
  }

  async #rest(clock: Clock, signal: AbortSignal): Promise<void> {
    const enough = new AbortController()
    // With a reason: without one it would make an error, and its stack's trace, of each wake-up.
    const stop = () => enough.abort('woken')
    signal.addEventListener('abort', stop, { once: true })
    this.#wakeUp = stop
    await clock.sleep(this.#everyMs, enough.signal)
    this.#wakeUp = () => {}
    signal.removeEventListener('abort', stop)
  }
}
