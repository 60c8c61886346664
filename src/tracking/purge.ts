import { type SqlBool, sql } from 'kysely'
import { type Db, isOneOf, type Tx, transact } from '../db/index.ts'
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

/** What a step of the purge leaves to others: each gives how many rows it removed, 0 when nothing is left. */
export type Elsewhere = {
  artifacts(folder: Folder, limit: number): Promise<number>
  experiment(experimentId: string, limit: number): Promise<number>
}

/** Doomed: out of sight, and gone row by row. What is doomed cannot be restored. */
const doomed = 'purging'
const defaultExperiment = 0
/** As the indexes of what is not active say it: SQLite takes them for no other words. */
const notActive = sql<SqlBool>`lifecycle_stage <> 'active'`
/** A step holds the database for some milliseconds: others come in between. */
const rowsAtOnce = 2000
const runsAtOnce = 50
const namedAtOnce = 10_000

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

/** From here on it is gone for everybody: names are free, ids unknown. What it consists of goes with `purgeStep`. */
export async function doom(db: Db, choice: PurgeChoice, held: Held): Promise<Purgeable> {
  return transact(db, async (tx) => {
    const going = await purgeable(tx, choice, held)
    for (const { experimentId } of going.experiments)
      await tx
        .updateTable('experiments')
        .set({ lifecycle_stage: doomed, name: `${doomed}/${experimentId}` })
        .where('id', '=', Number(experimentId))
        .execute()
    await doomRuns(tx, isOneOf(tx, sql.ref('run_id'), going.runs), going.runs.length)
    if (going.loggedModels.length > 0)
      await tx
        .updateTable('logged_models')
        .set({ lifecycle_stage: doomed })
        .where(isOneOf(tx, sql.ref('model_id'), going.loggedModels))
        .execute()
    return going
  })
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
  await transact(db, async (tx) => {
    if (await purgePoints(tx, keys)) return
    for (const table of [
      'metric_series',
      'run_params',
      'run_tags',
      'run_inputs',
      'run_input_tags',
      'run_models',
    ] as const)
      await tx.deleteFrom(table).where('run_key', 'in', keys).execute()
    await tx.deleteFrom('logged_model_metrics').where('run_id', 'in', ids).execute()
    await tx.deleteFrom('runs').where('run_key', 'in', keys).execute()
  })
  return true
}

/** At most `rowsAtOnce` points. True where there may be more. */
async function purgePoints(tx: Tx, runKeys: readonly number[]): Promise<boolean> {
  const series = await tx.selectFrom('metric_series').select('id').where('run_key', 'in', runKeys).execute()
  let left = rowsAtOnce
  for (const { id } of series) {
    const { rows } = await sql<{ step: number; timestamp: number; value: number }>`select step, timestamp, value
      from metric_points where series_id = ${id} order by step, timestamp, value limit 1 offset ${left}`.execute(tx)
    const [end] = rows
    const upTo = end
      ? sql<SqlBool>`(step, timestamp, value) <= (${end.step}, ${end.timestamp}, ${end.value})`
      : sql<SqlBool>`1 = 1`
    const { numDeletedRows } = await tx
      .deleteFrom('metric_points')
      .where('series_id', '=', id)
      .where(upTo)
      .executeTakeFirst()
    left -= Number(numDeletedRows)
    if (end || left <= 0) return true
  }
  return false
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
  if ((await elsewhere.artifacts({ artifactUri: model.artifact_uri, of: model.model_id }, rowsAtOnce)) > 0) return true
  await transact(db, async (tx) => {
    for (const table of ['logged_model_params', 'logged_model_tags', 'logged_model_metrics', 'run_models'] as const)
      await tx.deleteFrom(table).where('model_id', '=', model.model_id).execute()
    await tx.deleteFrom('logged_models').where('model_id', '=', model.model_id).execute()
  })
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
  const doomedNow = await transact(db, async (tx) => {
    const runs = await tx
      .selectFrom('runs')
      .select('run_id')
      .where('experiment_id', '=', id)
      .where('lifecycle_stage', '<>', doomed)
      .limit(rowsAtOnce)
      .execute()
    const ids = runs.map((run) => run.run_id)
    await doomRuns(tx, isOneOf(tx, sql.ref('run_id'), ids), ids.length)
    const models = await tx
      .updateTable('logged_models')
      .set({ lifecycle_stage: doomed })
      .where('experiment_id', '=', id)
      .where('lifecycle_stage', '<>', doomed)
      .executeTakeFirst()
    return ids.length + Number(models.numUpdatedRows)
  })
  if (doomedNow > 0) return true
  if ((await elsewhere.experiment(String(id), rowsAtOnce)) > 0) return true
  if ((await elsewhere.artifacts({ artifactUri: experiment.artifact_location, of: String(id) }, rowsAtOnce)) > 0)
    return true
  await transact(db, async (tx) => {
    await tx.deleteFrom('input_datasets').where('experiment_id', '=', id).execute()
    await tx.deleteFrom('experiment_tags').where('experiment_id', '=', id).execute()
    await tx.deleteFrom('experiments').where('id', '=', id).execute()
  })
  return true
}

async function doomRuns(tx: Tx, which: ReturnType<typeof isOneOf>, count: number): Promise<void> {
  if (count === 0) return
  await tx
    .updateTable('runs')
    .set({ lifecycle_stage: doomed, run_id: sql<string>`${`${doomed}/`} || run_id` })
    .where(which)
    .execute()
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
