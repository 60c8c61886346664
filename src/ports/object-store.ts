import type { Readable } from 'node:stream'
import type { Digest } from '../kernel/digest.ts'

/** `soon`: on the disk when the system writes it there, within half a minute; a loss of power before may leave it torn. */
export type PutOptions = { durable?: 'now' | 'soon' }

export type StoredObject = { digest: Digest; size: number }

/** The name of bytes that are kept but have no digest yet: given by the store, unguessable. */
export type ReceivedId = string

/** `checksum` is some short sum of the bytes, for the one who sent them; it is no digest. */
export type Received = { id: ReceivedId; size: number; checksum: string }

/** Both ends inclusive, `end` by default the last byte. */
export type ByteRange = { start: number; end?: number }

/**
 * Content-addressed bytes.
 * - `put` is atomic and idempotent: an object is there whole or not at all; the same bytes twice are one object.
 *   It is durable (file and folder synchronised) when the promise resolves, unless it may be so `soon`, for what can be made again;
 *   a put of the same bytes without that word makes it durable. It streams: memory does not grow with size.
 *   With `expected`, other bytes are refused with ObjectCorrupt and nothing is kept.
 * - `open` verifies what it gives out: altered bytes end with the error ObjectCorrupt (at once, or the stream does), never
 *   silently. It holds every block that it reads against a checksum taken when the whole was last found to have its digest;
 *   where there is none, or the bytes were touched since, the whole is digested first. So of a range only its own blocks are
 *   looked at.
 * - `open`, `read`, `materialise` throw NotFound for an unknown digest. StorageFull when the disk is full; nothing half written stays.
 * - `materialise` makes a private, writable copy at `path` (whose folder exists), sharing blocks where the file system can.
 *
 * A digest takes longer than the network, so large bytes may be kept first and digested then:
 * - `receive` keeps a stream under an id of its own, durable when the promise resolves; of a stream that fails nothing stays.
 * - `openReceived` reads it, verified like `open`. `discard` forgets it, twice if asked.
 * - `settle` makes one object of several received, in the order given: what `put` of their bytes would have made. They stay
 *   until they are discarded, so it may be asked again after any failure.
 * - `openReceived` and `settle` throw NotFound for an unknown id, ObjectCorrupt where bytes are not what came in.
 *
 * For collecting what nobody needs, by the store's own time: `isReceivedIdle` tells whether bytes were received longer than `ms`
 * ago; `removeIdle` removes an object only if it was put longer ago, and never one that a put has just promised.
 */
export interface ObjectStore {
  put(content: Readable | Uint8Array | string, expected?: Digest, options?: PutOptions): Promise<StoredObject>
  /** Takes a file that already lies on the same machine; the file itself stays as it is. */
  putFile(path: string, options?: PutOptions): Promise<StoredObject>
  has(digest: Digest): Promise<boolean>
  size(digest: Digest): Promise<number>
  sizeIfKept(digest: Digest): Promise<number | undefined>
  open(digest: Digest, range?: ByteRange): Promise<Readable>
  read(digest: Digest): Promise<Uint8Array>
  materialise(digest: Digest, path: string, mode?: number): Promise<void>
  remove(digest: Digest): Promise<void>
  list(): AsyncIterable<StoredObject>

  receive(content: Readable): Promise<Received>
  openReceived(id: ReceivedId, range?: ByteRange): Promise<Readable>
  settle(ids: readonly ReceivedId[]): Promise<StoredObject>
  discard(id: ReceivedId): Promise<void>
  listReceived(): AsyncIterable<ReceivedId>

  /** Whether it was removed. */
  removeIdle(digest: Digest, ms: number): Promise<boolean>
  isReceivedIdle(id: ReceivedId, ms: number): Promise<boolean>
}
