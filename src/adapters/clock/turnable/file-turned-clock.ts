import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EpochMs } from '../../../kernel/time.ts'
import type { Clock } from '../../../ports/clock.ts'

const pollMs = 50

/** The machine's clock plus an offset that a file holds (milliseconds), so that a test turns several processes at once. */
export class FileTurnedClock implements Clock {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  now(): EpochMs {
    return Date.now() + this.#offset()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const end = this.now() + ms
    // As the machine's own timers, it never lasts longer than asked, also where the clock is turned back meanwhile.
    const latest = performance.now() + ms
    for (let left = ms; left > 0 && !signal?.aborted; left = Math.min(end - this.now(), latest - performance.now()))
      await sleep(Math.min(left, pollMs), undefined, { signal }).catch(endedEarly)
  }

  turn(ms: number): void {
    const beside = `${this.#path}.${process.pid}`
    writeFileSync(beside, String(this.#offset() + ms))
    renameSync(beside, this.#path)
  }

  #offset(): number {
    try {
      return Number(readFileSync(this.#path, 'utf8')) || 0
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
      throw error
    }
  }
}

function endedEarly(error: Error): void {
  if (error.name !== 'AbortError') throw error
}
