import { sql } from 'kysely'
import { type Db, isOneOf } from '../db/index.ts'
import type { LoggedModelId } from '../kernel/ids.ts'
import { readValue } from './decide/metric-value.ts'
import { infoFrom, type RunRow } from './run-store.ts'
import type { DatasetInput, MetricPoint, Run } from './tracking.ts'

const runsAtOnce = 1000

/** The runs with everything that belongs to them, in the order of the rows. */
export async function completeRuns(db: Db, rows: readonly RunRow[]): Promise<Run[]> {
  const runs: Run[] = []
  for (let start = 0; start < rows.length; start += runsAtOnce)
    runs.push(...(await completeSome(db, rows.slice(start, start + runsAtOnce))))
  return runs
}

type PairRow = { run_key: number; key: string; value: string }
type SeriesRow = { run_key: number; key: string; value: number; is_nan: number; step: number; timestamp: number }
type ModelRow = { run_key: number; model_id: string; direction: string; step: number }

async function completeSome(db: Db, rows: readonly RunRow[]): Promise<Run[]> {
  const of = isOneOf(
    db,
    sql.ref('run_key'),
    rows.map((row) => row.run_key),
  )
  const read = async <T>(table: string, columns: string): Promise<T[]> =>
    (await sql<T>`select run_key, ${sql.raw(columns)} from ${sql.table(table)} where ${of}`.execute(db)).rows
  const params = pairsByRun(await read<PairRow>('run_params', 'key, value'))
  const tags = pairsByRun(await read<PairRow>('run_tags', 'key, value'))
  const metrics = byRun(await read<SeriesRow>('metric_series', 'key, value, is_nan, step, timestamp'), pointFrom)
  const models = byRun(await read<ModelRow>('run_models', 'model_id, direction, step'), (row) => row)
  const inputs = await datasetsOf(db, of)
  return rows.map((row) => {
    const linked = models.get(row.run_key) ?? []
    return {
      ...infoFrom(row),
      params: params.get(row.run_key) ?? {},
      tags: tags.get(row.run_key) ?? {},
      metrics: metrics.get(row.run_key) ?? [],
      datasetInputs: inputs.get(row.run_key) ?? [],
      modelInputs: linked
        .filter((model) => model.direction === 'input')
        .map((model) => model.model_id as LoggedModelId),
      modelOutputs: linked
        .filter((model) => model.direction === 'output')
        .map((model) => ({ modelId: model.model_id as LoggedModelId, step: model.step })),
    }
  })
}

type InputRow = {
  run_key: number
  id: number
  name: string
  digest: string
  source_type: string
  source: string
  schema: string | null
  profile: string | null
}

async function datasetsOf(db: Db, of: ReturnType<typeof isOneOf>): Promise<Map<number, DatasetInput[]>> {
  const { rows } =
    await sql<InputRow>`select i.run_key, d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile
    from run_inputs i join input_datasets d on d.id = i.dataset_id where ${of} order by i.dataset_id`.execute(db)
  if (rows.length === 0) return new Map()
  const { rows: tags } = await sql<PairRow & { dataset_id: number }>`select run_key, dataset_id, key, value
    from run_input_tags where ${of}`.execute(db)
  return byRun(rows, (row) => ({
    dataset: {
      name: row.name,
      digest: row.digest,
      sourceType: row.source_type,
      source: row.source,
      ...(row.schema === null ? {} : { schema: row.schema }),
      ...(row.profile === null ? {} : { profile: row.profile }),
    },
    tags: Object.fromEntries(
      tags
        .filter((tag) => tag.run_key === row.run_key && tag.dataset_id === row.id)
        .map(({ key, value }) => [key, value]),
    ),
  }))
}

const pointFrom = (row: SeriesRow): MetricPoint => ({
  key: row.key,
  value: readValue(row),
  timestamp: row.timestamp,
  step: row.step,
})

function byRun<Row extends { run_key: number }, T>(rows: readonly Row[], from: (row: Row) => T): Map<number, T[]> {
  const found = new Map<number, T[]>()
  for (const row of rows) {
    const own = found.get(row.run_key)
    if (own) own.push(from(row))
    else found.set(row.run_key, [from(row)])
  }
  return found
}

function pairsByRun(rows: readonly PairRow[]): Map<number, Record<string, string>> {
  const found = new Map<number, Record<string, string>>()
  for (const { run_key, key, value } of rows) {
    const own = found.get(run_key)
    if (own) own[key] = value
    else found.set(run_key, Object.assign(Object.create(null) as Record<string, string>, { [key]: value }))
  }
  return found
}
