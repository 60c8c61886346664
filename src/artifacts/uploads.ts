import type { Readable } from 'node:stream'
import { type Db, type Tx, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore, Received } from '../ports/object-store.ts'
import { nameArtifact, refuseClash } from './artifact-names.ts'
import type { Settler } from './settler.ts'
import { partsOf, type UploadPart } from './upload-parts.ts'

export const mostParts = 10_000

type Parts = { db: Db; clock: Clock; objects: ObjectStore; settler: Settler }

/**
 * Uploads in parts, of any size and in any order: begun, filled part by part, and completed, which makes the artifact visible at
 * once and whole. What was received survives a restart. The same part again replaces; completing again changes nothing.
 */
export class Uploads {
  readonly #db: Db
  readonly #clock: Clock
  readonly #objects: ObjectStore
  readonly #settler: Settler

  constructor(parts: Parts) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#objects = parts.objects
    this.#settler = parts.settler
  }

  async begin(path: string, partCount: number): Promise<string> {
    if (!Number.isInteger(partCount) || partCount < 1 || partCount > mostParts)
      throw new AppError(
        'BadRequest',
        `An upload of ${partCount} parts is not possible.`,
        `Use 1 to ${mostParts} parts.`,
      )
    await refuseClash(this.#db, path)
    return transact(this.#db, (tx) => this.#insert(tx, { path, partCount, state: 'open' }))
  }

  /** Where the upload's artifact will lie. Throws NotFound for an unknown or aborted one. */
  async pathOf(uploadId: string): Promise<string> {
    return (await this.#row(this.#db, uploadId)).path
  }

  async putPart(
    uploadId: string,
    partNumber: number,
    content: Readable,
    size: number | undefined,
  ): Promise<UploadPart> {
    refuseNumber(await this.#open(this.#db, uploadId), partNumber)
    const received = await this.#objects.receive(content)
    try {
      if (size !== undefined && size !== received.size) throw cutShort(partNumber, size, received.size)
      const replaced = await transact(this.#db, (tx) => this.#keepPart(tx, uploadId, partNumber, received))
      if (replaced) await this.#objects.discard(replaced)
      return { partNumber, receivedId: received.id, size: received.size, checksum: received.checksum }
    } catch (error) {
      await this.#objects.discard(received.id)
      throw error
    }
  }

  /** `parts` is what the sender believes to have sent: all of them, each with the checksum that it was told. */
  async complete(uploadId: string, parts: readonly { partNumber: number; checksum: string }[]): Promise<void> {
    const done = await transact(this.#db, async (tx) => {
      const { path, part_count, state } = await this.#row(tx, uploadId)
      if (state !== 'open') return false
      const kept = await partsOf(tx, uploadId)
      refuseDifference(part_count, kept, parts)
      await refuseClash(tx, path)
      const now = this.#clock.now()
      const size = kept.reduce((sum, part) => sum + part.size, 0)
      await nameArtifact(tx, { path, digest: '', size, created_at: now, upload_id: uploadId })
      await tx
        .updateTable('uploads')
        .set({ state: 'complete', touched_at: now })
        .where('upload_id', '=', uploadId)
        .execute()
      return true
    })
    if (done) this.#settler.wake()
  }

  /** Throws NotFound where there is none that could be aborted. */
  async abort(uploadId: string): Promise<void> {
    await this.#open(this.#db, uploadId)
    await this.#free(uploadId)
  }

  /** One stream, whole: visible when it resolves. */
  async putWhole(path: string, content: Readable): Promise<{ size: number; createdAt: number }> {
    const received = await this.#objects.receive(content)
    const createdAt = this.#clock.now()
    try {
      await transact(this.#db, async (tx) => {
        await refuseClash(tx, path)
        const uploadId = await this.#insert(tx, { path, partCount: 1, state: 'complete' })
        await insertPart(tx, uploadId, 1, received)
        await nameArtifact(tx, { path, digest: '', size: received.size, created_at: createdAt, upload_id: uploadId })
      })
    } catch (error) {
      await this.#objects.discard(received.id)
      throw error
    }
    this.#settler.wake()
    return { size: received.size, createdAt }
  }

  /** Frees what nobody touched since: uploads that were given up, and the memory of those that are done. */
  async expire(untouchedSince: number): Promise<number> {
    const rows = await this.#db
      .selectFrom('uploads')
      .select('upload_id')
      .where('state', 'in', ['open', 'settled'])
      .where('touched_at', '<', untouchedSince)
      .limit(1000)
      .execute()
    for (const { upload_id } of rows) await this.#free(upload_id)
    return rows.length
  }

  async #free(uploadId: string): Promise<void> {
    const parts = await transact(this.#db, async (tx) => {
      const freed = await partsOf(tx, uploadId)
      await tx.deleteFrom('upload_parts').where('upload_id', '=', uploadId).execute()
      await tx.deleteFrom('uploads').where('upload_id', '=', uploadId).execute()
      return freed
    })
    for (const { receivedId } of parts) await this.#objects.discard(receivedId)
  }

  async #insert(tx: Tx, upload: { path: string; partCount: number; state: 'open' | 'complete' }): Promise<string> {
    const now = this.#clock.now()
    const uploadId = `${newId(now)}.${crypto.randomUUID()}`
    await tx
      .insertInto('uploads')
      .values({
        upload_id: uploadId,
        path: upload.path,
        part_count: upload.partCount,
        state: upload.state,
        digest: null,
        created_at: now,
        touched_at: now,
      })
      .execute()
    return uploadId
  }

  async #keepPart(tx: Tx, uploadId: string, partNumber: number, received: Received): Promise<string | undefined> {
    await this.#open(tx, uploadId)
    const before = await tx
      .deleteFrom('upload_parts')
      .where('upload_id', '=', uploadId)
      .where('part_number', '=', partNumber)
      .returning('received_id')
      .executeTakeFirst()
    await insertPart(tx, uploadId, partNumber, received)
    await tx.updateTable('uploads').set({ touched_at: this.#clock.now() }).where('upload_id', '=', uploadId).execute()
    return before?.received_id
  }

  async #open(db: Db | Tx, uploadId: string) {
    const row = await this.#row(db, uploadId)
    if (row.state !== 'open') throw unknownUpload(uploadId)
    return row
  }

  async #row(db: Db | Tx, uploadId: string) {
    const row = await db.selectFrom('uploads').selectAll().where('upload_id', '=', uploadId).executeTakeFirst()
    if (!row) throw unknownUpload(uploadId)
    return row
  }
}

