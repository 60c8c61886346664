import { type RawBuilder, type SqlBool, sql } from 'kysely'
import { type Db, isPostgres } from '../db/index.ts'
import { messageOf } from '../kernel/errors.ts'
import {
  afterSql,
  type ExperimentId,
  experimentNumber,
  type Found,
  invalid,
  likeSql,
  nextPage,
  orderSql,
  readPageToken,
  type Search,
  type SortColumn,
} from '../tracking/index.ts'
import { correlationOf } from './decide/correlation.ts'
import { parseTraceFilter, parseTraceOrder, type TraceClause, type TraceColumn } from './decide/trace-filter.ts'
import { type TraceRow, traceStore } from './trace-store.ts'
import { type Correlation, type TraceInfo, traceMetadata, traceTags } from './traces.ts'

export type TraceSearch = Search & { experimentIds: readonly ExperimentId[] }

type Condition = RawBuilder<SqlBool>

/** Traces that match, newest first unless told otherwise; those without the ordered-by value come last. */
export async function searchTraces(db: Db, search: TraceSearch): Promise<Found<TraceInfo>> {
  const experiments = search.experimentIds.map(experimentNumber)
  const columns = sortOf(search.orderBy ?? [])
  const question = {
    of: 'traces',
    in: search.experimentIds,
    filter: search.filter ?? '',
    order: search.orderBy ?? [],
  }
  const after = readPageToken(question, search.pageToken, columns.length)
  const filter = parseTraceFilter(search.filter)
  if (experiments.length === 0) return { items: [] }
  const where = [...conditionsOf(db, filter, experiments), ...(after ? [afterSql(columns, after)] : [])]
  const selected = columns.map(({ expression }, index) => sql`${expression} as ${sql.ref(`s${index}`)}`)
  const { rows } = await asked(
    sql<TraceRow>`select t.*, ${sql.join(selected)} from traces t where ${sql.join(where, sql` and `)}
      order by ${orderSql(columns)} limit ${search.limit + 1}`.execute(db),
  )
  return {
    items: await traceStore.infos(db, rows.slice(0, search.limit)),
    ...nextPage(question, rows, search.limit, columns.length),
  }
}

/** How often two filters hold together, among the traces for which the base holds. */
export async function correlate(
  db: Db,
  question: { experimentIds: readonly ExperimentId[]; filter1: string; filter2: string; base?: string },
): Promise<Correlation> {
  const experiments = question.experimentIds.map(experimentNumber)
  const holds = (filter: string): Condition => {
    const parsed = parseTraceFilter(filter)
    return parsed.length === 0
      ? sql<SqlBool>`1 = 1`
      : sql<SqlBool>`(${sql.join(clausesSql(db, parsed, experiments), sql` and `)})`
  }
  const count = (condition: Condition) => sql<number>`coalesce(sum(case when ${condition} then 1 else 0 end), 0)`
  const [first, second] = [holds(question.filter1), holds(question.filter2)]
  const within = conditionsOf(db, parseTraceFilter(question.base), experiments)
  const { rows } = await asked(
    sql<{ total: number; first: number; second: number; joint: number }>`select count(*) as total,
      ${count(first)} as first, ${count(second)} as second, ${count(sql<SqlBool>`${first} and ${second}`)} as joint
      from traces t where ${sql.join(within, sql` and `)}`.execute(db),
  )
  const { total, first: one, second: two, joint } = rows[0]!
  return correlationOf({ total: Number(total), first: Number(one), second: Number(two), joint: Number(joint) })
}

/** PostgreSQL has its own notion of a pattern; one that only JavaScript understands is the asker's to mend. */
async function asked<T>(rows: Promise<T>): Promise<T> {
  try {
    return await rows
  } catch (error) {
    if ((error as { code?: string }).code !== '2201B') throw error
    throw invalid(`Invalid regular expression after RLIKE: ${messageOf(error)}`)
  }
}

function conditionsOf(db: Db, filter: readonly TraceClause[], experiments: readonly number[]): Condition[] {
  const scope =
    experiments.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`t.experiment_id in (${sql.join(experiments)})`
  return [scope, ...clausesSql(db, filter, experiments)]
}

/** Clauses about spans are all asked of one and the same span. */
function clausesSql(db: Db, filter: readonly TraceClause[], experiments: readonly number[]): Condition[] {
  const compare = comparing(isPostgres(db))
  const ofSpans = filter.flatMap((clause) => spanSql(clause, compare) ?? [])
  const others = filter.flatMap((clause) => clauseSql(clause, compare, experiments) ?? [])
  if (ofSpans.length === 0) return others
  return [
    ...others,
    sql<SqlBool>`exists (select 1 from trace_spans x where x.trace_id = t.trace_id and ${sql.join(ofSpans, sql` and `)})`,
  ]
}

