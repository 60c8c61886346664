import type { Db, Tx } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import { type ExperimentId, experimentNumber } from '../tracking/index.ts'
import type { OnlineScoringConfig, ScorerVersion } from './evaluations.ts'

/** Scorers of experiments with their versions, and whether they would be applied as traces come in. */
export const scorerStore = {
  async register(
    tx: Tx,
    scorer: { experimentId: ExperimentId; name: string; serialized: string },
    now: EpochMs,
  ): Promise<ScorerVersion> {
    const scorerId = (await findId(tx, scorer)) ?? (await create(tx, scorer, now))
    const { last } = await tx
      .selectFrom('scorer_versions')
      .select((e) => e.fn.max('version').as('last'))
      .where('scorer_id', '=', scorerId)
      .executeTakeFirstOrThrow()
    const version = Number(last ?? 0) + 1
    await tx
      .insertInto('scorer_versions')
      .values({ scorer_id: scorerId, version, serialized: scorer.serialized, created_at: now })
      .execute()
    return { ...scorer, scorerId, version, createdAt: now }
  },

  /** The latest version of each in experiments that are active: in all of them, or in those of the list. */
  async latest(db: Db, experimentIds?: readonly ExperimentId[]): Promise<ScorerVersion[]> {
    if (experimentIds?.length === 0) return []
    let query = withVersions(db)
      .innerJoin('experiments as x', 'x.id', 's.experiment_id')
      .where('x.lifecycle_stage', '=', 'active')
      .where((e) =>
        e(
          'v.version',
          '=',
          e
            .selectFrom('scorer_versions as other')
            .select((o) => o.fn.max('other.version').as('last'))
            .whereRef('other.scorer_id', '=', 's.scorer_id'),
        ),
      )
      .orderBy('s.experiment_id')
      .orderBy('s.name')
    if (experimentIds) query = query.where('s.experiment_id', 'in', experimentIds.map(experimentNumber))
    return (await query.execute()).map(versionFrom)
  },

  /** Oldest first. Throws NotFound where there is none. */
  async versions(db: Db, experimentId: ExperimentId, name: string): Promise<ScorerVersion[]> {
    const rows = await withVersions(db)
      .where('s.experiment_id', '=', experimentNumber(experimentId))
      .where('s.name', '=', name)
      .orderBy('v.version')
      .execute()
    if (rows.length === 0) throw noScorer(experimentId, name)
    return rows.map(versionFrom)
  },

  /** The latest without a version. Throws NotFound. */
  async version(db: Db, experimentId: ExperimentId, name: string, version?: number): Promise<ScorerVersion> {
    let query = withVersions(db)
      .where('s.experiment_id', '=', experimentNumber(experimentId))
      .where('s.name', '=', name)
      .orderBy('v.version', 'desc')
      .limit(1)
    if (version !== undefined) query = query.where('v.version', '=', version)
    const row = await query.executeTakeFirst()
    if (row) return versionFrom(row)
    const known = version === undefined ? undefined : await findId(db, { experimentId, name })
    throw noScorer(experimentId, name, known === undefined ? undefined : version)
  },

  /** One version, or the scorer with all of them. Throws NotFound. */
  async delete(tx: Tx, experimentId: ExperimentId, name: string, version?: number): Promise<void> {
    const scorerId = await this.idOf(tx, { experimentId, name })
    let query = tx.deleteFrom('scorer_versions').where('scorer_id', '=', scorerId)
    if (version !== undefined) query = query.where('version', '=', version)
    const { numDeletedRows } = await query.executeTakeFirst()
    if (numDeletedRows === 0n) throw noScorer(experimentId, name, version)
    if (version !== undefined) return
    await tx.deleteFrom('scorer_online_configs').where('scorer_id', '=', scorerId).execute()
    await tx.deleteFrom('scorers').where('scorer_id', '=', scorerId).execute()
  },

  /** Throws NotFound. */
  async idOf(db: Db, scorer: { experimentId: ExperimentId; name: string }): Promise<string> {
    const scorerId = await findId(db, scorer)
    if (scorerId === undefined) throw noScorer(scorer.experimentId, scorer.name)
    return scorerId
  },

  /** Replaces the one that there was. */
  async setOnlineConfig(tx: Tx, config: OnlineScoringConfig): Promise<void> {
    const values = {
      config_id: config.configId,
      experiment_id: experimentNumber(config.experimentId),
      sample_rate: config.sampleRate,
      filter: config.filter ?? null,
    }
    await tx
      .insertInto('scorer_online_configs')
      .values({ scorer_id: config.scorerId, ...values })
      .onConflict((c) => c.column('scorer_id').doUpdateSet(values))
      .execute()
  },

  async onlineConfigs(db: Db, scorerIds: readonly string[]): Promise<OnlineScoringConfig[]> {
    if (scorerIds.length === 0) return []
    const rows = await db
      .selectFrom('scorer_online_configs')
      .selectAll()
      .where('scorer_id', 'in', scorerIds)
      .orderBy('config_id')
      .execute()
    return rows.map((row) => ({
      configId: row.config_id,
      scorerId: row.scorer_id,
      experimentId: String(row.experiment_id),
      sampleRate: row.sample_rate,
      filter: row.filter ?? undefined,
    }))
  },
}

async function findId(db: Db, { experimentId, name }: { experimentId: ExperimentId; name: string }) {
  const row = await db
    .selectFrom('scorers')
    .select('scorer_id')
    .where('experiment_id', '=', experimentNumber(experimentId))
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.scorer_id
}

async function create(tx: Tx, scorer: { experimentId: ExperimentId; name: string }, now: EpochMs): Promise<string> {
  const scorerId = newId(now)
  await tx
    .insertInto('scorers')
    .values({ scorer_id: scorerId, experiment_id: experimentNumber(scorer.experimentId), name: scorer.name })
    .execute()
  return scorerId
}

const withVersions = (db: Db) =>
  db
    .selectFrom('scorers as s')
    .innerJoin('scorer_versions as v', 'v.scorer_id', 's.scorer_id')
    .select(['s.scorer_id', 's.experiment_id', 's.name', 'v.version', 'v.serialized', 'v.created_at'])

type Row = {
  scorer_id: string
  experiment_id: number
  name: string
  version: number
  serialized: string
  created_at: number
}

const versionFrom = (row: Row): ScorerVersion => ({
  scorerId: row.scorer_id,
  experimentId: String(row.experiment_id),
  name: row.name,
  version: row.version,
  serialized: row.serialized,
  createdAt: row.created_at,
})

function noScorer(experimentId: ExperimentId, name: string, version?: number): AppError {
  const which = version === undefined ? `'${name}'` : `'${name}' and version ${version}`
  return new AppError(
    'NotFound',
    `Scorer with name ${which} not found for experiment ${experimentId}.`,
    'List the scorers of the experiment to see which there are.',
  )
}
