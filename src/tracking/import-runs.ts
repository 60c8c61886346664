import { sql } from 'kysely'
import { type Db, insertStatement, isPostgres, type Tx } from '../db/index.ts'
import type { EpochMs } from '../kernel/time.ts'
import { completeRuns } from './complete-runs.ts'
import { storedValue } from './decide/metric-value.ts'
import { experimentNumber, experimentStore } from './experiment-store.ts'
import { loggedModelStore } from './logged-model-store.ts'
import { metricStore } from './metric-store.ts'
import { type RunRow, runStore } from './run-store.ts'
import type {
  DatasetInput,
  Experiment,
  ExperimentId,
  KeyValue,
  LoggedModel,
  LoggedModelMetric,
  MetricPoint,
  Run,
  RunInfo,
} from './tracking.ts'

export type ImportedExperiment = Pick<Experiment, 'name' | 'lifecycle' | 'createdAt' | 'updatedAt'> & {
  /** Kept where it is free and small enough for every database. */
  wantedId: string
  /** Ours where it is left out. */
  artifactLocation?: string
  tags: readonly KeyValue[]
}

export type ImportedRun = Omit<RunInfo, 'ownerRunId'> & {
  deletedAt: EpochMs | undefined
  params: readonly KeyValue[]
  tags: readonly KeyValue[]
  datasetInputs: readonly DatasetInput[]
  modelInputs: readonly string[]
  modelOutputs: readonly { modelId: string; step: number }[]
}

export type ImportedLoggedModel = Omit<LoggedModel, 'params' | 'tags' | 'metrics'> & {
  params: readonly KeyValue[]
  tags: readonly KeyValue[]
  metrics: readonly LoggedModelMetric[]
}

/** Of a list in one statement: far below what either database takes as variables. */
const rowsAtOnce = 1000
const largestKeptId = 2_147_483_647
const unfinished = ['RUNNING', 'SCHEDULED']

/**
 * Records of another server, written with the ids, times, names and states that they have there, in the caller's transaction.
 * Everything only adds: what is here already stays as it is, so that the same again changes nothing. Nothing is cut or checked
 * against MLflow's limits, which were another's when it was logged; who calls has seen to keys and ids.
 */
