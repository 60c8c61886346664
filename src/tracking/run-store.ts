import type { Selectable } from 'kysely'
import type { Db } from '../db/index.ts'
import type { TrackingTables } from '../db/tables/tracking.ts'
import { AppError } from '../kernel/errors.ts'
import { type LoggedModelId, newHexId, type RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import { checkParam, checkRunId, checkTag, cutParam, cutTag, invalid } from './decide/limits.ts'
import { readValue } from './decide/metric-value.ts'
import { readableName } from './decide/run-name.ts'
import { experimentNumber, experimentStore } from './experiment-store.ts'
import type { DatasetInput, KeyValue, Lifecycle, MetricPoint, NewRun, Run, RunInfo, RunStatus } from './tracking.ts'

export type RunRow = Selectable<TrackingTables['runs']>

const runNameTag = 'mlflow.runName'

/** Runs with their params, tags, inputs and outputs. */
export const runStore = {
  async create(db: Db, run: NewRun): Promise<RunInfo> {
    if (run.runId !== undefined) checkRunId(run.runId)
    const experiment = await experimentStore.active(db, run.experimentId)
    const runId = run.runId ?? (newHexId(run.startedAt) as RunId)
    const tags = new Map((run.tags ?? []).map((tag) => [tag.key, tag.value]))
    const name = nameOf(run, tags.get(runNameTag)) ?? readableName(runId)
    const row = await db
      .insertInto('runs')
      .values({
        run_id: runId,
        experiment_id: experimentNumber(run.experimentId),
        name,
        status: 'RUNNING',
        user_id: run.userId ?? '',
        started_at: run.startedAt,
        ended_at: null,
        lifecycle_stage: 'active',
        deleted_at: null,
        artifact_uri: `${experiment.artifactLocation}/${runId}/artifacts`,
        owner_run_id: run.ownerRunId ?? null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    if (!tags.has(runNameTag)) tags.set(runNameTag, name)
    await setTags(
      db,
      row.run_key,
      [...tags].map(([key, value]) => ({ key, value })),
    )
    return infoFrom(row)
  },

  async row(db: Db, runId: string): Promise<RunRow> {
    const row = await db.selectFrom('runs').selectAll().where('run_id', '=', runId).executeTakeFirst()
    if (!row) throw new AppError('NotFound', `Run with id=${runId} not found`, 'List runs to see which there are.')
    return row
  },

  /** Throws unless the run may be written. */
  async activeRow(db: Db, runId: string): Promise<RunRow> {
    const row = await this.row(db, runId)
    if (row.lifecycle_stage !== 'active')
      throw invalid(`The run ${runId} must be in the 'active' state. Current state is ${row.lifecycle_stage}.`)
    return row
  },

  async update(
    db: Db,
    runId: string,
    change: { status?: RunStatus; endedAt?: EpochMs; name?: string },
  ): Promise<RunInfo> {
    const row = await this.activeRow(db, runId)
    const changed = {
      ...(change.status === undefined ? {} : { status: change.status }),
      ...(change.endedAt === undefined ? {} : { ended_at: change.endedAt }),
      ...(change.name ? { name: change.name } : {}),
    }
    if (Object.keys(changed).length > 0)
      await db.updateTable('runs').set(changed).where('run_key', '=', row.run_key).execute()
    if (change.name) await setTags(db, row.run_key, [{ key: runNameTag, value: change.name }])
    return infoFrom({ ...row, ...changed })
  },

  async setLifecycle(db: Db, runId: string, lifecycle: Lifecycle, now: EpochMs): Promise<void> {
    const row = await this.row(db, runId)
    await db
      .updateTable('runs')
      .set({ lifecycle_stage: lifecycle, deleted_at: lifecycle === 'deleted' ? now : null })
      .where('run_key', '=', row.run_key)
      .execute()
  },

  /** Params never change: the same value again is fine, another is refused. */
  async logParams(db: Db, row: RunRow, given: readonly KeyValue[], options: { inBatch?: boolean } = {}): Promise<void> {
    if (given.length === 0) return
    for (const param of given) checkParam(param)
    const params = given.map(cutParam)
    const known = await db
      .selectFrom('run_params')
      .select(['key', 'value'])
      .where('run_key', '=', row.run_key)
      .where(
        'key',
        'in',
        params.map((param) => param.key),
      )
      .execute()
    const old = new Map(known.map((param) => [param.key, param.value]))
    refuseChange(
      row.run_id,
      params.flatMap(({ key, value }) =>
        old.has(key) && old.get(key) !== value ? [{ key, old: old.get(key)!, value }] : [],
      ),
      options.inBatch !== true,
    )
    const fresh = params.filter((param) => !old.has(param.key))
    if (fresh.length > 0)
      await db
        .insertInto('run_params')
        .values(fresh.map(({ key, value }) => ({ run_key: row.run_key, key, value })))
        .onConflict((c) => c.doNothing())
        .execute()
  },

  async setTags(db: Db, row: RunRow, tags: readonly KeyValue[]): Promise<void> {
    const last = new Map(tags.map((tag) => [tag.key, tag]))
    await setTags(db, row.run_key, [...last.values()])
    const name = last.get(runNameTag)?.value
    if (name !== undefined) await db.updateTable('runs').set({ name }).where('run_key', '=', row.run_key).execute()
  },

  async deleteTag(db: Db, row: RunRow, key: string): Promise<void> {
    const { numDeletedRows } = await db
      .deleteFrom('run_tags')
      .where('run_key', '=', row.run_key)
      .where('key', '=', key)
      .executeTakeFirst()
    if (numDeletedRows === 0n)
      throw new AppError('NotFound', `No tag with name: ${key} in run with id ${row.run_id}`, 'Nothing to delete.')
  },

  async logInputs(
    db: Db,
    row: RunRow,
    inputs: { datasets?: readonly DatasetInput[]; models?: readonly string[] },
  ): Promise<void> {
    for (const input of inputs.datasets ?? []) await logDataset(db, row, input)
    for (const model of inputs.models ?? []) await linkModel(db, row.run_key, model, 'input', 0)
  },

  async logOutputs(db: Db, row: RunRow, models: readonly { modelId: string; step: number }[]): Promise<void> {
    for (const { modelId, step } of models) await linkModel(db, row.run_key, modelId, 'output', step)
  },

  /** The runs with everything that belongs to them, in the order of the rows. */
  async complete(db: Db, rows: readonly RunRow[]): Promise<Run[]> {
    const runs: Run[] = []
    for (let start = 0; start < rows.length; start += 500)
      runs.push(...(await completeSome(db, rows.slice(start, start + 500))))
    return runs
  },
}

export const infoFrom = (row: RunRow): RunInfo => ({
  runId: row.run_id as RunId,
  experimentId: String(row.experiment_id),
  name: row.name,
  status: row.status as RunStatus,
  userId: row.user_id,
  startedAt: row.started_at,
  endedAt: row.ended_at ?? undefined,
  lifecycle: row.lifecycle_stage as Lifecycle,
  artifactUri: row.artifact_uri,
  ownerRunId: (row.owner_run_id as RunId | null) ?? undefined,
})

function nameOf(run: NewRun, tagged: string | undefined): string | undefined {
  if (run.name && tagged && run.name !== tagged)
    throw invalid(
      `Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='${run.name}', mlflow.runName='${tagged}').`,
    )
  return run.name || tagged || undefined
}

async function setTags(db: Db, runKey: number, tags: readonly KeyValue[]): Promise<void> {
  if (tags.length === 0) return
  for (const tag of tags) checkTag(tag)
  await db
    .insertInto('run_tags')
    .values(tags.map(cutTag).map(({ key, value }) => ({ run_key: runKey, key, value })))
    .onConflict((c) => c.columns(['run_key', 'key']).doUpdateSet((e) => ({ value: e.ref('excluded.value') })))
    .execute()
}

function refuseChange(runId: string, changes: { key: string; old: string; value: string }[], single: boolean): void {
  const [first] = changes
  if (!first) return
  if (single)
    throw invalid(
      `Changing param values is not allowed. Param with key='${first.key}' was already logged with value='${first.old}' for run ID='${runId}'. Attempted logging new value '${first.value}'.`,
    )
  const listed = changes.map(
    ({ key, old, value }) => `{'key': '${key}', 'old_value': '${old}', 'new_value': '${value}'}`,
  )
  throw invalid(
    `Changing param values is not allowed. Params were already logged='[${listed.join(', ')}]' for run ID='${runId}'.`,
  )
}

async function logDataset(db: Db, row: RunRow, { dataset, tags }: DatasetInput): Promise<void> {
  const { id } = await db
    .insertInto('input_datasets')
    .values({
      experiment_id: row.experiment_id,
      name: dataset.name,
      digest: dataset.digest,
      source_type: dataset.sourceType,
      source: dataset.source,
      schema: dataset.schema ?? null,
      profile: dataset.profile ?? null,
    })
    // Written again so that the row's id is returned, the same dataset as before.
    .onConflict((c) =>
      c.columns(['experiment_id', 'name', 'digest']).doUpdateSet((e) => ({ name: e.ref('excluded.name') })),
    )
    .returning('id')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('run_inputs')
    .values({ run_key: row.run_key, dataset_id: id })
    .onConflict((c) => c.doNothing())
    .execute()
  for (const [key, value] of Object.entries(tags))
    await db
      .insertInto('run_input_tags')
      .values({ run_key: row.run_key, dataset_id: id, key, value })
      .onConflict((c) => c.columns(['run_key', 'dataset_id', 'key']).doUpdateSet({ value }))
      .execute()
}

async function linkModel(
  db: Db,
  runKey: number,
  modelId: string,
  direction: 'input' | 'output',
  step: number,
): Promise<void> {
  await db
    .insertInto('run_models')
    .values({ run_key: runKey, model_id: modelId, direction, step })
    .onConflict((c) => c.doNothing())
    .execute()
}

async function completeSome(db: Db, rows: readonly RunRow[]): Promise<Run[]> {
  if (rows.length === 0) return []
  const keys = rows.map((row) => row.run_key)
  const params = byRun(await db.selectFrom('run_params').selectAll().where('run_key', 'in', keys).execute())
  const tags = byRun(await db.selectFrom('run_tags').selectAll().where('run_key', 'in', keys).execute())
  const series = byRun(await db.selectFrom('metric_series').selectAll().where('run_key', 'in', keys).execute())
  const models = byRun(await db.selectFrom('run_models').selectAll().where('run_key', 'in', keys).execute())
  const inputs = await datasetsOf(db, keys)
  return rows.map((row) => ({
    ...infoFrom(row),
    params: record(params.get(row.run_key)),
    tags: record(tags.get(row.run_key)),
    metrics: (series.get(row.run_key) ?? []).map(pointFrom),
    datasetInputs: inputs.get(row.run_key) ?? [],
    modelInputs: (models.get(row.run_key) ?? [])
      .filter((model) => model.direction === 'input')
      .map((model) => model.model_id as LoggedModelId),
    modelOutputs: (models.get(row.run_key) ?? [])
      .filter((model) => model.direction === 'output')
      .map((model) => ({ modelId: model.model_id as LoggedModelId, step: model.step })),
  }))
}

async function datasetsOf(db: Db, keys: readonly number[]): Promise<Map<number, DatasetInput[]>> {
  const inputs = await db
    .selectFrom('run_inputs as i')
    .innerJoin('input_datasets as d', 'd.id', 'i.dataset_id')
    .selectAll('d')
    .select('i.run_key')
    .where('i.run_key', 'in', keys)
    .orderBy('i.dataset_id')
    .execute()
  if (inputs.length === 0) return new Map()
  const tags = byRun(await db.selectFrom('run_input_tags').selectAll().where('run_key', 'in', keys).execute())
  const found = new Map<number, DatasetInput[]>()
  for (const row of inputs) {
    const own = (tags.get(row.run_key) ?? []).filter((tag) => tag.dataset_id === row.id)
    const input: DatasetInput = {
      dataset: {
        name: row.name,
        digest: row.digest,
        sourceType: row.source_type,
        source: row.source,
        ...(row.schema === null ? {} : { schema: row.schema }),
        ...(row.profile === null ? {} : { profile: row.profile }),
      },
      tags: record(own),
    }
    found.set(row.run_key, [...(found.get(row.run_key) ?? []), input])
  }
  return found
}

type SeriesRow = { key: string; value: number; is_nan: number; step: number; timestamp: number }

const pointFrom = (row: SeriesRow): MetricPoint => ({
  key: row.key,
  value: readValue(row),
  timestamp: row.timestamp,
  step: row.step,
})

function byRun<T extends { run_key: number }>(rows: readonly T[]): Map<number, T[]> {
  return Map.groupBy(rows, (row) => row.run_key)
}

const record = (pairs: readonly KeyValue[] | undefined): Record<string, string> =>
  Object.fromEntries((pairs ?? []).map(({ key, value }) => [key, value]))
