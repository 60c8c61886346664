import type { Readable } from 'node:stream'
import type { Digest } from '../kernel/digest.ts'

export type StoredObject = { digest: Digest; size: number }

/**
 * Content-addressed bytes.
 * - `put` is atomic and idempotent: an object is there whole or not at all; the same bytes twice are one object.
 *   It is durable (file and folder synchronised) when the promise resolves, and streams: memory does not grow with size.
 *   With `expected`, other bytes are refused with ObjectCorrupt and nothing is kept.
 * - `open` verifies while it reads: a stream of altered bytes ends with the error ObjectCorrupt, never silently.
 * - `open`, `read`, `materialise` throw NotFound for an unknown digest. StorageFull when the disk is full; nothing half written stays.
 * - `materialise` makes a private, writable copy at `path` (whose folder exists), sharing blocks where the file system can.
 */
export interface ObjectStore {
  put(content: Readable | Uint8Array | string, expected?: Digest): Promise<StoredObject>
  /** Takes a file that already lies on the same machine; the file itself stays as it is. */
  putFile(path: string): Promise<StoredObject>
  has(digest: Digest): Promise<boolean>
  size(digest: Digest): Promise<number>
  open(digest: Digest, range?: { start: number; end?: number }): Promise<Readable>
  read(digest: Digest): Promise<Uint8Array>
  materialise(digest: Digest, path: string, mode?: number): Promise<void>
  remove(digest: Digest): Promise<void>
  list(): AsyncIterable<StoredObject>
}
