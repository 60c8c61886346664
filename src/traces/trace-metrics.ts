import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Db } from '../db/index.ts'
import { experimentNumber } from '../tracking/index.ts'
import { checkMetricQuestion, labelOf, type MetricFilter, parseMetricFilter } from './decide/metric-question.ts'
import { type Aggregation, type MetricAnswer, type MetricQuestion, traceMetadata, traceTags } from './traces.ts'

/**
 * Counts, sums and percentiles over traces, spans or assessments, by time and by what they are. The inner question names what is
 * counted and by what; the outer one counts. Throws BadRequest.
 */
export async function askMetric(db: Db, question: MetricQuestion): Promise<MetricAnswer[]> {
  checkMetricQuestion(question)
  const filters = question.filters.map((filter) => parseMetricFilter(filter, question.view))
  if (question.experimentIds.length === 0) return []
  const { value, from, where } = subjectOf(question, filters)
  const dimensions = [
    ...(question.intervalSeconds ? [bucketSql(question)] : []),
    ...question.dimensions.map((name) => sql.ref(dimensionColumn[name]!)),
  ]
  const names = [...(question.intervalSeconds ? ['time_bucket'] : []), ...question.dimensions]
  const selected = dimensions.map((dimension, index) => sql`${dimension} as ${sql.ref(`d${index}`)}`)
  const present = question.dimensions.map((name) => sql<SqlBool>`${sql.ref(dimensionColumn[name]!)} is not null`)
  const inner = sql`select ${sql.join([...selected, sql`${value} as v`])} from ${from}
    where ${sql.join([...where, ...present, sql`${value} is not null`], sql` and `)}`
  const groups = dimensions.map((_, index) => sql.ref(`d${index}`))
  const { rows } = await sql<Record<string, string | number | null>>`
    select ${sql.join([...groups, sql`count(v) as n`, ...aggregateSql(question)])}
    from (${ranked(inner, groups, question.aggregations)}) q
    ${groups.length === 0 ? sql`` : sql`group by ${sql.join(groups)} order by ${sql.join(groups)}`}
    limit ${question.limit}`.execute(db)
  return rows.filter((row) => Number(row.n) > 0).map((row) => answerOf(row, names, question))
}

type Subject = { value: RawBuilder<unknown>; from: RawBuilder<unknown>; where: RawBuilder<SqlBool>[] }

function subjectOf(question: MetricQuestion, filters: readonly MetricFilter[]): Subject {
  const where = [
    sql<SqlBool>`t.experiment_id in (${sql.join(question.experimentIds.map(experimentNumber))})`,
    ...withinSql(question),
    ...filters.map(filterSql),
  ]
  const value = sql.ref(valueColumn[question.view][question.metric]!)
  switch (question.view) {
    case 'TRACES':
      return { value, from: sql`traces t`, where }
    case 'SPANS':
      return { value, from: sql`traces t join trace_spans x on x.trace_id = t.trace_id`, where }
    case 'ASSESSMENTS': {
      const valid = sql<SqlBool>`a.valid = 1`
      return {
        value,
        from: sql`traces t join trace_assessments a on a.trace_id = t.trace_id`,
        where: [...where, valid],
      }
    }
  }
}

const valueColumn: Record<MetricQuestion['view'], Readonly<Record<string, string>>> = {
  TRACES: {
    trace_count: 't.trace_id',
    session_count: 't.session_id',
    latency: 't.duration_ms',
    input_tokens: 't.input_tokens',
    output_tokens: 't.output_tokens',
    total_tokens: 't.total_tokens',
    cache_read_input_tokens: 't.cache_read_input_tokens',
    cache_creation_input_tokens: 't.cache_creation_input_tokens',
  },
  SPANS: {
    span_count: 'x.span_id',
    latency: 'x.duration_ms',
    input_cost: 'x.input_cost',
    output_cost: 'x.output_cost',
    total_cost: 'x.total_cost',
  },
  ASSESSMENTS: { assessment_count: 'a.assessment_id', assessment_value: 'a.number_value' },
}

const dimensionColumn: Readonly<Record<string, string>> = {
  trace_name: 't.name',
  trace_status: 't.state',
  span_name: 'x.name',
  span_type: 'x.type',
  span_status: 'x.status',
  span_model_name: 'x.model_name',
  span_model_provider: 'x.model_provider',
  assessment_name: 'a.name',
  assessment_value: 'a.value',
}

/** Costs of spans are of the moment at which the span began; all else of that at which its trace did. */
const timeOf = ({ view, metric }: MetricQuestion): string =>
  view === 'SPANS' && metric.endsWith('_cost') ? 'x.start_ms' : 't.started_at'

