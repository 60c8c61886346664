import type { FastifyInstance } from 'fastify'
import type { NewMetric } from '../../tracking/index.ts'
import {
  double,
  integer,
  onlyTexts,
  orZero,
  readMessage,
  required,
  seeDocs,
  text,
  texts,
  unchecked,
} from './message.ts'
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
  step: orZero(integer),
  model_id: text,
  dataset_name: text,
  dataset_digest: text,
}

type MetricMessage = {
  key: string
  value: number
  timestamp: number
  step: number
  model_id?: string
  dataset_name?: string
  dataset_digest?: string
}

export function metricFrom(message: MetricMessage): NewMetric {
  const { key, value, timestamp, step, model_id, dataset_name, dataset_digest } = message
  if (Boolean(dataset_name) !== Boolean(dataset_digest))
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      'Both dataset_name and dataset_digest must be provided if one is provided',
    )
  const metric: NewMetric = { key, value, timestamp, step }
  if (model_id) metric.modelId = model_id
  if (dataset_name) metric.datasetName = dataset_name
  if (dataset_digest) metric.datasetDigest = dataset_digest
  return metric
}

export function mountMetrics(app: FastifyInstance, { tracking }: MlflowParts): void {
  mount(app, 'GET', '/2.0/mlflow/metrics/get-history', async (request) => {
    const { run_id, metric_key, max_results, page_token } = readMessage(request, {
      run_id: required(text),
      metric_key: required(text),
      page_token: text,
      max_results: unchecked(integer),
    })
    if (max_results !== undefined && max_results <= 0)
      throw invalid(`Invalid value ${max_results} for parameter 'max_results' supplied. It must be a positive integer.`)
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
    for (const runId of [...new Set(runIds)].sort()) {
      if (metrics.length >= limit) break
      if (!(await tracking.findRun(runId))) continue
      const { items } = await tracking.metricHistory(runId, metric_key, { limit: limit - metrics.length })
      metrics.push(...items.map((point) => ({ ...metricWire(point), run_id: runId })))
    }
    return { metrics }
  })

  mount(app, 'GET', '/2.0/mlflow/metrics/get-history-bulk-interval', async (request) => {
    const asked = readMessage(request, {
      run_ids: required(onlyTexts),
      metric_key: required(text),
      start_step: integer,
      end_step: integer,
      max_results: integer,
    })
    return sampledMetrics({ tracking }, asked)
  })
}

export type AskedInterval = {
  run_ids: string[]
  metric_key: string
  start_step?: number
  end_step?: number
  max_results?: number
}

/** Of each run at most so many points of its history, evenly. */
export async function sampledMetrics({ tracking }: Pick<MlflowParts, 'tracking'>, asked: AskedInterval) {
  if (asked.run_ids.length > maxRuns)
    throw invalid(
      `GetMetricHistoryBulkInterval request must specify at most ${maxRuns} run_ids. Received ${asked.run_ids.length} run_ids.${seeDocs}`,
    )
  const limit = asked.max_results ?? maxPointsPerRun
  if (limit < 1 || limit > maxPointsPerRun)
    throw invalid(`max_results must be between 1 and ${maxPointsPerRun}.${seeDocs}`)
  const interval = intervalOf(asked)
  const metrics: unknown[] = []
  for (const runId of asked.run_ids) {
    if (!(await tracking.findRun(runId))) continue
    const sampled = await tracking.sampledHistory(runId, asked.metric_key, {
      limit,
      ...(interval ? { interval } : {}),
    })
    metrics.push(...sampled.map((point) => ({ ...metricWire(point), run_id: runId })))
  }
  return { metrics }
}

type Interval = { start: number; end: number } | undefined

function intervalOf({ start_step: start, end_step: end }: { start_step?: number; end_step?: number }): Interval {
  if (start === undefined && end === undefined) return undefined
  if (start === undefined || end === undefined)
    throw invalid('If either start step or end step are specified, both must be specified.')
  if (start > end)
    throw invalid(`end_step must be greater than start_step. Found start_step=${start} and end_step=${end}.`)
  return { start, end }
}

const invalid = (message: string): MlflowError => new MlflowError('INVALID_PARAMETER_VALUE', message)
const bulkError = (what: string): MlflowError => invalid(`GetMetricHistoryBulk request ${what}`)
