import type { EpochMs } from '../kernel/time.ts'
import type { ExperimentId } from '../tracking/index.ts'

/** MLflow's words. A trace's id is `tr-` and the 32 hex digits of OpenTelemetry's trace id. */
export type TraceId = string

export type TraceState = 'STATE_UNSPECIFIED' | 'OK' | 'ERROR' | 'IN_PROGRESS'

/** All of a trace but its spans. Metadata is set once by the client; tags may change. */
export type TraceInfo = {
  traceId: TraceId
  experimentId: ExperimentId
  startedAt: EpochMs
  durationMs: number | undefined
  state: TraceState
  clientRequestId: string | undefined
  requestPreview: string | undefined
  responsePreview: string | undefined
  metadata: Record<string, string>
  tags: Record<string, string>
  assessments: Assessment[]
}

export type NewTrace = Omit<TraceInfo, 'assessments'> & { assessments: NewAssessment[] }

/** What each kind of span attribute is called where MLflow looks for it. */
export const spanAttributes = {
  requestId: 'mlflow.traceRequestId',
  inputs: 'mlflow.spanInputs',
  outputs: 'mlflow.spanOutputs',
  type: 'mlflow.spanType',
  usage: 'mlflow.chat.tokenUsage',
  cost: 'mlflow.llm.cost',
  model: 'mlflow.llm.model',
  provider: 'mlflow.llm.provider',
  messageFormat: 'mlflow.message.format',
  chatTools: 'mlflow.chat.tools',
  session: 'session.id',
  user: 'user.id',
  tagPrefix: 'mlflow.traceTag.',
} as const

export const traceTags = {
  name: 'mlflow.traceName',
  spansLocation: 'mlflow.trace.spansLocation',
  archiveLocation: 'mlflow.trace.archiveLocation',
  archivalFailure: 'mlflow.trace.archivalFailure',
  artifactLocation: 'mlflow.artifactLocation',
  linkedPrompts: 'mlflow.linkedPrompts',
} as const

export const traceMetadata = {
  sourceRun: 'mlflow.sourceRun',
  session: 'mlflow.trace.session',
  user: 'mlflow.trace.user',
  usage: 'mlflow.trace.tokenUsage',
  cost: 'mlflow.trace.cost',
  sizeStats: 'mlflow.trace.sizeStats',
  /** Set where the client has told of the whole trace: what spans tell later does not overrule it. */
  finalized: 'mlflow.trace.infoFinalized',
} as const

/** The value of `traceTags.spansLocation` for spans that are rows here. */
export const spansAreHere = 'TRACKING_STORE'

export type SpanStatus = 'OK' | 'ERROR' | 'UNSET'

/** A span as it is kept. Times in nanoseconds are decimal texts. */
export type Span = {
  traceId: TraceId
  spanId: string
  parentId: string | undefined
  name: string
  type: string | undefined
  status: SpanStatus
  startNs: string
  startMs: EpochMs
  endMs: EpochMs | undefined
  durationMs: number | undefined
  /** JSON as in MLflow's files (`traces.json`), with each attribute's value as JSON in a text. */
  content: string
  model: string | undefined
  provider: string | undefined
  usage: Record<string, number> | undefined
  cost: Record<string, number> | undefined
  sessionId: string | undefined
  userId: string | undefined
  requestPreview: string | undefined
  responsePreview: string | undefined
  /** What becomes tags of the trace: facts of the process, and what the client calls tags, in this order. */
  resourceTags: Record<string, string>
  traceTags: Record<string, string>
}

/** A span as OpenTelemetry has it, each value as JSON text: Python's 1 and 1.0 are different values. */
export type OtelSpan = {
  traceId: string
  spanId: string
  parentId: string | undefined
  name: string
  startNs: string
  endNs: string | undefined
  status: { code: SpanStatus; message: string | undefined }
  attributes: Record<string, string>
  events: { name: string; timeNs: string; attributes: Record<string, string> }[]
  links: { traceId: string; spanId: string; attributes: Record<string, string> }[]
  resource: Record<string, string>
}

export type AssessmentKind = 'feedback' | 'expectation' | 'issue'
export type AssessmentSource = { type: 'HUMAN' | 'LLM_JUDGE' | 'CODE' | 'SOURCE_TYPE_UNSPECIFIED'; id?: string }
export type AssessmentError = { code: string; message?: string; stackTrace?: string }

export type Assessment = {
  assessmentId: string
  traceId: TraceId
  name: string
  kind: AssessmentKind
  /** JSON as Python writes it; of an issue `{"issue_name": …}`. */
  value: string
  error: AssessmentError | undefined
  source: AssessmentSource
  spanId: string | undefined
  rationale: string | undefined
  metadata: Record<string, string> | undefined
  /** The assessment that this one replaces; that one is no longer valid. */
  overrides: string | undefined
  valid: boolean
  createdAt: EpochMs
  updatedAt: EpochMs
}

export type NewAssessment = Omit<Assessment, 'assessmentId' | 'valid' | 'createdAt' | 'updatedAt'> & {
  assessmentId?: string
  createdAt?: EpochMs
  updatedAt?: EpochMs
}

export type AssessmentChange = {
  name?: string
  expectation?: { value: string }
  feedback?: { value: string; error: AssessmentError | undefined }
  rationale?: string
  metadata?: Record<string, string>
  valid?: boolean
}

export type Correlation = {
  npmi: number
  npmiSmoothed: number
  filter1Count: number
  filter2Count: number
  jointCount: number
  totalCount: number
}

export type MetricView = 'TRACES' | 'SPANS' | 'ASSESSMENTS'
export type Aggregation =
  | { type: 'COUNT' | 'SUM' | 'AVG' | 'MIN' | 'MAX' }
  /** Percent, 0..100, interpolated linearly. */
  | { type: 'PERCENTILE'; percent: number }

export type MetricQuestion = {
  experimentIds: readonly ExperimentId[]
  view: MetricView
  metric: string
  aggregations: readonly Aggregation[]
  dimensions: readonly string[]
  filters: readonly string[]
  intervalSeconds: number | undefined
  from: EpochMs | undefined
  to: EpochMs | undefined
  limit: number
}

export type MetricAnswer = { metric: string; dimensions: Record<string, string>; values: Record<string, number> }
