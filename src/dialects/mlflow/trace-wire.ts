import {
  type Assessment,
  dumps,
  loads,
  NumberText,
  type PythonValue,
  type TraceInfo,
  type TraceState,
} from '../../traces/index.ts'

/** Traces in MLflow's JSON, which is protobuf's: times as texts, absent fields left out. */

const maxMetadata = 250
const maxTagKey = 250
const maxTagValue = 4096

export const infoWire = (info: TraceInfo) => ({
  trace_id: info.traceId,
  ...(info.clientRequestId === undefined ? {} : { client_request_id: info.clientRequestId }),
  trace_location: { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: info.experimentId } },
  ...(info.requestPreview === undefined ? {} : { request_preview: info.requestPreview }),
  ...(info.responsePreview === undefined ? {} : { response_preview: info.responsePreview }),
  request_time: timestampWire(info.startedAt),
  ...(info.durationMs === undefined ? {} : { execution_duration: durationWire(info.durationMs) }),
  state: info.state,
  ...filled('trace_metadata', cut(info.metadata, maxMetadata, maxMetadata)),
  ...(info.assessments.length === 0 ? {} : { assessments: info.assessments.map(assessmentWire) }),
  ...filled('tags', cut(info.tags, maxTagKey, maxTagValue)),
})

const v2State: Record<TraceState, string> = {
  STATE_UNSPECIFIED: 'TRACE_STATUS_UNSPECIFIED',
  OK: 'OK',
  ERROR: 'ERROR',
  IN_PROGRESS: 'IN_PROGRESS',
}

export const infoWireV2 = (info: TraceInfo) => ({
  request_id: info.traceId,
  experiment_id: info.experimentId,
  timestamp_ms: info.startedAt,
  execution_time_ms: info.durationMs ?? 0,
  status: v2State[info.state],
  ...listed('request_metadata', pairsOf(cut(info.metadata, maxMetadata, maxMetadata))),
  ...listed('tags', pairsOf(cut(info.tags, maxTagKey, maxTagValue))),
})

export function assessmentWire(assessment: Assessment) {
  const { error, source } = assessment
  return {
    assessment_id: assessment.assessmentId,
    assessment_name: assessment.name,
    trace_id: assessment.traceId,
    ...(assessment.spanId === undefined ? {} : { span_id: assessment.spanId }),
    source: { source_type: source.type, ...(source.id === undefined ? {} : { source_id: source.id }) },
    create_time: timestampWire(assessment.createdAt),
    last_update_time: timestampWire(assessment.updatedAt),
    ...valueWire(assessment, error),
    ...(assessment.rationale === undefined ? {} : { rationale: assessment.rationale }),
    ...filled('metadata', assessment.metadata ?? {}),
    ...(assessment.overrides === undefined ? {} : { overrides: assessment.overrides }),
    valid: assessment.valid,
  }
}

function valueWire({ kind, value: json }: Assessment, error: Assessment['error']) {
  const value: unknown = JSON.parse(json)
  if (kind === 'issue') return { issue: value }
  if (kind === 'expectation')
    return {
      expectation:
        typeof value === 'object' && value !== null
          ? { serialized_value: { serialization_format: 'JSON_FORMAT', value: json } }
          : { value },
    }
  return { feedback: { value, ...(error ? { error: errorWire(error) } : {}) } }
}

const errorWire = ({ code, message, stackTrace }: NonNullable<Assessment['error']>) => ({
  error_code: code,
  ...(message === undefined ? {} : { error_message: message }),
  ...(stackTrace === undefined ? {} : { stack_trace: stackTrace }),
})

/**
 * A span's kept content as OpenTelemetry's protobuf in JSON: ids in base64, nanoseconds as bare integers, each attribute with the
 * type of its value.
 */
export function spanWire(content: string): string {
  const span = loads(content) as Record<string, PythonValue>
  const attributes = Object.entries(span.attributes as Record<string, string>)
  const { code, message } = span.status as { code: string; message: string | null }
  return dumps({
    trace_id: span.trace_id!,
    span_id: span.span_id!,
    ...(span.parent_span_id === null ? {} : { parent_span_id: span.parent_span_id! }),
    name: span.name!,
    start_time_unix_nano: span.start_time_unix_nano!,
    ...(span.end_time_unix_nano === null ? {} : { end_time_unix_nano: span.end_time_unix_nano! }),
    ...listed(
      'attributes',
      attributes.map(([key, json]) => keyValue(key, loads(json) ?? json)),
    ),
    ...listed(
      'events',
      (span.events as Record<string, PythonValue>[]).map((event) => ({
        time_unix_nano: event.time_unix_nano!,
        name: event.name!,
        ...listed('attributes', keyValues(event.attributes)),
      })),
    ),
    ...listed(
      'links',
      (span.links as Record<string, PythonValue>[]).map((link) => ({
        trace_id: base64((link.trace_id as string).replace(/^tr-/, '')),
        span_id: base64(link.span_id as string),
        ...listed('attributes', keyValues(link.attributes)),
      })),
    ),
    status: { ...(message ? { message } : {}), ...(code === 'STATUS_CODE_UNSET' ? {} : { code }) },
  })
}

const keyValues = (values: PythonValue | undefined): PythonValue[] =>
  Object.entries((values ?? {}) as Record<string, PythonValue>).map(([key, value]) => keyValue(key, value))

const keyValue = (key: string, value: PythonValue): PythonValue =>
  value === null ? { key } : { key, value: anyValue(value) }

function anyValue(value: PythonValue): PythonValue {
  if (value === null) return {}
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (value instanceof NumberText) return numberValue(value)
  if (typeof value === 'number') return { double_value: value }
  if (Array.isArray(value)) return { array_value: listed('values', value.map(anyValue)) }
  return { kvlist_value: listed('values', keyValues(value)) }
}

const int64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n }

function numberValue({ text }: NumberText): PythonValue {
  if (/^-?\d+$/.test(text)) {
    const whole = BigInt(text)
    return whole >= int64.least && whole <= int64.most ? { int_value: new NumberText(text) } : { string_value: text }
  }
  return { double_value: /^-?\d/.test(text) ? new NumberText(text) : text }
}

export const timestampWire = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z')

function durationWire(ms: number): string {
  const rest = Math.abs(ms) % 1000
  const seconds = Math.trunc(Math.abs(ms) / 1000)
  return `${ms < 0 ? '-' : ''}${seconds}${rest === 0 ? '' : `.${String(rest).padStart(3, '0')}`}s`
}

const pairsOf = (record: Record<string, string>) => Object.entries(record).map(([key, value]) => ({ key, value }))

const cut = (record: Record<string, string>, keys: number, values: number): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key.slice(0, keys), value.slice(0, values)]))

const filled = (name: string, record: Record<string, string>) =>
  Object.keys(record).length === 0 ? {} : { [name]: record }

/** A list that is empty is left out. */
export const listed = <T>(name: string, list: readonly T[]): Record<string, readonly T[]> =>
  list.length === 0 ? {} : { [name]: list }

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
