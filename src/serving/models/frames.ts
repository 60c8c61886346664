/** A frame of the worker's protocol; python/worker/modelwright_worker.py describes it. */
export type Frame = { header: Record<string, unknown>; body: Buffer }

export function encodeFrame(header: object, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.from(JSON.stringify(header))
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32BE(4 + head.length + body.length, 0)
  lengths.writeUInt32BE(head.length, 4)
  return Buffer.concat([lengths, head, body])
}

/** Cuts a stream of bytes into frames, however its chunks fall. */
export class FrameReader {
  readonly #deliver: (frame: Frame) => void
  #chunks: Buffer[] = []
  #length = 0

  constructor(deliver: (frame: Frame) => void) {
    this.#deliver = deliver
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    while (this.#length >= 8) {
      const head = this.#joined(8)
      const total = 4 + head.readUInt32BE(0)
      if (this.#length < total) return
      const all = this.#joined(total)
      const bodyAt = 8 + all.readUInt32BE(4)
      const header = JSON.parse(all.toString('utf8', 8, bodyAt)) as Record<string, unknown>
      const body = Buffer.from(all.subarray(bodyAt, total))
      this.#chunks = [all.subarray(total)]
      this.#length -= total
      this.#deliver({ header, body })
    }
  }

  /** The first chunk, made to hold at least so many bytes. Chunks are joined only when a whole frame is there. */
  #joined(bytes: number): Buffer {
    if (this.#chunks[0]!.length < bytes) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }
}
