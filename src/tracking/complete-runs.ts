import { sql } from 'kysely'
import { arraysOf, type Db, isOneOf, statement } from '../db/index.ts'
import type { LoggedModelId } from '../kernel/ids.ts'
import { readValue } from './decide/metric-value.ts'
import { infoFrom, type RunRow } from './run-store.ts'
import type { DatasetInput, Logged, MetricPoint, Run } from './tracking.ts'

const runsAtOnce = 1000

/** The runs with everything that belongs to them, in the order of the rows. */
export async function completeRuns(db: Db, rows: readonly RunRow[]): Promise<Run[]> {
  const runs: Run[] = []
  for (let start = 0; start < rows.length; start += runsAtOnce)
    runs.push(...(await completeSome(db, rows.slice(start, start + runsAtOnce))))
  return runs
}

/** What a run holds of its own: its params, and each metric's last value. */
export async function loggedTo(db: Db, { run_key }: RunRow): Promise<Logged> {
  const metrics = (await selectSeries(db, [run_key])).map(({ key, value, is_nan, step, timestamp }) =>
    pointFrom([run_key, key, value, is_nan, step, timestamp]),
  )
  return {
    params: Object.fromEntries((await selectParams(db, [run_key])).map(({ key, value }) => [key, value])),
    metrics: Object.fromEntries(metrics.map(({ key, value }) => [key, value])),
  }
}

const selectParams = statement<{ key: string; value: string }>('select key, value from run_params where run_key = ?')
const selectSeries = statement<{ key: string; value: number; is_nan: number; step: number; timestamp: number }>(
  'select key, value, is_nan, step, timestamp from metric_series where run_key = ?',
)

type PairRow = [runKey: number, key: string, value: string]
type SeriesRow = [runKey: number, key: string, value: number, isNan: number, step: number, timestamp: number]
type ModelRow = [runKey: number, modelId: LoggedModelId, direction: 'input' | 'output', step: number]

async function completeSome(db: Db, rows: readonly RunRow[]): Promise<Run[]> {
  const of = isOneOf(
    db,
    sql.ref('run_key'),
    rows.map((row) => row.run_key),
  )
  const read = <Row extends [number, ...unknown[]]>(table: string, columns: string): Promise<Row[]> =>
    arraysOf<Row>(db, sql`select run_key, ${sql.raw(columns)} from ${sql.table(table)} where ${of}`)
  const params = pairsByRun(await read<PairRow>('run_params', 'key, value'))
  const tags = pairsByRun(await read<PairRow>('run_tags', 'key, value'))
  const metrics = byRun(await read<SeriesRow>('metric_series', 'key, value, is_nan, step, timestamp'), pointFrom)
  const models = byRun(
    await read<ModelRow>('run_models', 'model_id, direction, step'),
    ([, modelId, direction, step]) => ({
      modelId,
      direction,
      step,
    }),
  )
  const inputs = await datasetsOf(db, of)
  return rows.map((row) => {
    const linked = models.get(row.run_key) ?? []
    return {
      ...infoFrom(row),
      params: params.get(row.run_key) ?? {},
      tags: tags.get(row.run_key) ?? {},
      metrics: metrics.get(row.run_key) ?? [],
      datasetInputs: inputs.get(row.run_key) ?? [],
      modelInputs: linked.filter(({ direction }) => direction === 'input').map(({ modelId }) => modelId),
      modelOutputs: linked
        .filter(({ direction }) => direction === 'output')
        .map(({ modelId, step }) => ({ modelId, step })),
    }
  })
}

type InputRow = [
  runKey: number,
  id: number,
  name: string,
  digest: string,
  sourceType: string,
  source: string,
  schema: string | null,
  profile: string | null,
]
type InputTagRow = [runKey: number, datasetId: number, key: string, value: string]

async function datasetsOf(db: Db, of: ReturnType<typeof isOneOf>): Promise<Map<number, DatasetInput[]>> {
  const rows = await arraysOf<InputRow>(
    db,
    sql`select i.run_key, d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile
      from run_inputs i join input_datasets d on d.id = i.dataset_id where ${of} order by i.dataset_id`,
  )
  if (rows.length === 0) return new Map()
  const tags = await arraysOf<InputTagRow>(
    db,
    sql`select run_key, dataset_id, key, value from run_input_tags where ${of}`,
  )
  return byRun(rows, ([runKey, id, name, digest, sourceType, source, schema, profile]) => ({
    dataset: {
      name,
      digest,
      sourceType,
      source,
      ...(schema === null ? {} : { schema }),
      ...(profile === null ? {} : { profile }),
    },
    tags: Object.fromEntries(
      tags.filter(([run, dataset]) => run === runKey && dataset === id).map(([, , key, value]) => [key, value]),
    ),
  }))
}

const pointFrom = ([, key, value, is_nan, step, timestamp]: SeriesRow): MetricPoint => ({
  key,
  value: readValue({ value, is_nan }),
  timestamp,
  step,
})

function byRun<Row extends [number, ...unknown[]], T>(rows: readonly Row[], from: (row: Row) => T): Map<number, T[]> {
  const found = new Map<number, T[]>()
  for (const row of rows) {
    const own = found.get(row[0])
    if (own) own.push(from(row))
    else found.set(row[0], [from(row)])
  }
  return found
}

function pairsByRun(rows: readonly PairRow[]): Map<number, Record<string, string>> {
  const found = new Map<number, Record<string, string>>()
  for (const [runKey, key, value] of rows) {
    const own = found.get(runKey)
    if (own) own[key] = value
    else found.set(runKey, Object.assign(Object.create(null) as Record<string, string>, { [key]: value }))
  }
  return found
}
