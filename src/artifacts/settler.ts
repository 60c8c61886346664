import { type Db, transact } from '../db/index.ts'
import { isAppError } from '../kernel/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { partsOf } from './upload-parts.ts'

type Failures = { failures: { error: unknown; path: string }[] }

/**
 * Gives digests to artifacts that were acknowledged as soon as their bytes were safe, one after the other: digests take the
 * processor from those who still send. Level-triggered: what a crash left over is found in the table. Settling the same upload
 * twice, by two servers say, makes the same object.
 */
export class Settler {
  readonly #db: Db
  readonly #clock: Clock
  readonly #objects: ObjectStore
  readonly #settling = new Map<string, Promise<void>>()
  #passing: Promise<Failures> | undefined
  #again = false
  #stopped = false

  constructor(parts: { db: Db; clock: Clock; objects: ObjectStore }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#objects = parts.objects
  }

  /** Settles all that waits, also what comes meanwhile. What failed is tried again at the next pass. */
  pass(): Promise<Failures> {
    this.#again = true
    this.#passing ??= this.#passes().finally(() => {
      this.#passing = undefined
    })
    return this.#passing
  }

  /** Begins a pass without waiting for it. What fails in it is told by the next one. */
  wake(): void {
    void this.pass().catch(() => {})
  }

  /** After the upload that is being settled nothing more is begun. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#passing?.catch(() => {})
    await Promise.allSettled(this.#settling.values())
  }

  /** At once, for whoever needs the digest now. */
  settle(uploadId: string): Promise<void> {
    const running = this.#settling.get(uploadId)
    if (running) return running
    const settling = this.#settle(uploadId).finally(() => this.#settling.delete(uploadId))
    this.#settling.set(uploadId, settling)
    return settling
  }

  async #passes(): Promise<Failures> {
    const failures: Failures['failures'] = []
    while (this.#again && !this.#stopped) {
      this.#again = false
      failures.push(...(await this.#settleWaiting()))
    }
    return { failures }
  }

  async #settleWaiting(): Promise<Failures['failures']> {
    const failures: Failures['failures'] = []
    const waiting = await this.#db
      .selectFrom('uploads')
      .select(['upload_id', 'path'])
      .where('state', '=', 'complete')
      .orderBy('touched_at')
      .limit(1000)
      .execute()
    for (const { upload_id, path } of waiting) {
      if (this.#stopped) break
      await this.settle(upload_id).catch((error: unknown) => failures.push({ error, path }))
    }
    return failures
  }

  async #settle(uploadId: string): Promise<void> {
    const parts = await partsOf(this.#db, uploadId)
    if (parts.length === 0) return
    const ids = parts.map((part) => part.receivedId)
    // Replaced or removed meanwhile: nobody will ask for it.
    const digest = (await this.#isNamed(uploadId)) ? await this.#digestOf(uploadId, ids) : ''
    if (digest === undefined) return
    await transact(this.#db, async (tx) => {
      await tx
        .updateTable('artifact_files')
        .set({ digest, upload_id: null })
        .where('upload_id', '=', uploadId)
        .execute()
      await tx.deleteFrom('upload_parts').where('upload_id', '=', uploadId).execute()
      await tx
        .updateTable('uploads')
        .set({ state: 'settled', digest, touched_at: this.#clock.now() })
        .where('upload_id', '=', uploadId)
        .execute()
    })
    for (const id of ids) await this.#objects.discard(id)
  }

  /** Undefined where another server was faster: then the row tells the digest already. */
  async #digestOf(uploadId: string, ids: readonly string[]): Promise<string | undefined> {
    try {
      return (await this.#objects.settle(ids)).digest
    } catch (error) {
      if (isAppError(error, 'NotFound') && !(await this.#isNamed(uploadId))) return undefined
      throw error
    }
  }

  async #isNamed(uploadId: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom('artifact_files')
      .select('path')
      .where('upload_id', '=', uploadId)
      .limit(1)
      .executeTakeFirst()
    return row !== undefined
  }
}
