import type { ModelVersion, RegisteredModel } from '../../registry/index.ts'
import type { Experiment, LoggedModel, LoggedModelMetric, MetricPoint, Run, RunInfo } from '../../tracking/index.ts'

/** Our words → MLflow's JSON (protobuf's, with integers as numbers). Absent fields are left out. */

const pairsOf = (record: Record<string, string>) => Object.entries(record).map(([key, value]) => ({ key, value }))

/** Protobuf's JSON writes what JSON has no number for as a text. */
const wireNumber = (value: number): number | string => (Number.isNaN(value) ? 'NaN' : value)

export const experimentWire = (experiment: Experiment) => ({
  experiment_id: experiment.experimentId,
  name: experiment.name,
  artifact_location: experiment.artifactLocation,
  lifecycle_stage: experiment.lifecycle,
  last_update_time: experiment.updatedAt,
  creation_time: experiment.createdAt,
  tags: pairsOf(experiment.tags),
})

export const runInfoWire = (run: RunInfo) => ({
  run_uuid: run.runId,
  run_id: run.runId,
  run_name: run.name,
  experiment_id: run.experimentId,
  user_id: run.userId,
  status: run.status,
  start_time: run.startedAt,
  ...(run.endedAt ? { end_time: run.endedAt } : {}),
  artifact_uri: run.artifactUri,
  lifecycle_stage: run.lifecycle,
})

export const metricWire = (metric: MetricPoint) => ({
  key: metric.key,
  value: wireNumber(metric.value),
  timestamp: metric.timestamp,
  step: metric.step,
})

export const runWire = (run: Run) => ({
  info: runInfoWire(run),
  data: { metrics: run.metrics.map(metricWire), params: pairsOf(run.params), tags: pairsOf(run.tags) },
  inputs: {
    dataset_inputs: run.datasetInputs.map(({ dataset, tags }) => ({
      tags: pairsOf(tags),
      dataset: {
        name: dataset.name,
        digest: dataset.digest,
        source_type: dataset.sourceType,
        source: dataset.source,
        ...(dataset.schema === undefined ? {} : { schema: dataset.schema }),
        ...(dataset.profile === undefined ? {} : { profile: dataset.profile }),
      },
    })),
    model_inputs: run.modelInputs.map((modelId) => ({ model_id: modelId })),
  },
  outputs: { model_outputs: run.modelOutputs.map(({ modelId, step }) => ({ model_id: modelId, step })) },
})

const modelMetricWire = (metric: LoggedModelMetric, modelId: string) => ({
  ...metricWire(metric),
  model_id: modelId,
  run_id: metric.runId,
  ...(metric.datasetName === undefined ? {} : { dataset_name: metric.datasetName }),
  ...(metric.datasetDigest === undefined ? {} : { dataset_digest: metric.datasetDigest }),
})

const loggedModelStatusWire = {
  PENDING: 'LOGGED_MODEL_PENDING',
  READY: 'LOGGED_MODEL_READY',
  FAILED: 'LOGGED_MODEL_UPLOAD_FAILED',
} as const

export const loggedModelWire = (model: LoggedModel) => ({
  info: {
    model_id: model.modelId,
    experiment_id: model.experimentId,
    name: model.name,
    creation_timestamp_ms: model.createdAt,
    last_updated_timestamp_ms: model.updatedAt,
    artifact_uri: model.artifactUri,
    status: loggedModelStatusWire[model.status],
    ...(model.modelType === undefined ? {} : { model_type: model.modelType }),
    ...(model.sourceRunId === undefined ? {} : { source_run_id: model.sourceRunId }),
    ...(model.statusMessage === undefined ? {} : { status_message: model.statusMessage }),
    tags: pairsOf(model.tags),
  },
  data: {
    params: pairsOf(model.params),
    metrics: model.metrics.map((metric) => modelMetricWire(metric, model.modelId)),
  },
})

export const versionWire = (version: ModelVersion) => ({
  name: version.model,
  version: String(version.version),
  creation_timestamp: version.createdAt,
  last_updated_timestamp: version.updatedAt,
  current_stage: version.stage,
  description: version.description ?? '',
  source: version.source,
  ...(version.userId === undefined ? {} : { user_id: version.userId }),
  run_id: version.runId ?? '',
  run_link: version.runLink ?? '',
  status: version.status,
  ...(version.statusMessage === undefined ? {} : { status_message: version.statusMessage }),
  ...unlessEmpty('tags', pairsOf(version.tags)),
  ...unlessEmpty('aliases', version.aliases),
})

export const modelWire = (model: RegisteredModel) => ({
  name: model.name,
  creation_timestamp: model.createdAt,
  last_updated_timestamp: model.updatedAt,
  ...(model.description ? { description: model.description } : {}),
  ...unlessEmpty('latest_versions', model.latestVersions.map(versionWire)),
  ...unlessEmpty('tags', pairsOf(model.tags)),
  ...unlessEmpty(
    'aliases',
    model.aliases.map(({ alias, version }) => ({ alias, version: String(version) })),
  ),
})

/** Protobuf's JSON leaves empty lists out. */
const unlessEmpty = <T>(name: string, list: readonly T[]) => (list.length === 0 ? {} : { [name]: list })

/** A page as MLflow gives it: no token on the last one. */
export const tokenWire = (nextPageToken: string | undefined) =>
  nextPageToken === undefined ? {} : { next_page_token: nextPageToken }
