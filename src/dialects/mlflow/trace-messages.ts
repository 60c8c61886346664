import { pythonJsonFloat } from '../../kernel/python-text.ts'
import {
  type AssessmentError,
  type AssessmentSource,
  dumps,
  loads,
  type NewAssessment,
  NumberText,
  type PythonValue,
} from '../../traces/index.ts'
import { invalid } from '../../tracking/index.ts'
import { double, flag, nested, oneOf, type Reader, required, text } from './message.ts'

/** Pieces of messages that only traces have. */

/** RFC 3339, as protobuf writes a Timestamp, to milliseconds. */
export const timestamp: Reader<number | undefined> = {
  required: false,
  read: (value) => {
    if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value))
      return undefined
    const ms = Date.parse(value)
    return Number.isNaN(ms) ? undefined : ms
  },
}

/** `1.500s`, as protobuf writes a Duration, to milliseconds. */
export const duration: Reader<number | undefined> = {
  required: false,
  read: (value) => {
    const seconds = typeof value === 'string' ? /^(-?\d{1,12}(?:\.\d{1,9})?)s$/.exec(value)?.[1] : undefined
    return seconds === undefined ? undefined : Math.trunc(Math.round(Number(seconds) * 1e6) / 1e3)
  },
}

export const textMap: Reader<Record<string, string> | undefined> = {
  required: false,
  read: (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value)
    if (entries.some(([, item]) => typeof item !== 'string')) return undefined
    return Object.fromEntries(entries) as Record<string, string>
  },
}

/** Any JSON. Protobuf's numbers are floats there. */
const anyJson: Reader<unknown> = { required: false, read: (value) => value }

/** The fields of a message that are to be changed: `assessmentName,feedback`. */
export const fieldMask: Reader<string[] | undefined> = {
  required: false,
  read: (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .filter(Boolean)
          .map((path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
      : undefined,
}

const sourceType = oneOf({ 0: 'SOURCE_TYPE_UNSPECIFIED', 1: 'HUMAN', 2: 'LLM_JUDGE', 3: 'CODE' } as const)

const errorFields = { error_code: text, error_message: text, stack_trace: text }

export const assessmentFields = {
  assessment_id: text,
  assessment_name: text,
  trace_id: text,
  span_id: text,
  source: nested('source', { source_type: sourceType, source_id: text }),
  create_time: timestamp,
  last_update_time: timestamp,
  feedback: nested('feedback', { value: anyJson, error: nested('error', errorFields) }),
  expectation: nested('expectation', {
    value: anyJson,
    serialized_value: nested('serialized_value', { serialization_format: text, value: text }),
  }),
  issue: nested('issue', { issue_name: text }),
  rationale: text,
  metadata: textMap,
  overrides: text,
  valid: flag,
}

type Read<F> = F extends Reader<infer T> ? T : never
export type AssessmentMessage = { [K in keyof typeof assessmentFields]: Read<(typeof assessmentFields)[K]> }

/** Throws BadRequest where it says neither feedback nor expectation nor issue. */
export function assessmentFrom(message: AssessmentMessage, traceId: string): NewAssessment {
  return {
    ...valueFrom(message),
    ...(message.assessment_id ? { assessmentId: message.assessment_id } : {}),
    traceId,
    name: message.assessment_name ?? '',
    source: sourceFrom(message.source),
    spanId: message.span_id || undefined,
    rationale: message.rationale || undefined,
    metadata: message.metadata && Object.keys(message.metadata).length > 0 ? message.metadata : undefined,
    // Of an expectation MLflow takes none.
    overrides: message.feedback ? message.overrides || undefined : undefined,
    ...(message.create_time ? { createdAt: message.create_time } : {}),
    ...(message.last_update_time ? { updatedAt: message.last_update_time } : {}),
  }
}

function valueFrom(message: AssessmentMessage): Pick<NewAssessment, 'kind' | 'value' | 'error'> {
  if (message.expectation) return { kind: 'expectation', value: expectedJson(message.expectation), error: undefined }
  if (message.feedback) return { kind: 'feedback', ...feedbackFrom(message.feedback) }
  if (message.issue)
    return { kind: 'issue', value: dumps({ issue_name: message.issue.issue_name ?? '' }), error: undefined }
  throw invalid('Unknown assessment type: None')
}

export const feedbackFrom = (feedback: AssessmentMessage['feedback']) => ({
  value: floatsJson(feedback?.value),
  error: feedback?.error && errorFrom(feedback.error),
})

export function expectedJson(expectation: AssessmentMessage['expectation']): string {
  const serialized = expectation?.serialized_value
  if (!serialized) return floatsJson(expectation?.value)
  if (serialized.serialization_format !== 'JSON_FORMAT')
    throw invalid(
      `Unknown serialization format: ${serialized.serialization_format ?? ''}. Only JSON_FORMAT is supported.`,
    )
  const read = loads(serialized.value ?? '')
  if (read === undefined) throw invalid(`The serialized value is no JSON: ${(serialized.value ?? '').slice(0, 100)}`)
  return dumps(read)
}

function errorFrom(error: { error_code?: string; error_message?: string; stack_trace?: string }): AssessmentError {
  return {
    code: error.error_code ?? '',
    ...(error.error_message ? { message: error.error_message } : {}),
    ...(error.stack_trace ? { stackTrace: error.stack_trace } : {}),
  }
}

function sourceFrom(source: AssessmentMessage['source']): AssessmentSource {
  return {
    type: source?.source_type ?? 'SOURCE_TYPE_UNSPECIFIED',
    ...(source?.source_id ? { id: source.source_id } : {}),
  }
}

const floatsJson = (value: unknown): string => dumps(asFloats(value))

function asFloats(value: unknown): PythonValue {
  if (typeof value === 'number') return new NumberText(pythonJsonFloat(value))
  if (Array.isArray(value)) return value.map(asFloats)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asFloats(item)]))
  return (value ?? null) as PythonValue
}

const state = oneOf({ 0: 'STATE_UNSPECIFIED', 1: 'OK', 2: 'ERROR', 3: 'IN_PROGRESS' } as const)

export const locationFields = { type: text, mlflow_experiment: nested('mlflow_experiment', { experiment_id: text }) }

export const traceInfoFields = {
  trace_id: text,
  client_request_id: text,
  trace_location: nested('trace_location', locationFields),
  request_preview: text,
  response_preview: text,
  request_time: timestamp,
  execution_duration: duration,
  state,
  trace_metadata: textMap,
  tags: textMap,
}

export const metricAggregation = {
  aggregation_type: required(oneOf({ 1: 'COUNT', 2: 'SUM', 3: 'AVG', 4: 'PERCENTILE', 5: 'MIN', 6: 'MAX' } as const)),
  percentile_value: double,
}
