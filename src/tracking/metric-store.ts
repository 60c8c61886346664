import { sql } from 'kysely'
import { arraysOf, type Db, insertStatement, isOneOf, isPostgres, statement, type Tx } from '../db/index.ts'
import { checkMetric } from './decide/limits.ts'
import { isLater, readValue, storedValue } from './decide/metric-value.ts'
import { sampleIndices } from './decide/sample-history.ts'
import { pageTokenFor, readPageToken } from './search-sql.ts'
import type { Found, MetricPoint, NewMetric } from './tracking.ts'

type PointRow = [step: number, timestamp: number, value: number, isNan: number]
type Stored = { step: number; timestamp: number; value: number; is_nan: number }

const endsOfArrivals = statement<{ first: number | null; last: number | null }>(
  'select min(id) as first, max(id) as last from metric_arrivals',
)

/** The run that a metric belongs to, by its numbers. */
type Owner = { run_key: number; experiment_id: number }

/** Steps, both ends included. */
export type StepInterval = { start: number; end: number }

const isNewer =
  '(excluded.step, excluded.timestamp, excluded.value) > (metric_series.step, metric_series.timestamp, metric_series.value)'
const newest = (column: string): string =>
  `${column} = case when ${isNewer} then excluded.${column} else metric_series.${column} end`

const upsertSeries = insertStatement<{ id: number; key: string }>(
  'metric_series',
  {
    run_key: 'bigint',
    experiment_id: 'bigint',
    key: 'text',
    value: 'double precision',
    is_nan: 'bigint',
    step: 'bigint',
    timestamp: 'bigint',
    first_step: 'bigint',
    first_timestamp: 'bigint',
    is_dense: 'bigint',
    is_ordered: 'bigint',
  },
  `on conflict (run_key, key) do update set ${['value', 'is_nan', 'step', 'timestamp'].map(newest).join(', ')},
    is_dense = case when excluded.first_step = metric_series.step + 1 and excluded.is_dense = 1
      then metric_series.is_dense else 0 end,
    is_ordered = case when excluded.first_step >= metric_series.step and excluded.first_timestamp >= metric_series.timestamp
      and excluded.is_ordered = 1 then metric_series.is_ordered else 0 end
    returning id, key`,
)

const pointColumns = {
  series_id: 'bigint',
  step: 'bigint',
  timestamp: 'bigint',
  value: 'double precision',
  is_nan: 'bigint',
} as const
const insertPoints = insertStatement('metric_points', pointColumns, 'on conflict do nothing')
const insertArrivals = insertStatement('metric_arrivals', pointColumns, '')

/**
 * Points of metrics. A metric of a run is a series; its row holds the latest point, so that reading that needs no points. Who reads
 * points moves the arrivals first (TrackingService does).
 */
export const metricStore = {
  /** Three statements, however many points: this is what training loops wait for. */
  async log(db: Db, run: Owner, metrics: readonly MetricPoint[]): Promise<void> {
    for (const metric of metrics) checkMetric(metric)
    const byKey = Map.groupBy(metrics, (metric) => metric.key)
    const series = [...byKey].map(([key, points]) => ({ key, points: points.map(storedPoint) }))
    const { rows } = await upsertSeries(
      db,
      series.map(({ key, points }) => {
        const { value, is_nan, step, timestamp } = latestOf(points)
        const { first, isDense, isOrdered } = courseOf(points)
        return [
          ...[run.run_key, run.experiment_id, key, value, is_nan, step, timestamp],
          ...[first.step, first.timestamp, isDense ? 1 : 0, isOrdered ? 1 : 0],
        ]
      }),
    )
    const idOf = new Map(rows.map(({ id, key }) => [key, id]))
    // SQLite writes whole pages, and each series has its own: there points arrive in one place and are moved later, many at a time.
    await (isPostgres(db) ? insertPoints : insertArrivals)(
      db,
      series.flatMap(({ key, points }) => {
        const id = idOf.get(key)!
        return points.map(({ step, timestamp, value, is_nan }) => [id, step, timestamp, value, is_nan])
      }),
    )
  },

  /** The first and the last of the points that are not yet in their place. */
  async arrivals(db: Db): Promise<{ first: number; last: number } | undefined> {
    const [ends] = await endsOfArrivals(db, [])
    return ends?.first == null ? undefined : (ends as { first: number; last: number })
  },

  async moveArrivals(tx: Tx, until: number): Promise<void> {
    await sql`insert into metric_points (series_id, step, timestamp, value, is_nan)
      select series_id, step, timestamp, value, is_nan from metric_arrivals where id <= ${until}
      order by series_id, step, timestamp, value, is_nan on conflict do nothing`.execute(tx)
    await tx.deleteFrom('metric_arrivals').where('id', '<=', until).execute()
  },

  /** In order of time, step and value. All of it without a limit; else a page with the token of the next. */
  async history(
    db: Db,
    runKey: number,
    key: string,
    page: { limit?: number; pageToken?: string } = {},
  ): Promise<Found<MetricPoint>> {
    const series = await seriesOf(db, runKey, key)
    if (!series) return { items: [] }
    const question = { of: 'history', runKey, key }
    const after = readPageToken(question, page.pageToken, 4) as [number, number, number, number] | undefined
    const order = series.is_ordered === 1 ? byStep : byTime
    const place = after && (series.is_ordered === 1 ? [after[1], after[0], after[2], after[3]] : after)
    const rows = await arraysOf<PointRow>(
      db,
      sql`select step, timestamp, value, is_nan from metric_points
        where series_id = ${series.id} ${place ? sql`and (${order}) > (${sql.join(place)})` : sql``}
        order by ${order} ${page.limit === undefined ? sql`` : sql`limit ${page.limit + 1}`}`,
    )
    const shown = page.limit === undefined ? rows : rows.slice(0, page.limit)
    const last = rows.length > shown.length ? shown.at(-1) : undefined
    return {
      items: shown.map(([step, timestamp, value, is_nan]) => pointFrom(key, { step, timestamp, value, is_nan })),
      ...(last ? { nextPageToken: pageTokenFor(question, [last[1], last[0], last[2], last[3]]) } : {}),
    }
  },

  /** At most `limit` points, evenly over all, with the first and the last (decide/sample-history.ts). */
  async sampled(
    db: Db,
    runKey: number,
    key: string,
    choice: { limit: number; interval?: StepInterval },
  ): Promise<MetricPoint[]> {
    const series = await seriesOf(db, runKey, key)
    if (!series) return []
    const rows =
      series.is_dense === 1 ? await sampledSteps(db, series, choice) : await sampledAnyhow(db, series.id, choice)
    return rows.map((row) => pointFrom(key, row))
  },

  /** What is said of a logged model; without a model a point says nothing of one. */
  async logForModels(db: Db, runId: string, metrics: readonly NewMetric[]): Promise<void> {
    const rows = metrics
      .filter((metric) => metric.modelId !== undefined)
      .map((metric) => ({
        model_id: metric.modelId!,
        run_id: runId,
        key: metric.key,
        ...storedPoint(metric),
        dataset_name: metric.datasetName ?? null,
        dataset_digest: metric.datasetDigest ?? null,
      }))
    if (rows.length === 0) return
    await db
      .insertInto('logged_model_metrics')
      .values(rows)
      .onConflict((c) => c.doNothing())
      .execute()
  },
}

