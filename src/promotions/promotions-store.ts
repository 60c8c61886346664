import type { Insertable, Selectable } from 'kysely'
import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { PromotionTables } from '../db/tables/promotions.ts'
import type { GateOutcome } from '../gates/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId, ExecutionId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import { nextPromotionState, type PromotionEvent } from './decide/promotion-states.ts'
import type { Bar, DesiredState, Promotion, PromotionKind, PromotionState } from './promotion.ts'

export type JudgedVersion = {
  digest: Digest
  project: string
  model: string
  version: number
  contentDigest: Digest
  executionId: ExecutionId
  verdictId: string
  verdictOutcome: GateOutcome
  createdAt: EpochMs
}

export type DecisionRecord = Place & {
  verdictId: string
  inputs: string
  inputsDigest: Digest
  ruleVersion: string
  outcome: string
  reasons: string[]
  promotionId?: string
  at: EpochMs
}

/** What may change with a state: a new intent, its commit, who decided, why. */
export type PromotionChange = Partial<
  Pick<Promotion, 'destination' | 'base' | 'message' | 'intendedAt' | 'commit' | 'decidedBy' | 'note'>
>

export class PromotionsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  /** Promotions, bars and decisions survive a power loss. */
  durably<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(this.#db, work, { durable: true })
  }

  async versionByContent(project: string, model: string, content: Digest): Promise<JudgedVersion | undefined> {
    const row = await this.#db
      .selectFrom('judged_versions')
      .selectAll()
      .where('project', '=', project)
      .where('model', '=', model)
      .where('content_digest', '=', content)
      .executeTakeFirst()
    return row && toVersion(row)
  }

  async versionByDigest(digest: Digest): Promise<JudgedVersion | undefined> {
    const row = await this.#db.selectFrom('judged_versions').selectAll().where('digest', '=', digest).executeTakeFirst()
    return row && toVersion(row)
  }

  async addVersion(tx: Tx, version: JudgedVersion): Promise<void> {
    const verdict = { verdict_id: version.verdictId, verdict_outcome: version.verdictOutcome }
    await tx
      .insertInto('judged_versions')
      .values({
        digest: version.digest,
        project: version.project,
        model: version.model,
        version: version.version,
        content_digest: version.contentDigest,
        execution_id: version.executionId,
        created_at: version.createdAt,
        ...verdict,
      })
      .onConflict((c) => c.column('digest').doUpdateSet(verdict))
      .execute()
  }

  async get(id: string): Promise<Promotion> {
    const row = await this.#db.selectFrom('promotions').selectAll().where('id', '=', id).executeTakeFirst()
    if (row) return toPromotion(row)
    throw new AppError('NotFound', `There is no promotion "${id}".`, 'See `modelwright status` for what waits.')
  }

  /** Newest first; `before` is the last id of the page before. */
  async page(project: string, page: { before?: string; limit: number; states?: readonly PromotionState[] }) {
    let query = this.#db
      .selectFrom('promotions')
      .selectAll()
      .where('project', '=', project)
      .orderBy('id', 'desc')
      .limit(page.limit)
    if (page.before) query = query.where('id', '<', page.before)
    if (page.states) query = query.where('state', 'in', page.states)
    return (await query.execute()).map(toPromotion)
  }

  async inStates(states: readonly PromotionState[], place?: Place, db: Db | Tx = this.#db): Promise<Promotion[]> {
    let query = db.selectFrom('promotions').selectAll().where('state', 'in', states).orderBy('id').limit(1000)
    if (place) query = query.where('project', '=', place.project).where('environment', '=', place.environment)
    return (await query.execute()).map(toPromotion)
  }

  /** The last promotion of a version to a place, whatever came of it. */
  async lastOf(place: Place, digest: Digest, db: Db | Tx = this.#db): Promise<Promotion | undefined> {
    const row = await db
      .selectFrom('promotions')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .where('digest', '=', digest)
      .where('kind', '=', 'promotion')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && toPromotion(row)
  }

  async add(tx: Tx, promotion: Promotion): Promise<void> {
    await tx.insertInto('promotions').values(toRow(promotion)).execute()
    await this.#tell(tx, promotion, promotion.state, promotion.createdAt)
  }

  /** False where someone else moved it in between: then nothing is written. */
  async move(
    tx: Tx,
    promotion: Promotion,
    event: PromotionEvent,
    change: PromotionChange & { at: EpochMs },
  ): Promise<boolean> {
    const state = nextPromotionState(promotion.state, event)
    const moved: Promotion = { ...promotion, ...change, state, updatedAt: change.at }
    const { id, ...row } = toRow(moved)
    const result = await tx
      .updateTable('promotions')
      .set(row)
      .where('id', '=', id)
      .where('state', '=', promotion.state)
      .executeTakeFirst()
    if (result.numUpdatedRows === 0n) return false
    await this.#tell(tx, moved, state, change.at)
    return true
  }

  async decided(verdictId: string): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('promotion_decisions')
      .select('environment')
      .where('verdict_id', '=', verdictId)
      .execute()
    return rows.map((row) => row.environment)
  }

  async addDecision(tx: Tx, record: DecisionRecord): Promise<void> {
    await tx
      .insertInto('promotion_decisions')
      .values({
        verdict_id: record.verdictId,
        environment: record.environment,
        project: record.project,
        inputs: record.inputs,
        inputs_digest: record.inputsDigest,
        rule_version: record.ruleVersion,
        outcome: record.outcome,
        reasons: JSON.stringify(record.reasons),
        promotion_id: record.promotionId ?? null,
        at: record.at,
      })
      .execute()
  }

  /** The bar that holds now. */
  async bar(place: Place, digest: Digest, db: Db | Tx = this.#db): Promise<Bar | undefined> {
    const row = await db
      .selectFrom('promotion_bars')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .where('digest', '=', digest)
      .where('lifted_at', 'is', null)
      .executeTakeFirst()
    return row && { digest, cause: row.cause as Bar['cause'], reason: row.reason, at: row.at }
  }

  async setBar(tx: Tx, place: Place, bar: Bar): Promise<void> {
    const { project, environment } = place
    const set = { cause: bar.cause, reason: bar.reason, at: bar.at, lifted_at: null, lifted_by: null }
    await tx
      .insertInto('promotion_bars')
      .values({ project, environment, digest: bar.digest, ...set })
      .onConflict((c) => c.columns(['project', 'environment', 'digest']).doUpdateSet(set))
      .execute()
  }

  /** Lifts a bar that is older than the person's deed; a later one stays. */
  async liftBar(tx: Tx, place: Place, digest: Digest, lift: { by: string; at: EpochMs }): Promise<void> {
    await tx
      .updateTable('promotion_bars')
      .set({ lifted_at: lift.at, lifted_by: lift.by })
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .where('digest', '=', digest)
      .where('lifted_at', 'is', null)
      .where('at', '<=', lift.at)
      .execute()
  }

  /** Oldest first, the last 500. */
  async desiredHistory(place: Place, db: Db | Tx = this.#db): Promise<DesiredState[]> {
    const rows = await db
      .selectFrom('desired_states')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .orderBy('id', 'desc')
      .limit(500)
      .execute()
    return rows.reverse().map((row) => ({
      model: row.model ?? undefined,
      version: row.version ?? undefined,
      digest: (row.digest ?? undefined) as Digest | undefined,
      commit: row.commit_id as CommitId,
      actor: row.actor,
      origin: row.origin as DesiredState['origin'],
      at: row.at,
    }))
  }

  async knownEnvironments(project: string): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('desired_states')
      .select('environment')
      .distinct()
      .where('project', '=', project)
      .execute()
    return rows.map((row) => row.environment)
  }

  async addDesired(tx: Tx, place: Place, state: DesiredState): Promise<void> {
    await tx
      .insertInto('desired_states')
      .values({
        ...place,
        model: state.model ?? null,
        version: state.version ?? null,
        digest: state.digest ?? null,
        commit_id: state.commit,
        actor: state.actor,
        origin: state.origin,
        at: state.at,
      })
      .execute()
  }

  async #tell(tx: Tx, { project, environment, id }: Promotion, state: PromotionState, at: EpochMs): Promise<void> {
    await publish(tx, { type: 'promotion.changed', payload: { project, environment, promotionId: id, state } }, at)
  }
}