export const importedRuns = {
  async addExperiment(tx: Tx, experiment: ImportedExperiment): Promise<ExperimentId> {
    const row = {
      name: experiment.name,
      artifact_location: experiment.artifactLocation ?? '',
      lifecycle_stage: experiment.lifecycle,
      created_at: experiment.createdAt,
      updated_at: experiment.updatedAt,
    }
    const wanted = await freeId(tx, experiment.wantedId)
    const { id } = await tx
      .insertInto('experiments')
      .values(wanted === undefined ? row : { ...row, id: wanted })
      .returning('id')
      .executeTakeFirstOrThrow()
    // SQLite counts on from the greatest id by itself.
    if (wanted !== undefined && isPostgres(tx))
      await sql`select setval(pg_get_serial_sequence('experiments', 'id'), (select max(id) from experiments))`.execute(
        tx,
      )
    if (experiment.artifactLocation === undefined)
      await tx
        .updateTable('experiments')
        .set({ artifact_location: `mlflow-artifacts:/${id}` })
        .where('id', '=', id)
        .execute()
    await this.addExperimentTags(tx, String(id), experiment.tags)
    return String(id)
  },

  async experimentNamed(db: Db, name: string): Promise<Experiment | undefined> {
    return experimentStore.byName(db, name)
  },

  async experiments(db: Db, experimentIds: readonly ExperimentId[]): Promise<Experiment[]> {
    const found: Experiment[] = []
    for (const id of experimentIds) found.push(await experimentStore.byId(db, id))
    return found
  },

  async addExperimentTags(tx: Tx, experimentId: ExperimentId, tags: readonly KeyValue[]): Promise<void> {
    const id = experimentNumber(experimentId)
    for (const part of chunks(distinct(tags)))
      await tx
        .insertInto('experiment_tags')
        .values(part.map(({ key, value }) => ({ experiment_id: id, key, value })))
        .onConflict((c) => c.doNothing())
        .execute()
  },

  /** A run that was still running here takes over how it ended. */
  async addRuns(tx: Tx, runs: readonly ImportedRun[]): Promise<void> {
    const before = await rowsOf(
      tx,
      runs.map((run) => run.runId),
    )
    for (const part of chunks(runs.filter((run) => !before.has(run.runId))))
      await tx.insertInto('runs').values(part.map(rowOf)).execute()
    for (const run of runs) {
      const old = before.get(run.runId)
      if (!old || !unfinished.includes(old.status) || run.status === old.status) continue
      await tx
        .updateTable('runs')
        .set({ status: run.status, ended_at: run.endedAt ?? null })
        .where('run_key', '=', old.run_key)
        .execute()
    }
    const rows = await rowsOf(
      tx,
      runs.map((run) => run.runId),
    )
    await insertParams(
      tx,
      runs.flatMap((run) => ownedPairs(rows.get(run.runId)!, run.params)),
    )
    await insertTags(
      tx,
      runs.flatMap((run) => ownedPairs(rows.get(run.runId)!, run.tags)),
    )
    for (const run of runs) {
      const row = rows.get(run.runId)!
      if (run.datasetInputs.length > 0 || run.modelInputs.length > 0)
        await runStore.logInputs(tx, row, { datasets: run.datasetInputs, models: run.modelInputs })
      if (run.modelOutputs.length > 0) await runStore.logOutputs(tx, row, run.modelOutputs)
    }
  },

  /** Points of runs that are here. The same point twice is one point, as in MLflow's own database. */
  async addPoints(tx: Tx, pointsOf: ReadonlyMap<string, readonly MetricPoint[]>): Promise<void> {
    const rows = await rowsOf(tx, [...pointsOf.keys()])
    for (const [runId, points] of pointsOf)
      for (const part of chunks(points)) await metricStore.log(tx, rows.get(runId)!, part)
  },

  async addLoggedModels(tx: Tx, models: readonly ImportedLoggedModel[]): Promise<void> {
    for (const model of models) {
      await tx
        .insertInto('logged_models')
        .values({
          model_id: model.modelId,
          experiment_id: experimentNumber(model.experimentId),
          name: model.name,
          artifact_uri: model.artifactUri,
          created_at: model.createdAt,
          updated_at: model.updatedAt,
          status: model.status,
          status_message: model.statusMessage ?? null,
          model_type: model.modelType ?? null,
          source_run_id: model.sourceRunId ?? null,
          lifecycle_stage: model.lifecycle,
          deleted_at: model.lifecycle === 'deleted' ? model.updatedAt : null,
        })
        .onConflict((c) => c.doNothing())
        .execute()
      for (const [table, pairs] of [
        ['logged_model_params', model.params],
        ['logged_model_tags', model.tags],
      ] as const)
        for (const part of chunks(distinct(pairs)))
          await tx
            .insertInto(table)
            .values(part.map(({ key, value }) => ({ model_id: model.modelId, key, value })))
            .onConflict((c) => c.doNothing())
            .execute()
      for (const part of chunks(model.metrics))
        await tx
          .insertInto('logged_model_metrics')
          .values(
            part.map((metric) => ({
              model_id: model.modelId,
              run_id: metric.runId,
              key: metric.key,
              timestamp: metric.timestamp,
              step: metric.step,
              ...storedValue(metric.value),
              dataset_name: metric.datasetName ?? null,
              dataset_digest: metric.datasetDigest ?? null,
            })),
          )
          .onConflict((c) => c.doNothing())
          .execute()
    }
  },

  /** Which of these run ids are taken, by whomever. */
  async runsHere(db: Db, runIds: readonly string[]): Promise<Set<string>> {
    return new Set((await rowsOf(db, runIds)).keys())
  },

  async loggedModelsHere(db: Db, modelIds: readonly string[]): Promise<Set<string>> {
    const found = new Set<string>()
    for (const part of chunks(modelIds)) {
      const rows = await db.selectFrom('logged_models').select('model_id').where('model_id', 'in', part).execute()
      for (const row of rows) found.add(row.model_id)
    }
    return found
  },

  /** Whole runs by id, deleted ones too, each with the number of its points; those that are not here are left out. */
  async runs(db: Db, runIds: readonly string[]): Promise<(Run & { points: number })[]> {
    const rows = [...(await rowsOf(db, runIds)).values()]
    const runs = await completeRuns(db, rows)
    const points = await pointCounts(
      db,
      rows.map((row) => row.run_key),
    )
    return runs.map((run, index) => ({ ...run, points: points.get(rows[index]!.run_key) ?? 0 }))
  },

  /** Whole logged models by id, deleted ones too; those that are not here are left out. */
  async loggedModels(db: Db, modelIds: readonly string[]): Promise<LoggedModel[]> {
    const here = await this.loggedModelsHere(db, modelIds)
    const found: LoggedModel[] = []
    for (const modelId of here) found.push(await loggedModelStore.byId(db, modelId, { deletedToo: true }))
    return found
  },
}