function withinSql(question: MetricQuestion): RawBuilder<SqlBool>[] {
  const time = sql.ref(timeOf(question))
  return [
    ...(question.from === undefined ? [] : [sql<SqlBool>`${time} >= ${question.from}`]),
    ...(question.to === undefined ? [] : [sql<SqlBool>`${time} <= ${question.to}`]),
  ]
}

function bucketSql({ view, intervalSeconds }: MetricQuestion): RawBuilder<unknown> {
  const size = sql.lit(intervalSeconds! * 1000)
  const time = sql.ref(view === 'SPANS' ? 'x.start_ms' : 't.started_at')
  return sql`(${time} / ${size}) * ${size}`
}

function filterSql({ of, entity, key, value }: MetricFilter): RawBuilder<SqlBool> {
  if (of === 'span') return sql`${sql.ref(`x.${entity}`)} = ${value}`
  if (of === 'assessment') return sql`${sql.ref(entity === 'type' ? 'a.kind' : 'a.name')} = ${value}`
  if (entity === 'status') return sql`t.state = ${value}`
  if (entity === 'tag' && key === traceTags.name) return sql`t.name = ${value}`
  if (entity === 'metadata' && key === traceMetadata.session) return sql`t.session_id = ${value}`
  const table = sql.table(entity === 'tag' ? 'trace_tags' : 'trace_metadata')
  const own = sql<SqlBool>`exists (select 1 from ${table} p where p.trace_id = t.trace_id and p.key = ${key}
    and p.value = ${value})`
  if (entity === 'tag' || key !== traceMetadata.sourceRun) return own
  return sql`(${own} or exists (select 1 from trace_links l where l.trace_id = t.trace_id and l.kind = 'run'
    and l.target = ${value}))`
}

const percentsOf = (aggregations: readonly Aggregation[]): number[] =>
  aggregations.flatMap((aggregation) => (aggregation.type === 'PERCENTILE' ? [aggregation.percent] : []))

/** Each value's place in its group, counted from 0, where a percentile is asked for. */
function ranked(
  inner: RawBuilder<unknown>,
  groups: readonly RawBuilder<unknown>[],
  aggregations: readonly Aggregation[],
): RawBuilder<unknown> {
  if (percentsOf(aggregations).length === 0) return inner
  const partition = groups.length === 0 ? sql`` : sql`partition by ${sql.join(groups)}`
  return sql`select i.*, row_number() over (${partition} order by v) - 1 as place,
    count(*) over (${partition}) as total from (${inner}) i`
}

/** Of a percentile the values on both sides of its place: between them it is interpolated. */
function aggregateSql({ aggregations, metric }: MetricQuestion): RawBuilder<unknown>[] {
  const percents = percentsOf(aggregations).flatMap((percent, index) => {
    const place = sql`(${sql.lit(percent / 100)} * (total - 1))`
    return [
      sql`max(case when place <= ${place} then v end) as ${sql.ref(`low${index}`)}`,
      sql`min(case when place >= ${place} then v end) as ${sql.ref(`high${index}`)}`,
    ]
  })
  const asked = new Set(aggregations.map(({ type }) => type))
  const number = sql`cast(v as double precision)`
  return [
    ...percents,
    ...(asked.has('COUNT')
      ? [sql`${metric === 'session_count' ? sql`count(distinct v)` : sql`count(v)`} as a_count`]
      : []),
    ...(asked.has('SUM') ? [sql`sum(${number}) as a_sum`] : []),
    ...(asked.has('AVG') ? [sql`avg(${number}) as a_avg`] : []),
    ...(asked.has('MIN') ? [sql`min(v) as a_min`] : []),
    ...(asked.has('MAX') ? [sql`max(v) as a_max`] : []),
  ]
}

function answerOf(
  row: Record<string, string | number | null>,
  names: readonly string[],
  { aggregations, metric }: MetricQuestion,
): MetricAnswer {
  const dimensions = names.map((name, index): [string, string] => {
    const value = row[`d${index}`]!
    return [name, name === 'time_bucket' ? isoOf(Number(value)) : String(value)]
  })
  let percentile = 0
  const values = aggregations.map((aggregation): [string, number] => {
    const label = labelOf(aggregation)
    if (aggregation.type !== 'PERCENTILE') return [label, Number(row[`a_${aggregation.type.toLowerCase()}`])]
    const [low, high] = [Number(row[`low${percentile}`]), Number(row[`high${percentile}`])]
    percentile++
    const place = (aggregation.percent / 100) * (Number(row.n) - 1)
    return [label, low + (high - low) * (place - Math.floor(place))]
  })
  return { metric, dimensions: Object.fromEntries(dimensions), values: Object.fromEntries(values) }
}

/** As Python writes a time in UTC. */
const isoOf = (ms: number): string => new Date(ms).toISOString().replace('.000Z', '+00:00')
