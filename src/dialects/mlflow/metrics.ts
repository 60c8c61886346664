import type { FastifyInstance } from 'fastify'
import type { MetricPoint, NewMetric, TrackingService } from '../../tracking/index.ts'
import { double, integer, readMessage, required, text, texts } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { metricWire, tokenWire } from './wire.ts'

const maxHistoryRows = 25_000
const maxRuns = 100
const maxPointsPerRun = 2500

export const metricFields = {
  key: required(text),
  value: required(double),
  timestamp: required(integer),
  step: integer,
  model_id: text,
  dataset_name: text,
  dataset_digest: text,
}

type MetricMessage = {
  key: string
  value: number
  timestamp: number
  step?: number
  model_id?: string
  dataset_name?: string
  dataset_digest?: string
}

export const metricFrom = (message: MetricMessage): NewMetric => ({
  key: message.key,
  value: message.value,
  timestamp: message.timestamp,
  step: message.step ?? 0,
  ...(message.model_id ? { modelId: message.model_id } : {}),
  ...(message.dataset_name ? { datasetName: message.dataset_name } : {}),
  ...(message.dataset_digest ? { datasetDigest: message.dataset_digest } : {}),
})

export function mountMetrics(app: FastifyInstance, { tracking }: MlflowParts): void {
  mount(app, 'GET', '/2.0/mlflow/metrics/get-history', async (request) => {
    const { run_id, metric_key, max_results, page_token } = readMessage(request, {
      run_id: required(text),
      metric_key: required(text),
      max_results: integer,
      page_token: text,
    })
    if (max_results !== undefined && max_results <= 0)
      throw new MlflowError(
        'INVALID_PARAMETER_VALUE',
        `Invalid value ${max_results} for parameter 'max_results' supplied. It must be a positive integer.`,
      )
    if (!(await tracking.findRun(run_id))) return {}
    const { items, nextPageToken } = await tracking.metricHistory(run_id, metric_key, {
      ...(max_results === undefined ? {} : { limit: Math.min(max_results, maxHistoryRows) }),
      ...(page_token ? { pageToken: page_token } : {}),
    })
    return { metrics: items.map(metricWire), ...tokenWire(nextPageToken) }
  })

  mount(app, 'GET', '/2.0/mlflow/metrics/get-history-bulk', async (request) => {
    const { run_id: runIds } = readMessage(request, { run_id: texts })
    const { metric_key, max_results } = readMessage(request, { metric_key: text, max_results: integer })
    if (!runIds?.length) throw bulkError('must specify at least one run_id.')
    if (runIds.length > maxRuns)
      throw bulkError(`cannot specify more than ${maxRuns} run_ids. Received ${runIds.length} run_ids.`)
    if (metric_key === undefined) throw bulkError('must specify a metric_key.')
    const limit = Math.min(max_results ?? maxHistoryRows, maxHistoryRows)
    const metrics: unknown[] = []
    for (const runId of [...runIds].sort()) {
      if (metrics.length >= limit) break
      const { items } = await tracking.metricHistory(runId, metric_key, { limit: limit - metrics.length })
      metrics.push(...items.map((point) => ({ ...metricWire(point), run_id: runId })))
    }
    return { metrics }
  })

  mount(app, 'GET', '/2.0/mlflow/metrics/get-history-bulk-interval', async (request) => {
    const asked = readMessage(request, {
      run_ids: required(texts),
      metric_key: required(text),
      start_step: integer,
      end_step: integer,
      max_results: integer,
    })
    const interval = intervalOf(asked)
    if (asked.run_ids.length > maxRuns)
      throw new MlflowError(
        'INVALID_PARAMETER_VALUE',
        `GetMetricHistoryBulkInterval request must specify at most ${maxRuns} run_ids. Received ${asked.run_ids.length} run_ids.`,
      )
    const limit = asked.max_results ?? maxPointsPerRun
    if (limit < 1 || limit > maxPointsPerRun)
      throw new MlflowError('INVALID_PARAMETER_VALUE', `max_results must be between 1 and ${maxPointsPerRun}.`)
    const metrics: unknown[] = []
    for (const runId of asked.run_ids) {
      const points = sampled(await pointsWithin(tracking, runId, asked.metric_key, interval), limit)
      metrics.push(...points.map((point) => ({ ...metricWire(point), run_id: runId })))
    }
    return { metrics }
  })
}

type Interval = { start: number; end: number } | undefined

function intervalOf({ start_step: start, end_step: end }: { start_step?: number; end_step?: number }): Interval {
  if (start === undefined && end === undefined) return undefined
  if (start === undefined || end === undefined)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      'If either start step or end step are specified, both must be specified.',
    )
  if (start > end)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `end_step must be greater than start_step. Found start_step=${start} and end_step=${end}.`,
    )
  return { start, end }
}

async function pointsWithin(
  tracking: TrackingService,
  runId: string,
  key: string,
  interval: Interval,
): Promise<MetricPoint[]> {
  const { items } = await tracking.metricHistory(runId, key)
  return interval ? items.filter(({ step }) => step >= interval.start && step <= interval.end) : items
}

/** Evenly over the points, with the first and the last. */
function sampled(points: readonly MetricPoint[], limit: number): MetricPoint[] {
  if (points.length <= limit) return [...points]
  if (limit === 1) return [points.at(-1)!]
  return Array.from({ length: limit }, (_, index) => points[Math.round((index * (points.length - 1)) / (limit - 1))]!)
}

const bulkError = (what: string): MlflowError =>
  new MlflowError('INVALID_PARAMETER_VALUE', `GetMetricHistoryBulk request ${what}`)