type DenseSeries = { id: number; step: number; first_step: number }

/** One point a step: which steps to read follows from the first and the last, without counting. */
function sampledSteps(db: Db, series: DenseSeries, { limit, interval }: { limit: number; interval?: StepInterval }) {
  const first = Math.max(series.first_step, interval?.start ?? series.first_step)
  const last = Math.min(series.step, interval?.end ?? series.step)
  const steps = sampleIndices(Math.max(0, last - first + 1), limit).map((position) => first + position)
  return db
    .selectFrom('metric_points')
    .select(['step', 'timestamp', 'value', 'is_nan'])
    .where('series_id', '=', series.id)
    .where(isOneOf(db, sql.ref('step'), steps))
    .orderBy('step')
    .execute()
}

/** Several points at a step, or none: every point is numbered. */
async function sampledAnyhow(db: Db, id: number, { limit, interval }: { limit: number; interval?: StepInterval }) {
  const within = interval ? sql`and step between ${interval.start} and ${interval.end}` : sql``
  const counted = await sql<{ count: number }>`select count(*) as count from metric_points
    where series_id = ${id} ${within}`.execute(db)
  const positions = sampleIndices(counted.rows[0]!.count, limit)
  if (positions.length === 0) return []
  const { rows } = await sql<Stored>`select step, timestamp, value, is_nan from (
      select step, timestamp, value, is_nan, row_number() over (order by step, timestamp, value, is_nan) - 1 as position
      from metric_points where series_id = ${id} ${within}) numbered
    where ${isOneOf(db, sql.ref('position'), positions)} order by position`.execute(db)
  return rows
}

const seriesOf = (db: Db, runKey: number, key: string) =>
  db
    .selectFrom('metric_series')
    .select(['id', 'step', 'first_step', 'is_dense', 'is_ordered'])
    .where('run_key', '=', runKey)
    .where('key', '=', key)
    .executeTakeFirst()

/** The order in which the points lie; where time never goes back along it, also the order of a history. */
const byStep = sql`step, timestamp, value, is_nan`
const byTime = sql`timestamp, step, value, is_nan`

const storedPoint = (point: MetricPoint): Stored => ({
  step: point.step,
  timestamp: point.timestamp,
  ...storedValue(point.value),
})

const pointFrom = (key: string, row: Stored): MetricPoint => ({
  key,
  value: readValue(row),
  timestamp: row.timestamp,
  step: row.step,
})

const latestOf = (points: readonly Stored[]): Stored =>
  points.reduce((latest, point) => (isLater(point, latest) ? point : latest))

/** How the points of one batch run. */
function courseOf(points: readonly Stored[]): { first: Stored; isDense: boolean; isOrdered: boolean } {
  const before = (index: number) => points[index - 1] ?? points[0]!
  return {
    first: points[0]!,
    isDense: points.every(({ step }, index) => index === 0 || step === before(index).step + 1),
    isOrdered: points.every(
      ({ step, timestamp }, index) => step >= before(index).step && timestamp >= before(index).timestamp,
    ),
  }
}
