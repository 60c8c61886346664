import { setImmediate } from 'node:timers/promises'
import { type SqlBool, sql } from 'kysely'
import { type Db, deleteSome, deleteSomeOf, isOneOf, type Tx, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'

/** Of what was deleted, what is to go for good: all that was deleted before a time, or of that the experiments and runs named. */
export type PurgeChoice = { deletedBefore: EpochMs; experiments?: readonly string[]; runs?: readonly string[] }

export type Purgeable = {
  experiments: { experimentId: string; name: string }[]
  /** Runs of their own, not those that go with their experiment. */
  runs: string[]
  loggedModels: string[]
}

/** Ids of runs and logged models that something outside still needs; they stay, and so does their experiment. */
export type Held = ReadonlySet<string>

/** Where artifacts lie, and the id of what they belong to. */
export type Folder = { artifactUri: string; of: string }

type Purged = 'experiment' | 'run' | 'logged-model'

/**
 * What a step of the purge leaves to others: each removes at most about `limit` rows and gives how many those were, 0 when nothing
 * is left. `kept`: what other rooms keep of the things.
 */
export type Elsewhere = {
  artifacts(folder: Folder, limit: number): Promise<number>
  kept(of: Purged, ids: readonly string[], limit: number): Promise<number>
}

/** Doomed: out of sight, and gone row by row. What is doomed cannot be restored. */
const doomed = 'purging'
const defaultExperiment = 0
/** As the indexes of what is not active say it: SQLite takes them for no other words. */
const notActive = sql<SqlBool>`lifecycle_stage <> 'active'`
/** A step holds the database for some milliseconds: others come in between. */
const rowsAtOnce = 1000
const seriesAtOnce = 500
const runsAtOnce = 20
/** Each stands in half a dozen indexes. */
const doomedAtOnce = 100
const namedAtOnce = 10_000
const keyOfRunModel = ['run_key', 'model_id', 'direction', 'step']
const keyOfModelMetric = ['model_id', 'key', 'timestamp', 'step', 'run_id']

/** What a choice would purge, at most 10,000 of each. Throws Conflict where something named is not deleted, or not for so long. */
export async function purgeable(db: Db | Tx, choice: PurgeChoice, held: Held): Promise<Purgeable> {
  const named = choice.experiments !== undefined || choice.runs !== undefined
  const experiments = named && !choice.experiments ? [] : await deletedExperiments(db, choice, held)
  const runs = named && !choice.runs ? [] : await deletedRuns(db, choice, held)
  refuseMissing('experiment', choice.experiments, new Set(experiments.map((one) => one.experimentId)))
  refuseMissing('run', choice.runs, new Set(runs))
  const going = new Set(experiments.map((one) => one.experimentId))
  return {
    experiments,
    runs: going.size > 0 && !choice.runs ? await without(db, runs, going) : runs,
    loggedModels: named ? [] : await deletedModels(db, choice, held),
  }
}

/**
 * From here on it is gone for everybody: names are free, ids unknown. What it consists of goes with `purgeStep`. Many go in slices
 * with room for others in between; what is restored meanwhile stays.
 */
export async function doom(db: Db, choice: PurgeChoice, held: Held): Promise<Purgeable> {
  const going = await purgeable(db, choice, held)
  const of = ['deleted']
  for (const experiments of slices(going.experiments)) {
    await transact(db, (tx) => doomExperiments(tx, experiments))
    await setImmediate()
  }
  for (const ids of slices(going.runs)) {
    await transact(db, (tx) => doomRuns(tx, { ids, of }))
    await setImmediate()
  }
  for (const ids of slices(going.loggedModels)) {
    await transact(db, (tx) => doomModels(tx, { ids, of }))
    await setImmediate()
  }
  return going
}

async function doomExperiments(tx: Tx, experiments: Purgeable['experiments']): Promise<void> {
  for (const { experimentId } of experiments)
    await tx
      .updateTable('experiments')
      .set({ lifecycle_stage: doomed, name: `${doomed}/${experimentId}` })
      .where('id', '=', Number(experimentId))
      .where('lifecycle_stage', '=', 'deleted')
      .execute()
}

/** How much is doomed and not yet gone. */
export async function doomedLeft(db: Db): Promise<{ experiments: number; runs: number; loggedModels: number }> {
  const count = async (table: 'experiments' | 'runs' | 'logged_models') => {
    const { n } = await db
      .selectFrom(table)
      .select((e) => e.fn.countAll<number>().as('n'))
      .where(notActive)
      .where('lifecycle_stage', '=', doomed)
      .executeTakeFirstOrThrow()
    return Number(n)
  }
  return {
    experiments: await count('experiments'),
    runs: await count('runs'),
    loggedModels: await count('logged_models'),
  }
}

/**
 * A bounded piece of what is doomed. False when nothing is left. What is there tells what is left to do, so a killed purge goes on
 * where it was. Points that have arrived must be in their place (TrackingService.settleMetrics).
 */
export async function purgeStep(db: Db, elsewhere: Elsewhere): Promise<boolean> {
  return (await purgeRuns(db, elsewhere)) || (await purgeModel(db, elsewhere)) || (await purgeExperiment(db, elsewhere))
}

async function purgeRuns(db: Db, elsewhere: Elsewhere): Promise<boolean> {
  const runs = await db
    .selectFrom('runs')
    .select(['run_key', 'run_id', 'artifact_uri'])
    .where(notActive)
    .where('lifecycle_stage', '=', doomed)
    .orderBy('deleted_at')
    .orderBy('run_key')
    .limit(runsAtOnce)
    .execute()
  if (runs.length === 0) return false
  const keys = runs.map((run) => run.run_key)
  const ids = runs.map((run) => run.run_id.slice(doomed.length + 1))
  for (const [index, { artifact_uri }] of runs.entries())
    if ((await elsewhere.artifacts({ artifactUri: artifact_uri, of: ids[index]! }, rowsAtOnce)) > 0) return true
  if ((await transact(db, (tx) => purgeSeries(tx, keys))) > 0) return true
  if ((await transact(db, (tx) => deleteSomeOf(tx, rowsOfRuns(keys, ids), rowsAtOnce))) > 0) return true
  if ((await elsewhere.kept('run', ids, rowsAtOnce)) > 0) return true
  await transact(db, (tx) => tx.deleteFrom('runs').where('run_key', 'in', keys).execute())
  return true
}

const rowsOfRuns = (keys: readonly number[], ids: readonly string[]) => {
  const ofRun = sql`run_key in (${sql.join(keys)})`
  return [
    { table: 'run_params', key: ['run_key', 'key'], where: ofRun },
    { table: 'run_tags', key: ['run_key', 'key'], where: ofRun },
    { table: 'run_inputs', key: ['run_key', 'dataset_id'], where: ofRun },
    { table: 'run_input_tags', key: ['run_key', 'dataset_id', 'key'], where: ofRun },
    { table: 'run_models', key: keyOfRunModel, where: ofRun },
    { table: 'logged_model_metrics', key: keyOfModelMetric, where: sql`run_id in (${sql.join(ids)})` },
  ]
}

/** A series goes when its points are gone. */
async function purgeSeries(tx: Tx, runKeys: readonly number[]): Promise<number> {
  const series = await tx
    .selectFrom('metric_series')
    .select('id')
    .where('run_key', 'in', runKeys)
    .limit(seriesAtOnce)
    .execute()
  if (series.length === 0) return 0
  const ids = series.map(({ id }) => id)
  const points = await deleteSome(tx, 'metric_points', {
    key: ['series_id', 'step', 'timestamp', 'value', 'is_nan'],
    where: sql`series_id in (${sql.join(ids)})`,
    limit: rowsAtOnce,
  })
  if (points < rowsAtOnce) await tx.deleteFrom('metric_series').where('id', 'in', ids).execute()
  return points + ids.length
}

async function purgeModel(db: Db, elsewhere: Elsewhere): Promise<boolean> {
  const model = await db
    .selectFrom('logged_models')
    .select(['model_id', 'artifact_uri'])
    .where(notActive)
    .where('lifecycle_stage', '=', doomed)
    .limit(1)
    .executeTakeFirst()
  if (!model) return false
  const { model_id: modelId } = model
  if ((await elsewhere.artifacts({ artifactUri: model.artifact_uri, of: modelId }, rowsAtOnce)) > 0) return true
  const where = sql`model_id = ${modelId}`
  const rows = [
    { table: 'logged_model_params', key: ['model_id', 'key'], where },
    { table: 'logged_model_tags', key: ['model_id', 'key'], where },
    { table: 'logged_model_metrics', key: keyOfModelMetric, where },
    { table: 'run_models', key: keyOfRunModel, where },
  ]
  if ((await transact(db, (tx) => deleteSomeOf(tx, rows, rowsAtOnce))) > 0) return true
  if ((await elsewhere.kept('logged-model', [modelId], rowsAtOnce)) > 0) return true
  await transact(db, (tx) => tx.deleteFrom('logged_models').where('model_id', '=', modelId).execute())
  return true
}

/** First its runs and models are doomed; when they are gone, what else it has; then the experiment itself. */
async function purgeExperiment(db: Db, elsewhere: Elsewhere): Promise<boolean> {
  const experiment = await db
    .selectFrom('experiments')
    .select(['id', 'artifact_location'])
    .where(notActive)
    .where('lifecycle_stage', '=', doomed)
    .limit(1)
    .executeTakeFirst()
  if (!experiment) return false
  const { id } = experiment
  if ((await transact(db, (tx) => doomSomeOf(tx, id))) > 0) return true
  if ((await elsewhere.kept('experiment', [String(id)], rowsAtOnce)) > 0) return true
  const folder = { artifactUri: experiment.artifact_location, of: String(id) }
  if (!(await othersLieIn(db, folder.artifactUri, id)) && (await elsewhere.artifacts(folder, rowsAtOnce)) > 0)
    return true
  const where = sql`experiment_id = ${id}`
  const rows = [
    { table: 'input_datasets', key: ['id'], where },
    { table: 'experiment_tags', key: ['experiment_id', 'key'], where },
  ]
  if ((await transact(db, (tx) => deleteSomeOf(tx, rows, rowsAtOnce))) > 0) return true
  await transact(db, (tx) => tx.deleteFrom('experiments').where('id', '=', id).execute())
  return true
}

/** Whether another experiment was given the same place, or one within: then what is left there may be that one's. */
async function othersLieIn(db: Db, location: string, experimentId: number): Promise<boolean> {
  const place = location.replace(/\/+$/, '')
  const other = await db
    .selectFrom('experiments')
    .select('id')
    .where('id', '<>', experimentId)
    .where((e) =>
      e.or([
        e('artifact_location', '=', place),
        e.and([e('artifact_location', '>=', `${place}/`), e('artifact_location', '<', `${place}0`)]),
      ]),
    )
    .limit(1)
    .executeTakeFirst()
  return other !== undefined
}

/** Some of the runs and logged models of an experiment that is doomed itself. */
async function doomSomeOf(tx: Tx, experimentId: number): Promise<number> {
  const runs = await tx
    .selectFrom('runs')
    .select('run_id')
    .where('experiment_id', '=', experimentId)
    .where('lifecycle_stage', '<>', doomed)
    .limit(doomedAtOnce)
    .execute()
  const models = await tx
    .selectFrom('logged_models')
    .select('model_id')
    .where('experiment_id', '=', experimentId)
    .where('lifecycle_stage', '<>', doomed)
    .limit(doomedAtOnce)
    .execute()
  await doomRuns(tx, { ids: runs.map((run) => run.run_id), of: ['active', 'deleted'] })
  await doomModels(tx, { ids: models.map((model) => model.model_id), of: ['active', 'deleted'] })
  return runs.length + models.length
}

type Doomed = { ids: readonly string[]; of: readonly string[] }

async function doomRuns(tx: Tx, { ids, of }: Doomed): Promise<void> {
  if (ids.length === 0) return
  await tx
    .updateTable('runs')
    .set({ lifecycle_stage: doomed, run_id: sql<string>`${`${doomed}/`} || run_id` })
    .where(isOneOf(tx, sql.ref('run_id'), ids))
    .where('lifecycle_stage', 'in', of)
    .execute()
}

async function doomModels(tx: Tx, { ids, of }: Doomed): Promise<void> {
  if (ids.length === 0) return
  await tx
    .updateTable('logged_models')
    .set({ lifecycle_stage: doomed })
    .where(isOneOf(tx, sql.ref('model_id'), ids))
    .where('lifecycle_stage', 'in', of)
    .execute()
}

function* slices<T>(items: readonly T[]): Iterable<T[]> {
  for (let from = 0; from < items.length; from += doomedAtOnce) yield items.slice(from, from + doomedAtOnce)
}

async function deletedExperiments(db: Db | Tx, choice: PurgeChoice, held: Held): Promise<Purgeable['experiments']> {
  const rows = await db
    .selectFrom('experiments')
    .select(['id', 'name'])
    .where('lifecycle_stage', '=', 'deleted')
    .where('updated_at', '<=', choice.deletedBefore)
    .where('id', '<>', defaultExperiment)
    .$if(choice.experiments !== undefined, (query) =>
      query.where(isOneOf(db, sql.ref('id'), choice.experiments!.map(Number))),
    )
    .orderBy('id')
    .limit(namedAtOnce)
    .execute()
  const keeping = await experimentsOf(db, held)
  return rows.filter((row) => !keeping.has(row.id)).map((row) => ({ experimentId: String(row.id), name: row.name }))
}

async function deletedRuns(db: Db | Tx, choice: PurgeChoice, held: Held): Promise<string[]> {
  const rows = await db
    .selectFrom('runs')
    .select('run_id')
    .where(notActive)
    .where('lifecycle_stage', '=', 'deleted')
    .where('deleted_at', '<=', choice.deletedBefore)
    .$if(choice.runs !== undefined, (query) => query.where(isOneOf(db, sql.ref('run_id'), choice.runs!)))
    .limit(namedAtOnce)
    .execute()
  return rows.map((row) => row.run_id).filter((runId) => !held.has(runId))
}

async function deletedModels(db: Db | Tx, choice: PurgeChoice, held: Held): Promise<string[]> {
  const rows = await db
    .selectFrom('logged_models')
    .select('model_id')
    .where(notActive)
    .where('lifecycle_stage', '=', 'deleted')
    .where('deleted_at', '<=', choice.deletedBefore)
    .limit(namedAtOnce)
    .execute()
  return rows.map((row) => row.model_id).filter((modelId) => !held.has(modelId))
}

/** The experiments in which something held lies. */
async function experimentsOf(db: Db | Tx, held: Held): Promise<Set<number>> {
  const found = new Set<number>()
  const ids = [...held]
  for (const [table, column] of [
    ['runs', 'run_id'],
    ['logged_models', 'model_id'],
  ] as const) {
    if (ids.length === 0) continue
    const rows = await db
      .selectFrom(table)
      .select('experiment_id')
      .distinct()
      .where(isOneOf(db, sql.ref(column), ids))
      .execute()
    for (const row of rows) found.add(row.experiment_id)
  }
  return found
}

async function without(db: Db | Tx, runIds: readonly string[], experiments: ReadonlySet<string>): Promise<string[]> {
  if (runIds.length === 0) return []
  const rows = await db
    .selectFrom('runs')
    .select(['run_id', 'experiment_id'])
    .where(isOneOf(db, sql.ref('run_id'), runIds))
    .execute()
  return rows.filter((row) => !experiments.has(String(row.experiment_id))).map((row) => row.run_id)
}

function refuseMissing(kind: string, wanted: readonly string[] | undefined, found: ReadonlySet<string>): void {
  const missing = (wanted ?? []).filter((id) => !found.has(id))
  if (missing.length === 0) return
  throw new AppError(
    'Conflict',
    `Not purged, because not deleted, not deleted for so long, or holding a registered model's files: ${kind} ${missing.slice(0, 10).join(', ')}.`,
    `Delete the ${kind} first, choose a shorter --older-than, or delete the model versions that lie in it.`,
  )
}
