/** The texts one behind the other; with `copied` a span of those bytes stands behind each but the last. */
export type Line = { texts: readonly string[]; copied?: { body: Buffer; spans: readonly number[] } }

/** In letters. */
export function lengthOf({ texts, copied }: Line): number {
  let length = texts.reduce((sum, text) => sum + text.length, 0)
  const spans = copied?.spans ?? []
  for (let at = 0; at < spans.length; at += 2) length += spans[at + 1]! - spans[at]!
  return length
}

const usualBytes = 1 << 20

/** Lines as bytes, in memory that is used again: of fresh megabytes the system would have to zero each page first. */
export class LineBuffer {
  #memory = Buffer.allocUnsafeSlow(usualBytes)
  #length = 0
  lines = 0

  add(line: Line): void {
    const { texts, copied } = line
    // A letter takes three bytes at most.
    this.#makeRoom(3 * lengthOf(line) + 1)
    for (const [at, text] of texts.entries()) {
      this.#length += this.#memory.write(text, this.#length)
      if (copied && at < texts.length - 1)
        this.#length += copied.body.copy(this.#memory, this.#length, copied.spans[2 * at], copied.spans[2 * at + 1])
    }
    this.#memory[this.#length++] = 10
    this.lines++
  }

  /** So that usual lines need no more memory than there is. */
  get isFull(): boolean {
    return this.#length >= usualBytes / 2
  }

  /** Until the next line is added. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  clear(): void {
    if (this.#memory.length > usualBytes) this.#memory = Buffer.allocUnsafeSlow(usualBytes)
    this.#length = 0
    this.lines = 0
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#memory.length) return
    const memory = Buffer.allocUnsafeSlow(this.#length + bytes)
    this.#memory.copy(memory, 0, 0, this.#length)
    this.#memory = memory
  }
}
