import type { LoggedModelId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'

/** MLflow's words, as it means them. Experiment ids are decimal strings; "0" is `Default`. */
export type ExperimentId = string

export type Lifecycle = 'active' | 'deleted'
export type LifecycleView = 'active' | 'deleted' | 'all'

export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED'

export type KeyValue = { key: string; value: string }

export type Experiment = {
  experimentId: ExperimentId
  name: string
  artifactLocation: string
  lifecycle: Lifecycle
  createdAt: EpochMs
  updatedAt: EpochMs
  tags: Record<string, string>
}

/** `value` may be NaN; an infinity is kept as the largest double of its sign. */
export type MetricPoint = { key: string; value: number; timestamp: EpochMs; step: number }

/** A point that may also tell of a logged model, on a dataset. */
export type NewMetric = MetricPoint & { modelId?: string; datasetName?: string; datasetDigest?: string }

type InputDataset = {
  name: string
  digest: string
  sourceType: string
  source: string
  schema?: string
  profile?: string
}

export type DatasetInput = { dataset: InputDataset; tags: Record<string, string> }
type ModelOutput = { modelId: LoggedModelId; step: number }

/** Params, and each metric's last value. */
export type Logged = { params: Record<string, string>; metrics: Record<string, number> }

export type RunInfo = {
  runId: RunId
  experimentId: ExperimentId
  name: string
  status: RunStatus
  userId: string
  startedAt: EpochMs
  endedAt: EpochMs | undefined
  lifecycle: Lifecycle
  artifactUri: string
  /** The run of the step whose code created this one. */
  ownerRunId: RunId | undefined
}

export type Run = RunInfo & {
  params: Record<string, string>
  tags: Record<string, string>
  /** The latest point of each metric. */
  metrics: MetricPoint[]
  datasetInputs: DatasetInput[]
  modelInputs: LoggedModelId[]
  modelOutputs: ModelOutput[]
}

export type NewRun = {
  runId?: RunId
  experimentId: ExperimentId
  name?: string
  tags?: readonly KeyValue[]
  userId?: string
  startedAt: EpochMs
  ownerRunId?: RunId
}

export type LoggedModelStatus = 'PENDING' | 'READY' | 'FAILED'

export type LoggedModelMetric = MetricPoint & { runId: RunId; datasetName?: string; datasetDigest?: string }

export type LoggedModel = {
  modelId: LoggedModelId
  experimentId: ExperimentId
  name: string
  artifactUri: string
  createdAt: EpochMs
  updatedAt: EpochMs
  status: LoggedModelStatus
  statusMessage: string | undefined
  modelType: string | undefined
  sourceRunId: RunId | undefined
  lifecycle: Lifecycle
  params: Record<string, string>
  tags: Record<string, string>
  metrics: LoggedModelMetric[]
}

export type NewLoggedModel = {
  experimentId: ExperimentId
  name?: string
  modelType?: string
  sourceRunId?: RunId
  params?: readonly KeyValue[]
  tags?: readonly KeyValue[]
}

/** A search in MLflow's grammar. The token belongs to the question that it came with. */
export type Search = { filter?: string; orderBy?: readonly string[]; limit: number; pageToken?: string }
export type Found<T> = { items: T[]; nextPageToken?: string }