async function insertPart(tx: Tx, uploadId: string, partNumber: number, received: Received): Promise<void> {
  await tx
    .insertInto('upload_parts')
    .values({
      upload_id: uploadId,
      part_number: partNumber,
      received_id: received.id,
      size: received.size,
      checksum: received.checksum,
    })
    .execute()
}

function refuseNumber({ part_count }: { part_count: number }, partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= part_count) return
  throw new AppError('BadRequest', `There is no part ${partNumber}: the upload was begun with ${part_count}.`, again)
}

function refuseDifference(
  partCount: number,
  kept: readonly UploadPart[],
  told: readonly { partNumber: number; checksum: string }[],
): void {
  const numbers = new Set(told.map((part) => part.partNumber))
  if (told.length !== partCount || numbers.size !== partCount)
    throw new AppError(
      'BadRequest',
      `The upload was begun with ${partCount} parts, but ${numbers.size} are named to complete it.`,
      again,
    )
  const byNumber = new Map(kept.map((part) => [part.partNumber, part]))
  for (const { partNumber, checksum } of told) {
    const part = byNumber.get(partNumber)
    if (!part) throw new AppError('BadRequest', `Part ${partNumber} has not come in.`, again)
    if (part.checksum !== checksum)
      throw new AppError('BadRequest', `Part ${partNumber} is kept as ${part.checksum}, not as ${checksum}.`, again)
  }
}

const again = 'Send the part (again), or abort the upload.'

const cutShort = (partNumber: number, announced: number, came: number): AppError =>
  new AppError('BadRequest', `Part ${partNumber} was announced with ${announced} bytes, but ${came} came.`, again)

const unknownUpload = (uploadId: string): AppError =>
  new AppError(
    'NotFound',
    `There is no open upload ${uploadId}: it was never begun, is completed, was aborted, or nothing came for a day.`,
    'Begin a new one.',
  )