type Value = string | number | readonly string[] | undefined
type Compare = (column: RawBuilder<unknown>, comparator: string, value: Value) => Condition

const comparing =
  (onPostgres: boolean): Compare =>
  (column, comparator, value) => {
    switch (comparator) {
      case 'IN':
      case 'NOT IN':
        return sql`${column} ${sql.raw(comparator)} (${sql.join(value as string[])})`
      case 'LIKE':
        return likeSql(column, value as string, false)
      case 'ILIKE':
        return likeSql(column, value as string, true)
      case 'RLIKE':
        return onPostgres ? sql`${column} ~ ${value}` : sql`${column} regexp ${value}`
      default:
        return sql`${column} ${sql.raw(comparator)} ${typeof value === 'number' ? numberSql(value) : value}`
    }
  }

/** A fraction, or more than 64 bits, is no value for an integer column on PostgreSQL. */
const numberSql = (value: number): RawBuilder<number> =>
  Number.isSafeInteger(value) ? sql`${value}` : sql`cast(${value} as double precision)`

const columnSql: Record<TraceColumn, RawBuilder<unknown>> = {
  trace_id: sql.ref('t.trace_id'),
  started_at: sql.ref('t.started_at'),
  duration_ms: sql.ref('t.duration_ms'),
  ended_at: sql`(t.started_at + coalesce(t.duration_ms, 0))`,
  state: sql.ref('t.state'),
  client_request_id: sql.ref('t.client_request_id'),
}

function clauseSql(clause: TraceClause, compare: Compare, experiments: readonly number[]): Condition | undefined {
  switch (clause.on) {
    case 'attribute':
      return compare(columnSql[clause.column], clause.comparator, clause.value)
    case 'tag':
      return clause.key === traceTags.name
        ? columnPairSql(sql.ref('t.name'), clause, compare)
        : pairSql('trace_tags', clause, compare)
    case 'metadata':
      return clause.key === traceMetadata.session
        ? columnPairSql(sql.ref('t.session_id'), clause, compare)
        : pairSql('trace_metadata', clause, compare)
    case 'run':
      return sql`(${linkedSql('run', clause.runId)} or exists (select 1 from trace_metadata p where p.trace_id = t.trace_id
        and p.key = ${traceMetadata.sourceRun} and p.value = ${clause.runId}))`
    case 'prompt':
      return linkedSql('prompt', clause.version)
    case 'issue':
      return sql`exists (select 1 from trace_assessments a where a.trace_id = t.trace_id and a.kind = 'issue'
        and a.name = ${clause.issueId})`
    case 'feedback':
    case 'expectation':
      return assessmentSql(clause, compare, experiments)
    default:
      return undefined
  }
}

const linkedSql = (kind: 'run' | 'prompt', target: string): Condition =>
  sql`exists (select 1 from trace_links l where l.trace_id = t.trace_id and l.kind = ${kind} and l.target = ${target})`

type Pair = { key: string; comparator: string; value: string | undefined }

function columnPairSql(column: RawBuilder<unknown>, { comparator, value }: Pair, compare: Compare): Condition {
  return comparator.startsWith('IS ') ? sql`${column} ${sql.raw(comparator)}` : compare(column, comparator, value)
}

function pairSql(
  table: 'trace_tags' | 'trace_metadata',
  { key, comparator, value }: Pair,
  compare: Compare,
): Condition {
  const own = sql`select 1 from ${sql.table(table)} p where p.trace_id = t.trace_id and p.key = ${key}`
  if (comparator === 'IS NULL') return sql`not exists (${own})`
  if (comparator === 'IS NOT NULL') return sql`exists (${own})`
  return sql`exists (${own} and ${compare(sql.ref('p.value'), comparator, value)})`
}

type AssessmentClause = Extract<TraceClause, { on: 'feedback' | 'expectation' }>

/** An assessment of a whole session holds for each trace of it. */
function assessmentSql(clause: AssessmentClause, compare: Compare, experiments: readonly number[]): Condition {
  const valid = sql`a.kind = ${clause.on} and a.name = ${clause.name} and a.valid = 1`
  const asked = clause.comparator.startsWith('IS ') ? valid : sql`${valid} and ${assessedSql(clause, compare)}`
  const own = sql`exists (select 1 from trace_assessments a where a.trace_id = t.trace_id and ${asked})`
  const ofSession = sql`(t.session_id is not null and t.session_id in (
    select s.session_id from traces s join trace_assessments a on a.trace_id = s.trace_id
    where s.session_id is not null and ${experiments.length === 0 ? sql`1 = 0` : sql`s.experiment_id in (${sql.join(experiments)})`}
    and a.metadata like ${`%"${traceMetadata.session}":%`} and ${asked}))`
  return clause.comparator === 'IS NULL' ? sql`not (${own} or ${ofSession})` : sql`(${own} or ${ofSession})`
}

