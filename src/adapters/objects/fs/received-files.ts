import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { ByteRange, Received, ReceivedId } from '../../../ports/object-store.ts'
import { alteredReceived, named, unknownReceived } from '../object-errors.ts'
import type { BlockSums } from './block-sums.ts'
import { absentOrThrow, namesIn, synchroniseFolder } from './files.ts'
import type { HashThreads } from './hash-threads.ts'
import { blockBytes, chunksOf, takeIn } from './intake.ts'
import { readBlocks, spanOf } from './read-blocks.ts'

/** What was received and has no digest yet: one file each, under a name that nobody can guess. */
export class ReceivedFiles {
  readonly #incoming: string
  readonly #folder: string
  readonly #sums: BlockSums
  readonly #threads: HashThreads

  constructor(folders: { incoming: string; received: string }, sums: BlockSums, threads: HashThreads) {
    this.#incoming = folders.incoming
    this.#folder = folders.received
    this.#sums = sums
    this.#threads = threads
  }

  async receive(content: Readable): Promise<Received> {
    const id = randomUUID()
    const growing = join(this.#incoming, id)
    const path = join(this.#folder, id)
    try {
      await mkdir(this.#incoming, { recursive: true })
      const made = await mkdir(this.#folder, { recursive: true })
      const { size, blockSums } = await written(growing, content)
      await rename(growing, path)
      await synchroniseFolder(this.#folder)
      if (made !== undefined) await synchroniseFolder(dirname(this.#folder))
      await this.#sums.keep(id, await stat(path, { bigint: true }), blockSums)
      return { id, size, checksum: crc32(blockSums.join(' ')).toString(16).padStart(8, '0') }
    } catch (error) {
      for (const left of [growing, path]) await rm(left, { force: true })
      throw named(error, this.#folder)
    }
  }

  async open(id: ReceivedId, range?: ByteRange): Promise<Readable> {
    const { file, sums, size } = await this.#openWithSums(id)
    return readBlocks(file, spanOf(range, size), sums, (block) => alteredReceived(id, block))
  }

  /** The checksums from when the bytes came in, and where they lie. */
  async facts(id: ReceivedId): Promise<{ path: string; sums: readonly number[] }> {
    const { file, sums } = await this.#openWithSums(id)
    await file.close()
    return { path: this.#pathOf(id), sums }
  }

  async discard(id: ReceivedId): Promise<void> {
    await rm(this.#pathOf(id), { force: true })
    await this.#sums.forget(id)
  }

  async *list(): AsyncIterable<ReceivedId> {
    yield* await namesIn(this.#folder)
  }

  /** When the bytes came in, by the file system's time. */
  async changedMs(id: ReceivedId): Promise<number | undefined> {
    return (await stat(this.#pathOf(id)).catch(absentOrThrow))?.mtimeMs
  }

  async #openWithSums(id: ReceivedId): Promise<{ file: FileHandle; sums: readonly number[]; size: number }> {
    const file = await open(this.#pathOf(id), 'r').catch(absentOrThrow)
    if (!file) throw unknownReceived(id)
    try {
      const facts = await file.stat({ bigint: true })
      // A power loss may have taken the checksums: then they are those of what is there.
      const sums =
        (await this.#sums.of(id, facts)) ?? (await this.#threads.file(this.#pathOf(id), blockBytes)).blockSums
      return { file, sums, size: Number(facts.size) }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  #pathOf(id: ReceivedId): string {
    if (!/^[0-9a-f-]{36}$/.test(id)) throw unknownReceived(id)
    return join(this.#folder, id)
  }
}

async function written(path: string, content: Readable) {
  const file = await open(path, 'wx', 0o444)
  try {
    return await takeIn(chunksOf(content), file)
  } finally {
    await file.close()
  }
}
