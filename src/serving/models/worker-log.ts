import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs'

const maxBytes = 5_000_000

/** What a model's code prints, in a file that is cut over to `.1` once it is full: at most twice the size is ever kept. */
export class WorkerLog {
  readonly #path: string
  #stream: WriteStream | undefined
  #bytes = 0

  constructor(path: string) {
    this.#path = path
  }

  write(chunk: Buffer | string): void {
    if (!this.#stream) this.#open()
    this.#bytes += chunk.length
    // A reader that is slower than the model's prints must not grow the gateway.
    if (this.#stream!.writableLength < 1_000_000) this.#stream!.write(chunk)
    if (this.#bytes > maxBytes) this.#rotate()
  }

  close(): void {
    this.#stream?.end()
    this.#stream = undefined
  }

  #open(): void {
    this.#bytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0
    this.#stream = createWriteStream(this.#path, { flags: 'a', mode: 0o600 })
    // A full disk costs the model's log, never an answer.
    this.#stream.on('error', () => undefined)
  }

  #rotate(): void {
    this.close()
    try {
      renameSync(this.#path, `${this.#path}.1`)
    } catch {
      this.#bytes = 0
    }
  }
}
