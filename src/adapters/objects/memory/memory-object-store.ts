import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { type Digest, digestOf } from '../../../kernel/digest.ts'
import type { ByteRange, ObjectStore, Received, ReceivedId, StoredObject } from '../../../ports/object-store.ts'
import { differentBytes, unknownObject, unknownReceived } from '../object-errors.ts'

/** Objects in a map: for tests, and gone with the process. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<Digest, Uint8Array>()
  readonly #received = new Map<ReceivedId, { bytes: Uint8Array; at: number }>()
  readonly #putAt = new Map<Digest, number>()

  async put(content: Readable | Uint8Array | string, expected?: Digest): Promise<StoredObject> {
    const bytes = content instanceof Readable ? await buffer(content) : Buffer.from(content)
    const digest = digestOf(bytes)
    if (expected !== undefined && expected !== digest) throw differentBytes(expected, digest)
    this.#objects.set(digest, bytes)
    this.#putAt.set(digest, performance.now())
    return { digest, size: bytes.length }
  }

  async putFile(path: string): Promise<StoredObject> {
    return this.put(await readFile(path))
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#objects.has(digest)
  }

  async sizeIfKept(digest: Digest): Promise<number | undefined> {
    return this.#objects.get(digest)?.length
  }

  async size(digest: Digest): Promise<number> {
    return this.#bytes(digest).length
  }

  async open(digest: Digest, range?: ByteRange): Promise<Readable> {
    return streamOf(this.#bytes(digest), range)
  }

  async read(digest: Digest): Promise<Uint8Array> {
    return Buffer.from(this.#bytes(digest))
  }

  async materialise(digest: Digest, path: string, mode = 0o644): Promise<void> {
    const bytes = this.#bytes(digest)
    const beside = join(dirname(path), `.modelwright-${randomUUID()}`)
    try {
      await writeFile(beside, bytes, { mode, flag: 'wx' })
      await rename(beside, path)
    } finally {
      await rm(beside, { force: true })
    }
  }

  async remove(digest: Digest): Promise<void> {
    this.#objects.delete(digest)
  }

  async *list(): AsyncIterable<StoredObject> {
    for (const [digest, bytes] of [...this.#objects]) yield { digest, size: bytes.length }
  }

  async receive(content: Readable): Promise<Received> {
    const bytes = await buffer(content)
    const id = randomUUID()
    this.#received.set(id, { bytes, at: performance.now() })
    return { id, size: bytes.length, checksum: crc32(bytes).toString(16) }
  }

  async openReceived(id: ReceivedId, range?: ByteRange): Promise<Readable> {
    return streamOf(this.#receivedBytes(id), range)
  }

  async settle(ids: readonly ReceivedId[]): Promise<StoredObject> {
    return this.put(Buffer.concat(ids.map((id) => this.#receivedBytes(id))))
  }

  async discard(id: ReceivedId): Promise<void> {
    this.#received.delete(id)
  }

  async *listReceived(): AsyncIterable<ReceivedId> {
    yield* [...this.#received.keys()]
  }

  async isReceivedIdle(id: ReceivedId, ms: number): Promise<boolean> {
    const received = this.#received.get(id)
    return received === undefined || performance.now() - received.at >= ms
  }

  async removeIdle(digest: Digest, ms: number): Promise<boolean> {
    const putAt = this.#putAt.get(digest)
    if (putAt === undefined || performance.now() - putAt < ms) return false
    this.#putAt.delete(digest)
    return this.#objects.delete(digest)
  }

  #receivedBytes(id: ReceivedId): Uint8Array {
    const received = this.#received.get(id)
    if (!received) throw unknownReceived(id)
    return received.bytes
  }

  #bytes(digest: Digest): Uint8Array {
    const bytes = this.#objects.get(digest)
    if (!bytes) throw unknownObject(digest)
    return bytes
  }
}

const streamOf = (bytes: Uint8Array, range: ByteRange | undefined): Readable =>
  Readable.from([bytes.subarray(range?.start ?? 0, range?.end === undefined ? undefined : range.end + 1)])
