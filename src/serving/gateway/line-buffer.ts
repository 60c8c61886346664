const usualBytes = 1 << 20

/** Lines as bytes, in memory that is used again: of fresh megabytes the system would have to zero each page first. */
export class LineBuffer {
  #memory = Buffer.allocUnsafeSlow(usualBytes)
  #length = 0
  lines = 0

  add(line: string): void {
    // A letter takes three bytes at most.
    this.#makeRoom(3 * line.length + 1)
    this.#length += this.#memory.write(line, this.#length)
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
