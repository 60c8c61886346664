import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type Digest, digestOf } from '../../../kernel/digest.ts'
import type { ObjectStore, StoredObject } from '../../../ports/object-store.ts'
import { differentBytes, unknownObject } from '../object-errors.ts'

/** Objects in a map: for tests, and gone with the process. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<Digest, Uint8Array>()

  async put(content: Readable | Uint8Array | string, expected?: Digest): Promise<StoredObject> {
    const bytes = content instanceof Readable ? await buffer(content) : Buffer.from(content)
    const digest = digestOf(bytes)
    if (expected !== undefined && expected !== digest) throw differentBytes(expected, digest)
    this.#objects.set(digest, bytes)
    return { digest, size: bytes.length }
  }

  async putFile(path: string): Promise<StoredObject> {
    return this.put(await readFile(path))
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#objects.has(digest)
  }

  async size(digest: Digest): Promise<number> {
    return this.#bytes(digest).length
  }

  async open(digest: Digest, range?: { start: number; end?: number }): Promise<Readable> {
    const bytes = this.#bytes(digest)
    return Readable.from([bytes.subarray(range?.start ?? 0, range?.end === undefined ? undefined : range.end + 1)])
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

  #bytes(digest: Digest): Uint8Array {
    const bytes = this.#objects.get(digest)
    if (!bytes) throw unknownObject(digest)
    return bytes
  }
}
