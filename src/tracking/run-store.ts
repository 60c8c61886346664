import type { Selectable } from 'kysely'
import { type Db, insertStatement, statement } from '../db/index.ts'
import type { TrackingTables } from '../db/tables/tracking.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId, type RunId } from '../kernel/ids.ts'
import { pythonText } from '../kernel/python-text.ts'
import type { EpochMs } from '../kernel/time.ts'
import { checkParam, checkRunId, checkTag, cutParam, cutTag, invalid } from './decide/limits.ts'
import { readableName } from './decide/run-name.ts'
import { experimentNumber, experimentStore } from './experiment-store.ts'
import type { DatasetInput, KeyValue, Lifecycle, NewRun, Run, RunInfo, RunStatus } from './tracking.ts'

export type RunRow = Selectable<TrackingTables['runs']>

const runNameTag = 'mlflow.runName'

const selectRun = statement<RunRow>('select * from runs where run_id = ?')

const insertRun = statement<RunRow>(
  `insert into runs (run_id, experiment_id, name, status, user_id, started_at, lifecycle_stage, artifact_uri, owner_run_id)
  values (?, ?, ?, 'RUNNING', ?, ?, 'active', ?, ?) returning *`,
)

const pairColumns = { run_key: 'bigint', experiment_id: 'bigint', key: 'text', value: 'text' } as const
const insertParams = insertStatement<{ key: string }>('run_params', pairColumns, 'on conflict do nothing returning key')
const upsertTags = insertStatement(
  'run_tags',
  pairColumns,
  'on conflict (run_key, key) do update set value = excluded.value',
)

/** Runs with their params, tags, inputs and outputs, as they are written; whole runs are read by `completeRuns`. */
export const runStore = {
  /** The new run whole: nothing of it needs to be read again. */
  async create(db: Db, run: NewRun): Promise<Run> {
    if (run.runId !== undefined) checkRunId(run.runId)
    const experiment = await experimentStore.active(db, run.experimentId)
    const runId = run.runId ?? (newHexId(run.startedAt) as RunId)
    const tags = new Map((run.tags ?? []).map((tag) => [tag.key, tag.value]))
    const name = nameOf(run, tags.get(runNameTag)) ?? readableName(runId)
    const [inserted] = await insertRun(db, [
      runId,
      experimentNumber(run.experimentId),
      name,
      run.userId ?? '',
      run.startedAt,
      `${experiment.artifactLocation}/${runId}/artifacts`,
      run.ownerRunId ?? null,
    ])
    const row = inserted!
    if (!tags.has(runNameTag)) tags.set(runNameTag, name)
    // Of a new run MLflow takes tags of any key.
    const written = await keepTags(
      db,
      row,
      [...tags].map(([key, value]) => ({ key, value })),
    )
    return {
      ...infoFrom(row),
      tags: Object.fromEntries(written.map(({ key, value }) => [key, value])),
      params: {},
      metrics: [],
      datasetInputs: [],
      modelInputs: [],
      modelOutputs: [],
    }
  },

  async row(db: Db, runId: string): Promise<RunRow> {
    const [row] = await selectRun(db, [runId])
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
    if (change.name) await writeTags(db, row, [{ key: runNameTag, value: change.name }])
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
    const params = new Map(given.map(cutParam).map((param) => [param.key, param.value]))
    const { rows: fresh } = await insertParams(
      db,
      [...params].map(([key, value]) => [row.run_key, row.experiment_id, key, value]),
    )
    if (fresh.length === params.size) return
    for (const { key } of fresh) params.delete(key)
    const known = await db
      .selectFrom('run_params')
      .select(['key', 'value'])
      .where('run_key', '=', row.run_key)
      .where('key', 'in', [...params.keys()])
      .execute()
    refuseChange(
      row.run_id,
      known.flatMap(({ key, value: old }) => (old === params.get(key) ? [] : [{ key, old, value: params.get(key)! }])),
      options.inBatch !== true,
    )
  },

  async setTags(db: Db, row: RunRow, tags: readonly KeyValue[]): Promise<void> {
    // An empty name names nothing: MLflow leaves name and tag as they are.
    const given = tags.filter((tag) => tag.key !== runNameTag || tag.value !== '')
    const last = new Map(given.map((tag) => [tag.key, tag]))
    await writeTags(db, row, [...last.values()])
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

function writeTags(db: Db, row: RunRow, tags: readonly KeyValue[]): Promise<KeyValue[]> {
  for (const tag of tags) checkTag(tag)
  return keepTags(db, row, tags)
}

/** What was kept of them: long values are cut. */
async function keepTags(db: Db, row: RunRow, tags: readonly KeyValue[]): Promise<KeyValue[]> {
  const kept = tags.map(cutTag)
  await upsertTags(
    db,
    kept.map(({ key, value }) => [row.run_key, row.experiment_id, key, value]),
  )
  return kept
}

function refuseChange(runId: string, changes: { key: string; old: string; value: string }[], single: boolean): void {
  const [first] = changes
  if (!first) return
  if (single)
    throw invalid(
      `Changing param values is not allowed. Param with key='${first.key}' was already logged with value='${first.old}' for run ID='${runId}'. Attempted logging new value '${first.value}'.`,
    )
  const listed = changes.map(
    ({ key, old, value }) =>
      `{'key': ${pythonText(key)}, 'old_value': ${pythonText(old)}, 'new_value': ${pythonText(value)}}`,
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
  const linked = await db
    .insertInto('run_inputs')
    .values({ run_key: row.run_key, dataset_id: id })
    .onConflict((c) => c.doNothing())
    .returning('dataset_id')
    .executeTakeFirst()
  // Of a dataset that the run already has, the first tags stay.
  if (!linked) return
  for (const [key, value] of Object.entries(tags))
    await db.insertInto('run_input_tags').values({ run_key: row.run_key, dataset_id: id, key, value }).execute()
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
