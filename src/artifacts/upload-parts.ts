import { Readable } from 'node:stream'
import type { Db, Tx } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { ByteRange, ObjectStore } from '../ports/object-store.ts'

export type UploadPart = { partNumber: number; receivedId: string; size: number; checksum: string }

type Parts = { db: Db; objects: ObjectStore }

/** The parts of an upload in their order. */
export async function partsOf(db: Db | Tx, uploadId: string): Promise<UploadPart[]> {
  const rows = await db
    .selectFrom('upload_parts')
    .selectAll()
    .where('upload_id', '=', uploadId)
    .orderBy('part_number')
    .execute()
  return rows.map((row) => ({
    partNumber: row.part_number,
    receivedId: row.received_id,
    size: row.size,
    checksum: row.checksum,
  }))
}

/**
 * The bytes of an upload, part after part, as if they were one; of a range only the parts that it touches are opened. Where it
 * gets its digest meanwhile and the parts go, the reading goes on in the object. Throws NotFound where neither is there.
 */
export async function openUpload(from: Parts, uploadId: string, range: ByteRange | undefined): Promise<Readable> {
  const span = { start: range?.start ?? 0, end: range?.end ?? Number.POSITIVE_INFINITY }
  const list = await partsOf(from.db, uploadId)
  const [only] = list
  if (!only) return openSettled(from, uploadId, range)
  if (list.length === 1)
    return (await unlessGone(from.objects.openReceived(only.receivedId, range))) ?? openSettled(from, uploadId, range)
  return Readable.from(bytesOf(from, uploadId, list, span), { objectMode: false })
}

async function* bytesOf(
  from: Parts,
  uploadId: string,
  list: readonly UploadPart[],
  span: { start: number; end: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = 0
  for (const { receivedId, size } of list) {
    const begin = at
    at += size
    if (at <= span.start || begin > span.end) continue
    const within = { start: Math.max(0, span.start - begin), end: Math.min(size - 1, span.end - begin) }
    const part = await unlessGone(from.objects.openReceived(receivedId, within))
    if (part) yield* part
    else {
      const end = Number.isFinite(span.end) ? { end: span.end } : {}
      return yield* await openSettled(from, uploadId, { start: begin + within.start, ...end })
    }
  }
}

async function openSettled({ db, objects }: Parts, uploadId: string, range: ByteRange | undefined): Promise<Readable> {
  const row = await db.selectFrom('uploads').select('digest').where('upload_id', '=', uploadId).executeTakeFirst()
  if (row?.digest) return objects.open(row.digest as Digest, range)
  throw new AppError('NotFound', `The upload ${uploadId} is gone.`, 'Ask for its artifact again.')
}

async function unlessGone(opening: Promise<Readable>): Promise<Readable | undefined> {
  try {
    return await opening
  } catch (error) {
    if (isAppError(error, 'NotFound')) return undefined
    throw error
  }
}