/** Values are JSON: a text stands there in quotes, a number or a truth without. */
function assessedSql({ comparator, value }: AssessmentClause, compare: Compare): Condition {
  if (typeof value === 'number')
    return sql`(a.is_number = 1 and ${compare(sql.ref('a.number_value'), comparator, value)})`
  if (comparator !== '=' && comparator !== '!=') return compare(sql.ref('a.value'), comparator, value)
  const equal = sql<SqlBool>`a.value in (${value}, ${JSON.stringify(value)})`
  return comparator === '=' ? equal : sql`not ${equal}`
}

function spanSql(clause: TraceClause, compare: Compare): Condition | undefined {
  if (clause.on === 'span') return compare(sql.ref(`x.${clause.column}`), clause.comparator, clause.value)
  return clause.on === 'spanAttribute' ? spanAttributeSql(clause, compare) : undefined
}

type SpanAttributeClause = Extract<TraceClause, { on: 'spanAttribute' }>

/** Within a span's content an attribute stands as `"name":"<its JSON, escaped>"`. */
function spanAttributeSql({ attribute, comparator, value }: SpanAttributeClause, compare: Compare): Condition {
  const content = sql.ref('x.content')
  const key = JSON.stringify(attribute)
  switch (comparator) {
    case 'LIKE':
    case 'ILIKE':
      return compare(content, comparator, `%${key}${value as string}%`)
    case 'RLIKE':
      return compare(content, comparator, attributePattern(key, value as string))
    case '=':
    case 'IN':
      return sql`(${sql.join(
        [value].flat().map((one) => hasAttribute(key, one as string)),
        sql` or `,
      )})`
    default: {
      const equal = sql.join(
        [value].flat().map((one) => hasAttribute(key, one as string)),
        sql` or `,
      )
      return sql`(${content} like ${`%${likeText(`${key}:"`)}%`} escape '!' and not (${equal}))`
    }
  }
}

const hasAttribute = (key: string, value: string): Condition => {
  const json = [value, JSON.stringify(value)].map((text) => `%${likeText(`${key}:${JSON.stringify(text)}`)}%`)
  return sql`(x.content like ${json[0]} escape '!' or x.content like ${json[1]} escape '!')`
}

const likeText = (text: string): string => text.replace(/[!%_]/g, '!$&')

/** A pattern that is to match at the value's start or end, or anywhere in it, but not beyond it. */
function attributePattern(key: string, pattern: string): string {
  const start = pattern.startsWith('^')
  const end = pattern.endsWith('$') && !pattern.endsWith('\\$')
  const inner = pattern.slice(start ? 1 : 0, end ? -1 : undefined)
  const name = key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return `${name}:"(\\\\")?${start ? '' : '([^"\\\\]|\\\\.)*'}(${inner})${end ? '(\\\\")?"' : ''}`
}

/** Each term sorts by presence first, so that traces without the value come last in either direction. */
function sortOf(orderBy: readonly string[]): SortColumn[] {
  const columns: SortColumn[] = []
  const seen = new Set<string>()
  for (const { on, key, descending } of orderBy.map(parseTraceOrder)) {
    if (seen.has(`${on}.${key}`)) throw invalid(`\`order_by\` contains duplicate fields: ${JSON.stringify(orderBy)}`)
    seen.add(`${on}.${key}`)
    const value = sortValue(on, key)
    columns.push({ expression: sql`case when ${value} is null then 1 else 0 end`, descending: false })
    columns.push({ expression: value, descending })
  }
  if (!seen.has('attribute.started_at')) columns.push({ expression: sql.ref('t.started_at'), descending: true })
  if (!seen.has('attribute.trace_id')) columns.push({ expression: sql.ref('t.trace_id'), descending: false })
  return columns
}

function sortValue(on: 'attribute' | 'tag' | 'metadata', key: string): RawBuilder<unknown> {
  if (on === 'attribute') return columnSql[key as TraceColumn] ?? sql.ref('t.experiment_id')
  if (on === 'tag' && key === traceTags.name) return sql.ref('t.name')
  if (on === 'metadata' && key === traceMetadata.session) return sql.ref('t.session_id')
  return sql`(select o.value from ${sql.table(on === 'tag' ? 'trace_tags' : 'trace_metadata')} o
    where o.trace_id = t.trace_id and o.key = ${key})`
}
