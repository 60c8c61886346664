import type { Selectable } from 'kysely'
import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { RetrainingTables } from '../db/tables/retraining.ts'
import type { Trigger } from '../executions/index.ts'
import { canonicalJson, type Digest, digestOf } from '../kernel/digest.ts'
import type { ErrorBody } from '../kernel/errors.ts'
import { type ExecutionId, newId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import { type RetrainDecision, type RetrainFacts, retrainRuleVersion } from './decide/should-retrain.ts'
import type { FrozenRows, RecordedDecision, Retraining, RetrainingState } from './retraining.ts'

export type NewDecision = Place & {
  facts: RetrainFacts
  decision: RetrainDecision
  trigger: Trigger
  requestedBy: string
}

export class RetrainingStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  transact<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(this.#db, work)
  }

  /**
   * Writes a decision down, and with "retrain" the intent, in one transaction. A decision that says what the last one about this cause
   * said is not written again. Gives the intent; undefined where there is none, or the cause has one already.
   */
  async record(
    tx: Tx,
    { project, environment, facts, decision, trigger, requestedBy }: NewDecision,
  ): Promise<Retraining | undefined> {
    const { cause, outcome } = decision
    const reasons = JSON.stringify(decision.reasons)
    const last = await tx
      .selectFrom('retraining_decisions')
      .select(['outcome', 'reasons'])
      .where('project', '=', project)
      .where('environment', '=', environment)
      .where('cause', '=', cause)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (last?.outcome === outcome && last.reasons === reasons) return undefined
    const intent: Retraining = {
      ...{ id: newId(facts.now), project, environment, cause, trigger, requestedBy },
      ...{ decidedAt: facts.now, state: 'intended' },
    }
    if (outcome === 'retrain' && !(await this.#intend(tx, intent))) return undefined
    const inputs = canonicalJson(facts)
    await tx
      .insertInto('retraining_decisions')
      .values({
        ...{ project, environment, at: facts.now, cause, trigger: JSON.stringify(trigger) },
        ...{ inputs, inputs_digest: digestOf(inputs), rule_version: retrainRuleVersion, outcome, reasons },
      })
      .execute()
    await publish(tx, { type: 'retraining.decided', payload: { project, environment, outcome } }, facts.now)
    return outcome === 'retrain' ? intent : undefined
  }

  async #intend(tx: Tx, intent: Retraining): Promise<boolean> {
    const result = await tx
      .insertInto('retrainings')
      .values({
        ...{ id: intent.id, project: intent.project, environment: intent.environment, cause: intent.cause },
        ...{ trigger: JSON.stringify(intent.trigger), requested_by: intent.requestedBy },
        ...{ decided_at: intent.decidedAt, state: intent.state },
      })
      .onConflict((c) => c.columns(['project', 'environment', 'cause']).doNothing())
      .executeTakeFirst()
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n
  }

  async frozen(tx: Tx, retraining: Retraining, frozen: readonly FrozenRows[]): Promise<void> {
    await this.#change(tx, retraining, { state: 'frozen', frozen: JSON.stringify(frozen) })
  }

  async started(tx: Tx, retraining: Retraining, executionId: ExecutionId, at: EpochMs): Promise<void> {
    const { project, environment } = retraining
    await this.#change(tx, retraining, { state: 'started', execution_id: executionId, started_at: at })
    const payload = { project, environment, outcome: 'started', executionId }
    await publish(tx, { type: 'retraining.decided', payload }, at)
  }

  async failed(tx: Tx, retraining: Retraining, error: ErrorBody, at: EpochMs): Promise<void> {
    const { project, environment } = retraining
    await this.#change(tx, retraining, { state: 'failed', error: JSON.stringify(error) })
    await publish(tx, { type: 'retraining.decided', payload: { project, environment, outcome: 'failed' } }, at)
  }

  /** Decided, but not yet answered by an execution: what a crash may have interrupted. */
  async unfinished(): Promise<Retraining[]> {
    const rows = await this.#db
      .selectFrom('retrainings')
      .selectAll()
      .where('state', 'in', ['intended', 'frozen'])
      .orderBy('id')
      .limit(1000)
      .execute()
    return rows.map(toRetraining)
  }

  async get(id: string): Promise<Retraining> {
    const row = await this.#db.selectFrom('retrainings').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    return toRetraining(row)
  }

  async byCause(place: Place, cause: string): Promise<Retraining | undefined> {
    const row = await this.#of(place).selectAll().where('cause', '=', cause).executeTakeFirst()
    return row && toRetraining(row)
  }

  /** Newest first, by when they were decided. */
  async newest(place: Place, limit: number): Promise<Retraining[]> {
    const rows = await this.#of(place)
      .selectAll()
      .orderBy('decided_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
    return rows.map(toRetraining)
  }

  /** Those that count for cool-down and budget: decided after a time, and not failed to start. */
  async history(place: Place, after: EpochMs): Promise<{ cause: string; at: EpochMs }[]> {
    const rows = await this.#of(place)
      .select(['cause', 'decided_at'])
      .where('decided_at', '>', after)
      .where('state', '!=', 'failed')
      .orderBy('decided_at', 'desc')
      .limit(1000)
      .execute()
    return rows.map(({ cause, decided_at }) => ({ cause, at: decided_at }))
  }

  /** The latest due time of a schedule that has its retraining. */
  async lastDue(place: Place): Promise<EpochMs | undefined> {
    const rows = await this.#of(place)
      .select('cause')
      .where('cause', 'like', 'schedule:%')
      .orderBy('decided_at', 'desc')
      .limit(100)
      .execute()
    const dues = rows.map(({ cause }) => Number(cause.slice('schedule:'.length)))
    return dues.length === 0 ? undefined : Math.max(...dues)
  }

  /** Until when labels were taken into a dataset version; 0 before the first. */
  async lastFreeze(place: Place): Promise<EpochMs> {
    const row = await this.#of(place)
      .select((e) => e.fn.max('decided_at').as('at'))
      .where('frozen', 'is not', null)
      .where('frozen', '!=', '[]')
      .executeTakeFirst()
    return Number(row?.at ?? 0)
  }

  async decisions(place: Place, limit: number): Promise<RecordedDecision[]> {
    const rows = await this.#db
      .selectFrom('retraining_decisions')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
    return rows.map(toDecision)
  }

  /** From when on each declared schedule counts: from when it was first seen, or seen again after it had left the file. */
  async schedulesSince(place: Place, declared: readonly string[], now: EpochMs): Promise<Map<string, EpochMs>> {
    const known = await this.knownSchedules(place)
    const gone = [...known.keys()].filter((cron) => !declared.includes(cron))
    const fresh = [...new Set(declared)].filter((cron) => !known.has(cron))
    if (gone.length === 0 && fresh.length === 0) return known
    await this.transact(async (tx) => {
      for (const cron of gone)
        await tx
          .deleteFrom('retraining_schedules')
          .where('project', '=', place.project)
          .where('environment', '=', place.environment)
          .where('cron', '=', cron)
          .execute()
      for (const cron of fresh)
        await tx
          .insertInto('retraining_schedules')
          .values({ project: place.project, environment: place.environment, cron, since: now })
          .onConflict((c) => c.doNothing())
          .execute()
    })
    return this.knownSchedules(place)
  }

  async knownSchedules(place: Place): Promise<Map<string, EpochMs>> {
    const rows = await this.#db
      .selectFrom('retraining_schedules')
      .select(['cron', 'since'])
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .execute()
    return new Map(rows.map(({ cron, since }) => [cron, since]))
  }

  #of(place: Place) {
    return this.#db
      .selectFrom('retrainings')
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
  }

  async #change(tx: Tx, { id }: Retraining, change: Partial<RetrainingTables['retrainings']>): Promise<void> {
    await tx.updateTable('retrainings').set(change).where('id', '=', id).execute()
  }
}

const toRetraining = (row: Selectable<RetrainingTables['retrainings']>): Retraining => ({
  id: row.id,
  project: row.project,
  environment: row.environment,
  cause: row.cause,
  trigger: JSON.parse(row.trigger) as Trigger,
  requestedBy: row.requested_by,
  decidedAt: row.decided_at,
  state: row.state as RetrainingState,
  ...(row.frozen ? { frozen: JSON.parse(row.frozen) as FrozenRows[] } : {}),
  ...(row.execution_id ? { executionId: row.execution_id as ExecutionId } : {}),
  ...(row.started_at === null ? {} : { startedAt: row.started_at }),
  ...(row.error ? { error: JSON.parse(row.error) as ErrorBody } : {}),
})

const toDecision = (row: Selectable<RetrainingTables['retraining_decisions']>): RecordedDecision => ({
  id: String(row.id),
  project: row.project,
  environment: row.environment,
  at: row.at,
  cause: row.cause,
  trigger: JSON.parse(row.trigger) as Trigger,
  outcome: row.outcome as RecordedDecision['outcome'],
  reasons: JSON.parse(row.reasons) as string[],
  ruleVersion: row.rule_version,
  inputsDigest: row.inputs_digest as Digest,
})
