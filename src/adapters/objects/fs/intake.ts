import type { FileHandle } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'

export const blockBytes = 1024 * 1024
/** One system call for many of a socket's chunks. */
const batchBytes = 2 * blockBytes
/** Enough that disk and sender need not wait for each other; with them the memory that one intake needs is bounded. */
const batchesInFlight = 4
/** The disk begins to write while bytes still arrive, so that the last synchronisation has little left to do. */
const syncEveryBytes = 32 * blockBytes

export type TakenIn = { size: number; blockSums: number[] }

/** Writes chunks to a file without copying them, with a checksum of each block. Resolves when all of it is synchronised. */
export async function takeIn(chunks: AsyncIterable<Uint8Array>, file: FileHandle): Promise<TakenIn> {
  const sums = new RunningSums()
  const disk = new BatchedWriter(file)
  try {
    for await (const chunk of chunks) {
      sums.add(chunk)
      await disk.add(chunk)
    }
    await disk.finish()
    return { size: disk.size, blockSums: sums.end() }
  } catch (error) {
    // The file is closed next: nothing may still be writing to it.
    await disk.settled()
    throw error
  }
}

/** The chunks of a stream as bytes; the stream outlives an early end of the loop, so that its sender can still be answered. */
export async function* chunksOf(content: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of content.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array | string>)
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}

/** The whole where it is no longer than `most`; else all the chunks, those already read first. */
export async function startOf(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  most: number,
): Promise<{ whole: Buffer; chunks?: never } | { whole?: never; chunks: AsyncIterable<Uint8Array> }> {
  const read: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { value, done } = await chunks.next()
    if (done) return { whole: Buffer.concat(read) }
    read.push(value)
    size += value.length
    if (size > most) return { chunks: followed(read, chunks) }
  }
}

async function* followed(read: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>) {
  yield* read
  yield* rest
}

/** CRC-32 of each block of a stream, however it is cut into chunks. */
class RunningSums {
  readonly #sums: number[] = []
  #sum = 0
  #filled = 0

  add(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + blockBytes - this.#filled)
      this.#sum = crc32(part, this.#sum)
      this.#filled += part.length
      from += part.length
      if (this.#filled < blockBytes) continue
      this.#sums.push(this.#sum)
      this.#sum = this.#filled = 0
    }
  }

  end(): number[] {
    return this.#filled > 0 ? [...this.#sums, this.#sum] : this.#sums
  }
}

export function blockSumsOf(bytes: Uint8Array): number[] {
  const sums = new RunningSums()
  sums.add(bytes)
  return sums.end()
}

class BatchedWriter {
  size = 0
  readonly #file: FileHandle
  readonly #writing = new Set<Promise<void>>()
  #batch: Uint8Array[] = []
  #batched = 0
  #unsynced = 0
  #syncing: Promise<void> | undefined
  #failure: { error: unknown } | undefined

  constructor(file: FileHandle) {
    this.#file = file
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.#batch.push(chunk)
    this.#batched += chunk.length
    if (this.#batched < batchBytes) return
    this.#write()
    while (this.#writing.size >= batchesInFlight) await Promise.race(this.#writing)
    this.#refuse()
  }

  async finish(): Promise<void> {
    this.#write()
    await this.settled()
    this.#refuse()
    await this.#file.sync()
  }

  async settled(): Promise<void> {
    await Promise.all(this.#writing)
    await this.#syncing
  }

  #write(): void {
    if (this.#batched === 0) return
    const writing = writeAll(this.#file, this.#batch, this.size)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
    this.size += this.#batched
    this.#unsynced += this.#batched
    this.#batch = []
    this.#batched = 0
    if (this.#unsynced >= syncEveryBytes && !this.#syncing) this.#startSync()
  }

  #startSync(): void {
    this.#unsynced = 0
    this.#syncing = this.#file
      .datasync()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#syncing = undefined
      })
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
  }

  #refuse(): void {
    if (this.#failure) throw this.#failure.error
  }
}

async function writeAll(file: FileHandle, batch: readonly Uint8Array[], position: number): Promise<void> {
  const { bytesWritten } = await file.writev(batch, position)
  let skip = bytesWritten
  let at = position + bytesWritten
  // A disk that is nearly full takes a part.
  for (const chunk of batch) {
    if (skip >= chunk.length) {
      skip -= chunk.length
      continue
    }
    for (let done = skip; done < chunk.length; ) {
      const written = (await file.write(chunk, done, chunk.length - done, at)).bytesWritten
      done += written
      at += written
    }
    skip = 0
  }
}
