import { type Db, publish, type Tx } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { ExecutionId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { GateFacts, GateVerdict } from './gate.ts'

/** A verdict as it is kept: with what it was made from. */
export type StoredVerdict = {
  id: string
  project: string
  executionId: ExecutionId
  model: string
  verdict: GateVerdict
  facts: GateFacts
  inputsDigest: Digest
  at: EpochMs
}

type Row = Awaited<ReturnType<GateStore['row']>>

/** Table gate_verdicts: one verdict per execution and model. */
export class GateStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async save(tx: Tx, stored: StoredVerdict): Promise<void> {
    const { verdict } = stored
    const inserted = await tx
      .insertInto('gate_verdicts')
      .values({
        id: stored.id,
        project: stored.project,
        execution_id: stored.executionId,
        model: stored.model,
        outcome: verdict.outcome,
        score: verdict.score,
        verdict: JSON.stringify(verdict, keepNonFinite),
        facts: JSON.stringify(stored.facts, keepNonFinite),
        inputs_digest: stored.inputsDigest,
        rule_version: verdict.ruleVersion,
        at: stored.at,
      })
      .onConflict((c) => c.columns(['execution_id', 'model']).doNothing())
      .executeTakeFirst()
    if (inserted.numInsertedOrUpdatedRows === 0n) return
    const { project, executionId, model, id } = stored
    await publish(
      tx,
      { type: 'gate.judged', payload: { project, executionId, model, verdictId: id, outcome: verdict.outcome } },
      stored.at,
    )
  }

  row(executionId: string, model: string) {
    return this.#db
      .selectFrom('gate_verdicts')
      .selectAll()
      .where('execution_id', '=', executionId)
      .where('model', '=', model)
      .executeTakeFirst()
  }

  async verdict(executionId: string, model: string): Promise<StoredVerdict | undefined> {
    const row = await this.row(executionId, model)
    return row && toVerdict(row)
  }

  async byId(id: string): Promise<StoredVerdict | undefined> {
    const row = await this.#db.selectFrom('gate_verdicts').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toVerdict(row)
  }

  /** Newest first. */
  async list(filter: { project?: string; execution?: string; limit: number }): Promise<StoredVerdict[]> {
    let query = this.#db.selectFrom('gate_verdicts').selectAll().orderBy('id', 'desc').limit(filter.limit)
    if (filter.project) query = query.where('project', '=', filter.project)
    if (filter.execution) query = query.where('execution_id', '=', filter.execution)
    return (await query.execute()).map(toVerdict)
  }
}

/** JSON has no NaN and no infinity; a verdict must show which it was. */
const keepNonFinite = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value

const toVerdict = (row: NonNullable<Row>): StoredVerdict => ({
  id: row.id,
  project: row.project,
  executionId: row.execution_id as ExecutionId,
  model: row.model,
  verdict: JSON.parse(row.verdict) as GateVerdict,
  facts: JSON.parse(row.facts) as GateFacts,
  inputsDigest: row.inputs_digest as Digest,
  at: row.at,
})
