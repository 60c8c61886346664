import type { Selectable } from 'kysely'
import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { RolloutTables } from '../db/tables/rollouts.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Rollout as DeclaredRollout } from '../projects/index.ts'
import { activeStates } from './decide/rollout-states.ts'
import type { DeploymentState, Rollout, RolloutState, StallCause, VersionName } from './rollout.ts'

export type DeploymentRow = Place & {
  serving?: VersionName & { model: string }
  observed: DeploymentState
  observedReason?: string
  observedSince: EpochMs
}

export type StoredDecision = {
  at: EpochMs
  inputs: string
  inputsDigest: Digest
  ruleVersion: string
  stateBefore: RolloutState
  outcome: string
  reasons: string[]
}

export type GatewayRevision = { revision: number; content: string; writtenAt: EpochMs }

/** Writes the family of tables that say what serves where. */
export class RolloutsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  durably<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(this.#db, work, { durable: true })
  }

  async get(id: string): Promise<Rollout> {
    const row = await this.#db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst()
    if (row) return toRollout(row)
    throw new AppError('NotFound', `There is no rollout "${id}".`, 'See `modelwright status` for what is under way.')
  }

  async active(place: Place): Promise<Rollout | undefined> {
    const row = await this.#of(place).where('state', 'in', activeStates).limit(1).executeTakeFirst()
    return row && toRollout(row)
  }

  async latest(place: Place): Promise<Rollout | undefined> {
    const row = await this.#of(place).limit(1).executeTakeFirst()
    return row && toRollout(row)
  }

  /** Newest first. */
  async history(place: Place, limit: number): Promise<Rollout[]> {
    return (await this.#of(place).limit(limit).execute()).map(toRollout)
  }

  async save(tx: Tx, rollout: Rollout): Promise<void> {
    const { id, ...row } = toRow(rollout)
    await tx
      .insertInto('rollouts')
      .values({ id, ...row })
      .onConflict((c) => c.column('id').doUpdateSet(row))
      .execute()
    const { project, environment, state } = rollout
    await publish(
      tx,
      { type: 'rollout.changed', payload: { project, environment, rolloutId: id, state } },
      rollout.updatedAt,
    )
  }

  /** A person's wish, for the next look; false where the rollout has ended in between. */
  async request(
    tx: Tx,
    id: string,
    request: { what: 'continue' | 'abort'; by: string },
    at: EpochMs,
  ): Promise<boolean> {
    const result = await tx
      .updateTable('rollouts')
      .set({ request: request.what, requested_by: request.by, updated_at: at })
      .where('id', '=', id)
      .where('state', 'in', activeStates)
      .executeTakeFirst()
    return result.numUpdatedRows > 0n
  }

  async addDecision(tx: Tx, rolloutId: string, decision: StoredDecision): Promise<void> {
    await tx
      .insertInto('rollout_decisions')
      .values({
        rollout_id: rolloutId,
        at: decision.at,
        inputs: decision.inputs,
        inputs_digest: decision.inputsDigest,
        rule_version: decision.ruleVersion,
        state_before: decision.stateBefore,
        outcome: decision.outcome,
        reasons: JSON.stringify(decision.reasons),
      })
      .execute()
  }

  /** Oldest first, at most 200. */
  async decisions(rolloutId: string): Promise<StoredDecision[]> {
    const rows = await this.#db
      .selectFrom('rollout_decisions')
      .selectAll()
      .where('rollout_id', '=', rolloutId)
      .orderBy('id')
      .limit(200)
      .execute()
    return rows.map((row) => ({
      at: row.at,
      inputs: row.inputs,
      inputsDigest: row.inputs_digest as Digest,
      ruleVersion: row.rule_version,
      stateBefore: row.state_before as RolloutState,
      outcome: row.outcome,
      reasons: JSON.parse(row.reasons) as string[],
    }))
  }

  async deployment(place: Place): Promise<DeploymentRow | undefined> {
    const rows = await this.#deployments(place.project, place.environment)
    return rows[0]
  }

  deployments(project: string): Promise<DeploymentRow[]> {
    return this.#deployments(project)
  }

  async setServing(
    tx: Tx,
    place: Place,
    serving: (VersionName & { model: string }) | undefined,
    at: EpochMs,
  ): Promise<void> {
    const set = {
      serving_digest: serving?.digest ?? null,
      serving_version: serving?.version ?? null,
      serving_model: serving?.model ?? null,
    }
    await tx
      .insertInto('deployments')
      .values({ ...placeOf(place), ...set, observed: 'progressing', observed_reason: null, observed_since: at })
      .onConflict((c) => c.columns(['project', 'environment']).doUpdateSet(set))
      .execute()
    if (!serving) return
    // The first time counts: it tells which of two versions is the older one here.
    await tx
      .insertInto('served_versions')
      .values({ ...placeOf(place), digest: serving.digest, version: serving.version, served_at: at })
      .onConflict((c) => c.doNothing())
      .execute()
  }

  async servedAt(place: Place, digest: Digest): Promise<EpochMs | undefined> {
    const row = await this.#db
      .selectFrom('served_versions')
      .select('served_at')
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .where('digest', '=', digest)
      .executeTakeFirst()
    return row?.served_at
  }

  /** True where it differs from what was recorded before; then it is told, too. */
  async observe(place: Place, seen: { state: DeploymentState; reason?: string }, at: EpochMs): Promise<boolean> {
    return transact(this.#db, async (tx) => {
      const before = await tx
        .selectFrom('deployments')
        .select(['observed', 'observed_reason'])
        .where('project', '=', place.project)
        .where('environment', '=', place.environment)
        .executeTakeFirst()
      const reason = seen.reason ?? null
      if (before?.observed === seen.state && before.observed_reason === reason) return false
      const set = {
        observed: seen.state,
        observed_reason: reason,
        ...(before?.observed === seen.state ? {} : { observed_since: at }),
      }
      await tx
        .insertInto('deployments')
        .values({
          ...placeOf(place),
          ...{ serving_digest: null, serving_version: null, serving_model: null, observed_since: at },
          ...set,
        })
        .onConflict((c) => c.columns(['project', 'environment']).doUpdateSet(set))
        .execute()
      const payload = { ...placeOf(place), state: seen.state, ...(seen.reason ? { reason: seen.reason } : {}) }
      await publish(tx, { type: 'deployment.observed', payload }, at)
      return true
    })
  }

  async revision(): Promise<GatewayRevision | undefined> {
    const row = await this.#db.selectFrom('gateway_revisions').selectAll().where('id', '=', 1).executeTakeFirst()
    return row && { revision: row.revision, content: row.content, writtenAt: row.written_at }
  }

  async setRevision(revision: GatewayRevision): Promise<void> {
    const set = { revision: revision.revision, content: revision.content, written_at: revision.writtenAt }
    await this.#db
      .insertInto('gateway_revisions')
      .values({ id: 1, ...set })
      .onConflict((c) => c.column('id').doUpdateSet(set))
      .execute()
  }

  #of(place: Place) {
    return this.#db
      .selectFrom('rollouts')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
  }

  async #deployments(project: string, environment?: string): Promise<DeploymentRow[]> {
    let query = this.#db
      .selectFrom('deployments')
      .selectAll()
      .where('project', '=', project)
      .orderBy('environment')
      .limit(1000)
    if (environment !== undefined) query = query.where('environment', '=', environment)
    return (await query.execute()).map((row) => ({
      project: row.project,
      environment: row.environment,
      ...(row.serving_digest === null
        ? {}
        : {
            serving: {
              digest: row.serving_digest as Digest,
              version: row.serving_version ?? 0,
              model: row.serving_model ?? '',
            },
          }),
      observed: row.observed as DeploymentState,
      ...(row.observed_reason === null ? {} : { observedReason: row.observed_reason }),
      observedSince: row.observed_since,
    }))
  }
}