async function freeId(tx: Tx, wanted: string): Promise<number | undefined> {
  if (!/^[1-9]\d{0,9}$/.test(wanted) || Number(wanted) > largestKeptId) return undefined
  const taken = await tx.selectFrom('experiments').select('id').where('id', '=', Number(wanted)).executeTakeFirst()
  return taken ? undefined : Number(wanted)
}

const rowOf = (run: ImportedRun) => ({
  run_id: run.runId,
  experiment_id: experimentNumber(run.experimentId),
  name: run.name,
  status: run.status,
  user_id: run.userId,
  started_at: run.startedAt,
  ended_at: run.endedAt ?? null,
  lifecycle_stage: run.lifecycle,
  deleted_at: run.lifecycle === 'deleted' ? (run.deletedAt ?? run.endedAt ?? run.startedAt) : null,
  artifact_uri: run.artifactUri,
  owner_run_id: null,
})

async function rowsOf(db: Db, runIds: readonly string[]): Promise<Map<string, RunRow>> {
  const found = new Map<string, RunRow>()
  for (const part of chunks(runIds))
    for (const row of await db.selectFrom('runs').selectAll().where('run_id', 'in', part).execute())
      found.set(row.run_id, row)
  return found
}

async function pointCounts(db: Db, runKeys: readonly number[]): Promise<Map<number, number>> {
  const counts = new Map<number, number>()
  for (const part of chunks(runKeys)) {
    const rows = await db
      .selectFrom('metric_series as s')
      .innerJoin('metric_points as p', 'p.series_id', 's.id')
      .select('s.run_key')
      .select((e) => e.fn.countAll<number>().as('points'))
      .where('s.run_key', 'in', part)
      .groupBy('s.run_key')
      .execute()
    for (const row of rows) counts.set(row.run_key, Number(row.points))
  }
  return counts
}

const pairColumns = { run_key: 'bigint', experiment_id: 'bigint', key: 'text', value: 'text' } as const
const insertParams = insertStatement('run_params', pairColumns, 'on conflict do nothing')
const insertTags = insertStatement('run_tags', pairColumns, 'on conflict do nothing')

const ownedPairs = (row: RunRow, pairs: readonly KeyValue[]): (string | number)[][] =>
  distinct(pairs).map(({ key, value }) => [row.run_key, row.experiment_id, key, value])

/** One statement must not name a key twice; the last one counts, as where one was logged after the other. */
const distinct = (pairs: readonly KeyValue[]): KeyValue[] => [
  ...new Map(pairs.map((pair) => [pair.key, pair])).values(),
]

function* chunks<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += rowsAtOnce) yield items.slice(from, from + rowsAtOnce)
}
