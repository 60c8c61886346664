import { type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely'
import type { Db } from '../db/index.ts'
import type { TrackingTables } from '../db/tables/tracking.ts'
import { AppError } from '../kernel/errors.ts'
import { type LoggedModelId, newHexId, type RunId } from '../kernel/ids.ts'
import { pythonText } from '../kernel/python-text.ts'
import type { EpochMs } from '../kernel/time.ts'
import { checkLoggedModelName, invalid } from './decide/limits.ts'
import { readValue } from './decide/metric-value.ts'
import { readableName } from './decide/run-name.ts'
import { type Clause, type Grammar, parseFilter } from './decide/search-filter.ts'
import { experimentNumber, experimentStore, nextPage } from './experiment-store.ts'
import { afterSql, compareSql, orderSql, readPageToken, type SortColumn } from './search-sql.ts'
import type {
  ExperimentId,
  Found,
  KeyValue,
  LoggedModel,
  LoggedModelMetric,
  LoggedModelStatus,
  NewLoggedModel,
} from './tracking.ts'

type Row = Selectable<TrackingTables['logged_models']>

type DatasetChoice = { name: string; digest?: string }
type ModelOrder = { field: string; ascending: boolean; datasetName?: string; datasetDigest?: string }
export type LoggedModelSearch = {
  experimentIds: readonly ExperimentId[]
  filter?: string
  datasets?: readonly DatasetChoice[]
  orderBy?: readonly ModelOrder[]
  limit: number
  pageToken?: string
}

/** Models that runs logged, with their params, tags and metrics. */
export const loggedModelStore = {
  async create(db: Db, model: NewLoggedModel, now: EpochMs): Promise<LoggedModel> {
    if (model.name) checkLoggedModelName(model.name)
    const experiment = await experimentStore.active(db, model.experimentId)
    const modelId = `m-${newHexId(now)}` as LoggedModelId
    await db
      .insertInto('logged_models')
      .values({
        model_id: modelId,
        experiment_id: experimentNumber(model.experimentId),
        name: model.name || readableName(modelId),
        artifact_uri: `${experiment.artifactLocation}/models/${modelId}/artifacts`,
        created_at: now,
        updated_at: now,
        status: 'PENDING',
        status_message: null,
        model_type: model.modelType ?? null,
        source_run_id: model.sourceRunId ?? null,
        lifecycle_stage: 'active',
        deleted_at: null,
      })
      .execute()
    await this.logParams(db, modelId, model.params ?? [])
    await writePairs(db, 'logged_model_tags', modelId, model.tags ?? [])
    return this.byId(db, modelId)
  },

  async byId(db: Db, modelId: string, options: { deletedToo?: boolean } = {}): Promise<LoggedModel> {
    const row = await db.selectFrom('logged_models').selectAll().where('model_id', '=', modelId).executeTakeFirst()
    if (!row || (row.lifecycle_stage !== 'active' && !options.deletedToo)) throw noModel(modelId)
    return (await complete(db, [row]))[0]!
  },

  async ofRuns(db: Db, runIds: readonly string[]): Promise<LoggedModel[]> {
    if (runIds.length === 0) return []
    const rows = await db
      .selectFrom('logged_models')
      .selectAll()
      .where('source_run_id', 'in', runIds)
      .where('lifecycle_stage', '=', 'active')
      .orderBy('created_at')
      .orderBy('model_id')
      .execute()
    return complete(db, rows)
  },

  /** Throws NotFound for the first that is not there; a deleted one is. */
  async mustExist(db: Db, modelIds: readonly string[]): Promise<void> {
    const rows = await db.selectFrom('logged_models').select('model_id').where('model_id', 'in', modelIds).execute()
    const known = new Set(rows.map((row) => row.model_id))
    for (const modelId of modelIds) if (!known.has(modelId)) throw noModel(modelId)
  },

  async finalize(db: Db, modelId: string, status: LoggedModelStatus, now: EpochMs): Promise<LoggedModel> {
    await this.byId(db, modelId, { deletedToo: true })
    await db.updateTable('logged_models').set({ status, updated_at: now }).where('model_id', '=', modelId).execute()
    return this.byId(db, modelId, { deletedToo: true })
  },

  /** Deleting what is deleted is fine, as in MLflow. */
  async delete(db: Db, modelId: string, now: EpochMs): Promise<void> {
    await this.byId(db, modelId, { deletedToo: true })
    await db
      .updateTable('logged_models')
      .set({ lifecycle_stage: 'deleted', deleted_at: now, updated_at: now })
      .where('model_id', '=', modelId)
      .execute()
  },

  /** Params never change: the same value again is fine, another is refused. */
  async logParams(db: Db, modelId: string, params: readonly KeyValue[]): Promise<void> {
    if (params.length === 0) return
    const known = await db.selectFrom('logged_model_params').selectAll().where('model_id', '=', modelId).execute()
    for (const { key, value } of params) {
      const old = known.find((param) => param.key === key)
      if (old && old.value !== value)
        throw invalid(
          `Changing param values is not allowed. Param with key=${pythonText(key)} was already logged with value=${pythonText(old.value)} for model ID='${modelId}'. Attempted logging new value ${pythonText(value)}.`,
        )
    }
    await writePairs(db, 'logged_model_params', modelId, params)
  },

  async setTags(db: Db, modelId: string, tags: readonly KeyValue[], now: EpochMs): Promise<void> {
    await writePairs(db, 'logged_model_tags', modelId, tags)
    await db.updateTable('logged_models').set({ updated_at: now }).where('model_id', '=', modelId).execute()
  },

  async deleteTag(db: Db, modelId: string, key: string): Promise<void> {
    const { numDeletedRows } = await db
      .deleteFrom('logged_model_tags')
      .where('model_id', '=', modelId)
      .where('key', '=', key)
      .executeTakeFirst()
    if (numDeletedRows === 0n)
      throw new AppError(
        'NotFound',
        `No tag with key '${key}' found for model with ID '${modelId}'.`,
        'Nothing to delete.',
      )
  },

  async search(db: Db, search: LoggedModelSearch): Promise<Found<LoggedModel>> {
    if (search.experimentIds.length === 0) return { items: [] }
    const { columns, joins } = sortOf(search.orderBy ?? [])
    const question = { of: 'logged models', ...search, limit: undefined, pageToken: undefined }
    const after = readPageToken(JSON.parse(JSON.stringify(question)), search.pageToken, columns.length)
    const clauses = parseFilter(search.filter, modelGrammar)
    const datasets = search.datasets ?? []
    const conditions = [
      sql<SqlBool>`l.experiment_id in (${sql.join(search.experimentIds.map(experimentNumber))})`,
      sql<SqlBool>`l.lifecycle_stage = 'active'`,
      ...clauses.map((clause) => clauseSql(clause, datasets)),
      ...(datasets.length > 0 && !clauses.some((clause) => clause.type === 'metric')
        ? [
            sql<SqlBool>`exists (select 1 from logged_model_metrics m where m.model_id = l.model_id and ${onDatasets(datasets)})`,
          ]
        : []),
      ...(after ? [afterSql(columns, after)] : []),
    ]
    const selected = columns.map(({ expression }, index) => sql`${expression} as ${sql.ref(`s${index}`)}`)
    const { rows } = await sql<Row>`select l.*, ${sql.join(selected)} from logged_models l ${sql.join(joins, sql` `)}
      where ${sql.join(conditions, sql` and `)} order by ${orderSql(columns)} limit ${search.limit + 1}`.execute(db)
    return {
      items: await complete(db, rows.slice(0, search.limit)),
      ...nextPage(JSON.parse(JSON.stringify(question)), rows, search.limit, columns.length),
    }
  },
}

const columnOf: Record<string, string> = {
  name: 'name',
  model_id: 'model_id',
  model_type: 'model_type',
  status: 'status',
  source_run_id: 'source_run_id',
  creation_timestamp: 'created_at',
  creation_time: 'created_at',
  last_updated_timestamp: 'updated_at',
  last_updated_time: 'updated_at',
}

/** In filters alone. */
const filteredColumnOf: Record<string, string> = {
  ...columnOf,
  creation_timestamp_ms: 'created_at',
  last_updated_timestamp_ms: 'updated_at',
  experiment_id: 'experiment_id',
  artifact_location: 'artifact_uri',
  lifecycle_stage: 'lifecycle_stage',
}

const modelGrammar: Grammar<'metric' | 'parameter' | 'tag'> = {
  types: {
    metric: 'metric',
    metrics: 'metric',
    parameter: 'parameter',
    parameters: 'parameter',
    param: 'parameter',
    params: 'parameter',
    tag: 'tag',
    tags: 'tag',
    attribute: 'attribute',
    attributes: 'attribute',
    attr: 'attribute',
  },
  attributes: Object.fromEntries(
    Object.entries(filteredColumnOf).map(([key, name]) => [
      key,
      { name, value: /_at$|^experiment_id$/.test(name) ? ('number' as const) : ('text' as const) },
    ]),
  ),
  bareTexts: true,
  lists: [
    'name',
    'model_id',
    'model_type',
    'status',
    'source_run_id',
    'artifact_uri',
    'lifecycle_stage',
    'parameter',
    'tag',
  ],
  nullable: [],
  numeric: ['metric'],
}

function clauseSql(clause: Clause, datasets: readonly DatasetChoice[]): RawBuilder<SqlBool> {
  if (clause.type === 'attribute') return compareSql(sql.ref(`l.${clause.key}`), clause)
  if (clause.type === 'metric') {
    const compared = compareSql(sql.ref('m.value'), clause)
    return sql`exists (select 1 from logged_model_metrics m where m.model_id = l.model_id and m.key = ${clause.key}
      and m.is_nan = 0 and ${compared} ${datasets.length > 0 ? sql`and ${onDatasets(datasets)}` : sql``})`
  }
  const table = clause.type === 'tag' ? 'logged_model_tags' : 'logged_model_params'
  return sql`exists (select 1 from ${sql.table(table)} p where p.model_id = l.model_id and p.key = ${clause.key}
    and ${compareSql(sql.ref('p.value'), clause)})`
}

const onDatasets = (datasets: readonly DatasetChoice[]): RawBuilder<SqlBool> =>
  sql`(${sql.join(
    datasets.map(({ name, digest }) =>
      digest === undefined
        ? sql`m.dataset_name = ${name}`
        : sql`(m.dataset_name = ${name} and m.dataset_digest = ${digest})`,
    ),
    sql` or `,
  )})`

/** Newest first, then by id, unless told otherwise; models without the ordered-by metric come last. */
function sortOf(orderBy: readonly ModelOrder[]): { columns: SortColumn[]; joins: RawBuilder<unknown>[] } {
  const columns: SortColumn[] = []
  const joins: RawBuilder<unknown>[] = []
  for (const [index, order] of orderBy.entries()) {
    const value = orderValue(order, index, joins)
    columns.push({ expression: sql`case when ${value} is null then 1 else 0 end`, descending: false })
    columns.push({ expression: value, descending: !order.ascending })
  }
  columns.push({ expression: sql.ref('l.created_at'), descending: true })
  columns.push({ expression: sql.ref('l.model_id'), descending: false })
  return { columns, joins }
}

function orderValue(order: ModelOrder, index: number, joins: RawBuilder<unknown>[]): RawBuilder<unknown> {
  const field = order.field.trim()
  const dot = field.indexOf('.')
  if (dot === -1) {
    if (!Object.hasOwn(columnOf, field)) throw invalid(`Invalid order by field name: ${field}`)
    return sql.ref(`l.${columnOf[field]}`)
  }
  const entity = field.slice(0, dot)
  if (entity !== 'metrics') throw invalid(`Invalid order by field name: ${field}. Only metrics are supported.`)
  const alias = `o${index}`
  const dataset = order.datasetName
    ? sql`and ${onDatasets([{ name: order.datasetName, digest: order.datasetDigest }])}`
    : sql``
  // The latest point of the metric on that dataset; a model has few.
  joins.push(sql`left join (select model_id, value from (select m.model_id, m.value,
    row_number() over (partition by m.model_id order by m.timestamp desc, m.step desc) as nth
    from logged_model_metrics m where m.key = ${field.slice(dot + 1)} and m.is_nan = 0 ${dataset}) ranked where nth = 1)
    as ${sql.ref(alias)} on ${sql.ref(`${alias}.model_id`)} = l.model_id`)
  return sql.ref(`${alias}.value`)
}

async function complete(db: Db, rows: readonly Row[]): Promise<LoggedModel[]> {
  if (rows.length === 0) return []
  const ids = rows.map((row) => row.model_id)
  const params = byModel(await db.selectFrom('logged_model_params').selectAll().where('model_id', 'in', ids).execute())
  const tags = byModel(await db.selectFrom('logged_model_tags').selectAll().where('model_id', 'in', ids).execute())
  const metrics = byModel(
    await db.selectFrom('logged_model_metrics').selectAll().where('model_id', 'in', ids).execute(),
  )
  return rows.map((row) => ({
    modelId: row.model_id as LoggedModelId,
    experimentId: String(row.experiment_id),
    name: row.name,
    artifactUri: row.artifact_uri,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    status: row.status as LoggedModelStatus,
    statusMessage: row.status_message ?? undefined,
    modelType: row.model_type ?? undefined,
    sourceRunId: (row.source_run_id as RunId | null) ?? undefined,
    lifecycle: row.lifecycle_stage as LoggedModel['lifecycle'],
    params: record(params.get(row.model_id)),
    tags: record(tags.get(row.model_id)),
    metrics: (metrics.get(row.model_id) ?? []).map(metricFrom),
  }))
}

const metricFrom = (row: Selectable<TrackingTables['logged_model_metrics']>): LoggedModelMetric => ({
  key: row.key,
  value: readValue(row),
  timestamp: row.timestamp,
  step: row.step,
  runId: row.run_id as RunId,
  ...(row.dataset_name === null ? {} : { datasetName: row.dataset_name }),
  ...(row.dataset_digest === null ? {} : { datasetDigest: row.dataset_digest }),
})

async function writePairs(
  db: Db,
  table: 'logged_model_params' | 'logged_model_tags',
  modelId: string,
  pairs: readonly KeyValue[],
): Promise<void> {
  const last = new Map(pairs.map(({ key, value }) => [key, value]))
  if (last.size === 0) return
  await db
    .insertInto(table)
    .values([...last].map(([key, value]) => ({ model_id: modelId, key, value })))
    .onConflict((c) => c.columns(['model_id', 'key']).doUpdateSet((e) => ({ value: e.ref('excluded.value') })))
    .execute()
}

const byModel = <T extends { model_id: string }>(rows: readonly T[]): Map<string, T[]> =>
  Map.groupBy(rows, (row) => row.model_id)

const record = (pairs: readonly KeyValue[] | undefined): Record<string, string> =>
  Object.fromEntries((pairs ?? []).map(({ key, value }) => [key, value]))

const noModel = (modelId: string): AppError =>
  new AppError(
    'NotFound',
    `Logged model with ID '${modelId}' not found.`,
    'Search logged models to see which there are.',
  )