const placeOf = ({ project, environment }: Place): Place => ({ project, environment })

const toRow = (rollout: Rollout) => ({
  id: rollout.id,
  project: rollout.project,
  environment: rollout.environment,
  model: rollout.model,
  digest: rollout.newcomer.digest as string,
  version: rollout.newcomer.version,
  old_digest: rollout.old?.digest ?? null,
  old_version: rollout.old?.version ?? null,
  commit_id: rollout.commit as string,
  state: rollout.state as string,
  step: rollout.step,
  plan: JSON.stringify(rollout.plan),
  straight: rollout.straight ?? null,
  reason: rollout.reason ?? null,
  stall_cause: rollout.stallCause ?? null,
  step_since: rollout.stepSince,
  request: rollout.request?.what ?? null,
  requested_by: rollout.request?.by ?? null,
  created_at: rollout.createdAt,
  updated_at: rollout.updatedAt,
})

const toRollout = (row: Selectable<RolloutTables['rollouts']>): Rollout => ({
  id: row.id,
  project: row.project,
  environment: row.environment,
  model: row.model,
  newcomer: { digest: row.digest as Digest, version: row.version },
  ...(row.old_digest === null ? {} : { old: { digest: row.old_digest as Digest, version: row.old_version ?? 0 } }),
  commit: row.commit_id as CommitId,
  state: row.state as RolloutState,
  step: row.step,
  plan: JSON.parse(row.plan) as DeclaredRollout,
  ...(row.straight === null ? {} : { straight: row.straight }),
  ...(row.reason === null ? {} : { reason: row.reason }),
  ...(row.stall_cause === null ? {} : { stallCause: row.stall_cause as StallCause }),
  stepSince: row.step_since,
  ...(row.request === null
    ? {}
    : { request: { what: row.request as 'continue' | 'abort', by: row.requested_by ?? 'someone' } }),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})
