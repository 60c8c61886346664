import { sql } from 'kysely'
import type { Db } from '../db/index.ts'
import { checkMetric } from './decide/limits.ts'
import { isLater, readValue, storedValue } from './decide/metric-value.ts'
import { afterSql, pageTokenFor, readPageToken } from './search-sql.ts'
import type { Found, MetricPoint, NewMetric } from './tracking.ts'

type Stored = { step: number; timestamp: number; value: number; is_nan: number }

/** Points of metrics. A metric of a run is a series; its row holds the latest point, so that reading that needs no points. */
export const metricStore = {
  async log(db: Db, runKey: number, metrics: readonly MetricPoint[]): Promise<void> {
    for (const metric of metrics) checkMetric(metric)
    const points = Map.groupBy(metrics, (metric) => metric.key)
    if (points.size === 0) return
    const latest = new Map([...points].map(([key, own]) => [key, latestOf(own.map(storedPoint))]))
    const series = await seriesOf(db, runKey, latest)
    await insertPoints(
      db,
      [...points].flatMap(([key, own]) =>
        own.map((point) => ({ series_id: series.get(key)!.id, ...storedPoint(point) })),
      ),
    )
    for (const [key, point] of latest) {
      const known = series.get(key)!
      if (isLater(point, known)) await db.updateTable('metric_series').set(point).where('id', '=', known.id).execute()
    }
  },

  /** In order of step, time and value. All of it without a limit; else a page with the token of the next. */
  async history(
    db: Db,
    runKey: number,
    key: string,
    page: { limit?: number; pageToken?: string } = {},
  ): Promise<Found<MetricPoint>> {
    const series = await db
      .selectFrom('metric_series')
      .select('id')
      .where('run_key', '=', runKey)
      .where('key', '=', key)
      .executeTakeFirst()
    if (!series) return { items: [] }
    const question = { of: 'history', runKey, key }
    const columns = (['step', 'timestamp', 'value', 'is_nan'] as const).map((name) => ({
      expression: sql.ref(name),
      descending: false,
    }))
    const after = readPageToken(question, page.pageToken, columns.length)
    let query = db
      .selectFrom('metric_points')
      .select(['step', 'timestamp', 'value', 'is_nan'])
      .where('series_id', '=', series.id)
      .orderBy('step')
      .orderBy('timestamp')
      .orderBy('value')
      .orderBy('is_nan')
    if (after) query = query.where(afterSql(columns, after))
    if (page.limit !== undefined) query = query.limit(page.limit + 1)
    const rows = await query.execute()
    const shown = page.limit === undefined ? rows : rows.slice(0, page.limit)
    const last = rows.length > shown.length ? shown.at(-1) : undefined
    return {
      items: shown.map((row) => ({ key, value: readValue(row), timestamp: row.timestamp, step: row.step })),
      ...(last ? { nextPageToken: pageTokenFor(question, [last.step, last.timestamp, last.value, last.is_nan]) } : {}),
    }
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

/** The series of these keys, made (with their latest point) where they are missing. */
async function seriesOf(db: Db, runKey: number, latest: ReadonlyMap<string, Stored>) {
  const keys = [...latest.keys()]
  const known = await readSeries(db, runKey, keys)
  const missing = keys.filter((key) => !known.has(key))
  if (missing.length === 0) return known
  await db
    .insertInto('metric_series')
    .values(missing.map((key) => ({ run_key: runKey, key, ...latest.get(key)! })))
    .onConflict((c) => c.doNothing())
    .execute()
  return new Map([...known, ...(await readSeries(db, runKey, missing))])
}

async function readSeries(db: Db, runKey: number, keys: readonly string[]) {
  const rows = await db
    .selectFrom('metric_series')
    .select(['id', 'key', 'step', 'timestamp', 'value'])
    .where('run_key', '=', runKey)
    .where('key', 'in', keys)
    .execute()
  return new Map(rows.map((row) => [row.key, row]))
}

async function insertPoints(db: Db, rows: readonly ({ series_id: number } & Stored)[]): Promise<void> {
  await db
    .insertInto('metric_points')
    .values(rows)
    .onConflict((c) => c.doNothing())
    .execute()
}

const storedPoint = (point: MetricPoint): Stored => ({
  step: point.step,
  timestamp: point.timestamp,
  ...storedValue(point.value),
})

const latestOf = (points: readonly Stored[]): Stored =>
  points.reduce((latest, point) => (isLater(point, latest) ? point : latest))
