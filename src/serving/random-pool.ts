import { randomBytes } from 'node:crypto'

const drawnAtOnce = 2_000

/** Bytes that nobody can guess, drawn many at once: a draw is a call of the system, which costs as much as answering. */
export class RandomPool {
  #bytes = Buffer.alloc(0)
  #at = 0

  /** @param count up to 2,000; no byte is given twice */
  take(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) {
      this.#bytes = randomBytes(drawnAtOnce)
      this.#at = 0
    }
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }
}
