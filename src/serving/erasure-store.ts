import { appendAudit } from '../access/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Erasure } from './decide/erased.ts'

/** Writes serving_erasures. */
export class ErasureStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async add(erasure: Erasure, actor: string): Promise<void> {
    const { id, at, project, environment, subjectHash, column, rows, stage } = erasure
    await transact(this.#db, async (tx) => {
      await tx
        .insertInto('serving_erasures')
        .values({
          ...{ id, at, project, rows, stage },
          environment: environment ?? null,
          subject_hash: subjectHash,
          subject_column: column ?? null,
        })
        .execute()
      const details = { id, subjectHash, ...(column === undefined ? {} : { column }) }
      const subject = environment === undefined ? project : `${project}/${environment}`
      await appendAudit(tx, { at, actor, action: 'predictions.erase', subject, details })
    })
  }

  /** Those that are not done, the oldest first. */
  async open(): Promise<Erasure[]> {
    const rows = await this.#db
      .selectFrom('serving_erasures')
      .selectAll()
      .where('stage', '!=', 'done')
      .orderBy('id')
      .execute()
    return rows.map(erasureOf)
  }

  async find(id: string): Promise<Erasure | undefined> {
    const row = await this.#db.selectFrom('serving_erasures').selectAll().where('id', '=', id).executeTakeFirst()
    return row && erasureOf(row)
  }

  /** The newest first. */
  async ofProject(project: string, limit: number): Promise<Erasure[]> {
    const rows = await this.#db
      .selectFrom('serving_erasures')
      .selectAll()
      .where('project', '=', project)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
    return rows.map(erasureOf)
  }

  async removed(id: string, rows: number): Promise<void> {
    await this.#db
      .updateTable('serving_erasures')
      .set((eb) => ({ rows: eb('rows', '+', rows) }))
      .where('id', '=', id)
      .execute()
  }

  async move(erasure: Erasure, stage: Erasure['stage'], now: EpochMs): Promise<void> {
    const { id, project, environment } = erasure
    await transact(this.#db, async (tx) => {
      await tx.updateTable('serving_erasures').set({ stage }).where('id', '=', id).execute()
      if (stage !== 'done') return
      const { rows } = await tx
        .selectFrom('serving_erasures')
        .select('rows')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      const subject = environment === undefined ? project : `${project}/${environment}`
      const details = { id, rows: Number(rows) }
      await appendAudit(tx, { at: now, actor: 'modelwright', action: 'predictions.erased', subject, details })
    })
  }
}

function erasureOf(row: {
  id: string
  at: number
  project: string
  environment: string | null
  subject_hash: string
  subject_column: string | null
  rows: number
  stage: string
}): Erasure {
  const { id, project, environment, subject_hash: subjectHash, subject_column: column } = row
  return {
    ...{ id, project, subjectHash, at: Number(row.at), rows: Number(row.rows), stage: row.stage as Erasure['stage'] },
    ...(environment === null ? {} : { environment }),
    ...(column === null ? {} : { column }),
  }
}