const toVersion = (row: Selectable<PromotionTables['judged_versions']>): JudgedVersion => ({
  digest: row.digest as Digest,
  project: row.project,
  model: row.model,
  version: row.version,
  contentDigest: row.content_digest as Digest,
  executionId: row.execution_id as ExecutionId,
  verdictId: row.verdict_id,
  verdictOutcome: row.verdict_outcome as GateOutcome,
  createdAt: row.created_at,
})

const toRow = (promotion: Promotion): Insertable<PromotionTables['promotions']> => ({
  id: promotion.id,
  project: promotion.project,
  environment: promotion.environment,
  model: promotion.model,
  version: promotion.version,
  digest: promotion.digest,
  kind: promotion.kind,
  state: promotion.state,
  destination: promotion.destination,
  approver: promotion.approver ?? null,
  replaces: promotion.replaces ?? null,
  execution_id: promotion.executionId ?? null,
  verdict_id: promotion.verdictId ?? null,
  verdict_outcome: promotion.verdictOutcome ?? null,
  reasons: JSON.stringify(promotion.reasons),
  proposal_branch: promotion.proposalBranch,
  base: promotion.base,
  message: promotion.message,
  intended_at: promotion.intendedAt,
  commit_id: promotion.commit ?? null,
  decided_by: promotion.decidedBy ?? null,
  note: promotion.note ?? null,
  created_at: promotion.createdAt,
  updated_at: promotion.updatedAt,
})

const toPromotion = (row: Selectable<PromotionTables['promotions']>): Promotion => ({
  id: row.id,
  project: row.project,
  environment: row.environment,
  model: row.model,
  version: row.version,
  digest: row.digest as Digest,
  kind: row.kind as PromotionKind,
  state: row.state as PromotionState,
  destination: row.destination as Promotion['destination'],
  ...(row.approver === null ? {} : { approver: row.approver }),
  ...(row.replaces === null ? {} : { replaces: row.replaces as Digest }),
  ...(row.execution_id === null ? {} : { executionId: row.execution_id as ExecutionId }),
  ...(row.verdict_id === null ? {} : { verdictId: row.verdict_id }),
  ...(row.verdict_outcome === null ? {} : { verdictOutcome: row.verdict_outcome as GateOutcome }),
  reasons: JSON.parse(row.reasons) as string[],
  proposalBranch: row.proposal_branch,
  base: row.base as CommitId,
  message: row.message,
  intendedAt: row.intended_at,
  ...(row.commit_id === null ? {} : { commit: row.commit_id as CommitId }),
  ...(row.decided_by === null ? {} : { decidedBy: row.decided_by }),
  ...(row.note === null ? {} : { note: row.note }),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})
