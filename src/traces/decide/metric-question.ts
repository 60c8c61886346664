import { pythonFloat } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/decide/limits.ts'
import { TokenReader, tokensOf, unquoted } from '../../tracking/decide/search-filter.ts'
import type { Aggregation, MetricQuestion, MetricView } from '../traces.ts'
import { takeName } from './trace-filter.ts'

type Metric = { aggregations: readonly string[]; dimensions: readonly string[] }

const spread = ['AVG', 'MAX', 'MIN', 'PERCENTILE']
const sums = [...spread, 'SUM']
const tokens: Metric = { aggregations: sums, dimensions: ['trace_name'] }
const costs: Metric = { aggregations: sums, dimensions: ['span_model_name', 'span_model_provider'] }

/** What may be asked about what. Source: mlflow 3.17.2, store/tracking/utils/sql_trace_metrics_utils.py. */
const metrics: Record<MetricView, Readonly<Record<string, Metric>>> = {
  TRACES: {
    trace_count: { aggregations: ['COUNT'], dimensions: ['trace_name', 'trace_status'] },
    session_count: { aggregations: ['COUNT'], dimensions: [] },
    latency: { aggregations: spread, dimensions: ['trace_name'] },
    input_tokens: tokens,
    output_tokens: tokens,
    total_tokens: tokens,
    cache_read_input_tokens: tokens,
    cache_creation_input_tokens: tokens,
  },
  SPANS: {
    span_count: {
      aggregations: ['COUNT'],
      dimensions: ['span_name', 'span_type', 'span_status', 'span_model_name', 'span_model_provider'],
    },
    latency: { aggregations: spread, dimensions: ['span_name', 'span_status'] },
    input_cost: costs,
    output_cost: costs,
    total_cost: costs,
  },
  ASSESSMENTS: {
    assessment_count: { aggregations: ['COUNT'], dimensions: ['assessment_name', 'assessment_value'] },
    assessment_value: { aggregations: spread, dimensions: ['assessment_name'] },
  },
}

/** Throws BadRequest, in MLflow's words, for what cannot be answered. */
export function checkMetricQuestion({ view, metric, aggregations, dimensions, ...times }: MetricQuestion): void {
  const known = Object.hasOwn(metrics[view], metric) ? metrics[view][metric]! : undefined
  if (!known) throw invalid(`metric_name must be one of ${listed(Object.keys(metrics[view]))}, got '${metric}'`)
  if (aggregations.length === 0) throw invalid('At least one aggregation must be asked for.')
  const otherTypes = aggregations.map(({ type }) => type).filter((type) => !known.aggregations.includes(type))
  if (otherTypes.length > 0)
    throw invalid(
      `Found invalid aggregation_type(s): ${listed([...new Set(otherTypes)].sort())}. ` +
        `Supported aggregation types: ${listed([...known.aggregations].sort())}`,
    )
  const others = dimensions.filter((dimension) => !known.dimensions.includes(dimension))
  if (others.length > 0)
    throw invalid(
      `Found invalid dimension(s): ${listed([...new Set(others)].sort())}. ` +
        `Supported dimensions: ${listed([...known.dimensions].sort())}`,
    )
  if (times.intervalSeconds && (times.from === undefined || times.to === undefined))
    throw invalid('start_time_ms and end_time_ms are required if time_interval_seconds is set')
}

/** How MLflow names the value of an aggregation: `AVG`, `P99.0`. */
export const labelOf = (aggregation: Aggregation): string =>
  aggregation.type === 'PERCENTILE' ? `P${pythonFloat(aggregation.percent)}` : aggregation.type

export type MetricFilter = {
  of: 'trace' | 'span' | 'assessment'
  entity: string
  key: string | undefined
  value: string
}

/** Whether the entity is followed by a key. */
const filterable: Record<MetricFilter['of'], Readonly<Record<string, boolean>>> = {
  trace: { status: false, tag: true, metadata: true },
  span: { name: false, status: false, type: false },
  assessment: { name: false, type: false },
}

/** `trace.status = 'OK'`, ``trace.metadata.`mlflow.trace.session` = 's'``: one equation. Throws BadRequest. */
export function parseMetricFilter(text: string, view: MetricView): MetricFilter {
  const reader = new TokenReader(tokensOf(text), text)
  const name = takeName(reader)
  if (!name) throw invalid(`Invalid clause(s) in filter string: ${text}`)
  const { of, entity, key } = identified(name)
  const comparator = reader.take('operator') ?? reader.peek()?.text ?? ''
  if (comparator !== '=') throw invalid(`Invalid comparator: '${comparator}', only '=' operator is supported`)
  const value = reader.take('text')
  if (value === undefined)
    throw invalid(
      `Expected a quoted string value for ${entity} value (e.g. 'my-value'). Got value ${reader.peek()?.text ?? ''}`,
    )
  if (!reader.atEnd()) throw invalid(`Invalid filter: '${text}'. Expected one filter clause.`)
  if (of === 'span' && view !== 'SPANS')
    throw invalid(`Filtering by span is only supported for SPANS view type, got ${view}`)
  if (of === 'assessment' && view !== 'ASSESSMENTS')
    throw invalid(`Filtering by assessment is only supported for ASSESSMENTS view type, got ${view}`)
  return { of, entity, key, value: value.slice(1, -1) }
}

function identified(name: string): Omit<MetricFilter, 'value'> {
  const [view, entity, ...rest] = name.split('.')
  const of = unquoted(view ?? '') as MetricFilter['of']
  if (entity === undefined)
    throw invalid(
      `Invalid identifier '${name}'. Columns should be specified as 'trace.<key>', 'span.<key>', 'assessment.<key>'.`,
    )
  const entities = Object.hasOwn(filterable, of) ? filterable[of] : undefined
  if (!entities) throw invalid(`Invalid view type '${of}'. Valid values are ${listed(Object.keys(filterable))}`)
  if (!Object.hasOwn(entities, entity))
    throw invalid(
      `Invalid entity '${entity}' specified for view type '${of}'. Valid entities are ${listed(Object.keys(entities))}`,
    )
  const key = rest.length === 0 ? undefined : unquoted(rest.join('.'))
  if (entities[entity] && key === undefined)
    throw invalid(`Filtering by ${entity} requires a key, e.g. '${of}.${entity}.<key> = <value>'`)
  if (!entities[entity] && key !== undefined)
    throw invalid(`Filtering by ${entity} does not require a key, use '${of}.${entity}' instead`)
  return { of, entity, key }
}

const listed = (items: readonly string[]): string => `[${items.map((item) => `'${item}'`).join(', ')}]`
