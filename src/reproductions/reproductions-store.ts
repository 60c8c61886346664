import type { Selectable } from 'kysely'
import { appendAudit } from '../access/index.ts'
import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { ReproductionTables } from '../db/tables/reproductions.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, type ErrorBody } from '../kernel/errors.ts'
import type { CommitId, ExecutionId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Comparison, PassRole, Predictions, Reproduction, ReproductionState } from './reproduction.ts'

type Row = Selectable<ReproductionTables['reproductions']>

/** Table reproductions; each change of state tells its event in the same transaction. */
export class ReproductionsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async add(reproduction: Reproduction): Promise<void> {
    const { id, project, digest, createdAt: at, requestedBy: actor, commit, runs, tolerance } = reproduction
    await transact(this.#db, async (tx) => {
      await tx
        .insertInto('reproductions')
        .values({
          ...{ id, project, model: reproduction.model, version: reproduction.version, digest },
          ...{ recorded_execution: reproduction.recorded, commit_id: commit },
          ...{ from_record: reproduction.fromRecord ? 1 : 0, runs, tolerance, state: reproduction.state },
          ...{ passes: JSON.stringify(reproduction.passes), requested_by: actor, created_at: at },
        })
        .execute()
      await appendAudit(tx, { at, actor, action: 'reproduction.request', subject: id, details: { digest, commit } })
      await tell(tx, reproduction, 'running', at)
    })
  }

  async passStarted(id: string, role: PassRole, execution: ExecutionId): Promise<void> {
    await transact(this.#db, async (tx) => {
      const row = await tx.selectFrom('reproductions').select('passes').where('id', '=', id).executeTakeFirstOrThrow()
      const passes = { ...(JSON.parse(row.passes) as Reproduction['passes']), [role]: execution }
      await this.#change(tx, id, { passes: JSON.stringify(passes) })
    })
  }

  async modelsAsked(id: string, predictions: Record<string, Predictions>): Promise<void> {
    await transact(this.#db, (tx) => this.#change(tx, id, { predictions: JSON.stringify(predictions) }))
  }

  async packagesListed(id: string, installed: Record<string, string>): Promise<void> {
    await transact(this.#db, (tx) => this.#change(tx, id, { installed: JSON.stringify(installed) }))
  }

  /** The verdict stands: it survives a power loss, as the version's other evidence does. */
  async judged(reproduction: Reproduction, comparison: Comparison, sentence: string, at: EpochMs): Promise<void> {
    const { id, digest } = reproduction
    const { outcome, first } = comparison
    await transact(
      this.#db,
      async (tx) => {
        const verdict = { outcome, comparison: JSON.stringify(comparison), sentence }
        await this.#change(tx, id, { state: 'judged', ...verdict, ended_at: at })
        const details = { digest, outcome, ...(first ? { first } : {}) }
        await appendAudit(tx, { at, actor: 'modelwright', action: 'reproduction.judge', subject: id, details })
        await tell(tx, reproduction, 'judged', at)
      },
      { durable: true },
    )
  }

  async failed(reproduction: Reproduction, error: ErrorBody, at: EpochMs): Promise<void> {
    await transact(this.#db, async (tx) => {
      await this.#change(tx, reproduction.id, { state: 'failed', error: JSON.stringify(error), ended_at: at })
      await tell(tx, reproduction, 'failed', at)
    })
  }

  async get(id: string): Promise<Reproduction> {
    const row = await this.#db.selectFrom('reproductions').selectAll().where('id', '=', id).executeTakeFirst()
    if (row) return toReproduction(row)
    throw new AppError(
      'NotFound',
      `There is no reproduction "${id}".`,
      '`modelwright versions` shows which versions were made again.',
    )
  }

  async running(): Promise<Reproduction[]> {
    const rows = await this.#db
      .selectFrom('reproductions')
      .selectAll()
      .where('state', '=', 'running')
      .orderBy('id')
      .limit(1000)
      .execute()
    return rows.map(toReproduction)
  }

  /** Newest first. */
  async list(filter: { project: string; digest?: string; before?: string; limit: number }): Promise<Reproduction[]> {
    let query = this.#db
      .selectFrom('reproductions')
      .selectAll()
      .where('project', '=', filter.project)
      .orderBy('id', 'desc')
      .limit(filter.limit)
    if (filter.digest) query = query.where('digest', '=', filter.digest)
    if (filter.before) query = query.where('id', '<', filter.before)
    return (await query.execute()).map(toReproduction)
  }

  /** The number that a judged version has, by its digest. */
  async versionOf(digest: Digest): Promise<number | undefined> {
    const row = await this.#db
      .selectFrom('judged_versions')
      .select('version')
      .where('digest', '=', digest)
      .executeTakeFirst()
    return row?.version
  }

  async #change(tx: Tx, id: string, change: Partial<ReproductionTables['reproductions']>): Promise<void> {
    await tx.updateTable('reproductions').set(change).where('id', '=', id).execute()
  }
}

async function tell(
  tx: Tx,
  { project, id, digest }: Reproduction,
  state: ReproductionState,
  at: EpochMs,
): Promise<void> {
  await publish(tx, { type: 'reproduction.changed', payload: { project, reproductionId: id, digest, state } }, at)
}

const toReproduction = (row: Row): Reproduction => ({
  id: row.id,
  project: row.project,
  model: row.model,
  version: row.version,
  digest: row.digest as Digest,
  recorded: row.recorded_execution as ExecutionId,
  commit: row.commit_id as CommitId,
  fromRecord: row.from_record === 1,
  runs: row.runs === 2 ? 2 : 1,
  tolerance: row.tolerance,
  state: row.state as ReproductionState,
  passes: JSON.parse(row.passes) as Reproduction['passes'],
  ...(row.predictions ? { predictions: JSON.parse(row.predictions) as Record<string, Predictions> } : {}),
  ...(row.installed ? { installed: JSON.parse(row.installed) as Record<string, string> } : {}),
  ...(row.comparison ? { comparison: JSON.parse(row.comparison) as Comparison } : {}),
  ...(row.sentence ? { sentence: row.sentence } : {}),
  ...(row.error ? { error: JSON.parse(row.error) as ErrorBody } : {}),
  requestedBy: row.requested_by,
  createdAt: row.created_at,
  ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
})
