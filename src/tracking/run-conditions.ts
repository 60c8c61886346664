import { type RawBuilder, type SqlBool, sql } from 'kysely'
import { pythonList } from '../kernel/python-text.ts'
import { invalid } from './decide/limits.ts'
import { type Clause, type Grammar, parseOrder } from './decide/search-filter.ts'
import { compareSql, type SortColumn } from './search-sql.ts'

export type RunClauseType = 'metric' | 'parameter' | 'tag' | 'dataset'
export type RunClause = Clause<RunClauseType | 'attribute'>

const spelled = <T extends string>(type: T, ...spellings: string[]): Record<string, T> =>
  Object.fromEntries(spellings.map((spelling) => [spelling, type])) as Record<string, T>

const text = (name: string) => ({ name, value: 'text' as const })
const number = (name: string) => ({ name, value: 'number' as const })

export const runGrammar: Grammar<RunClauseType> = {
  types: {
    ...spelled('metric', 'metric', 'metrics'),
    ...spelled('parameter', 'parameter', 'parameters', 'param', 'params'),
    ...spelled('tag', 'tag', 'tags'),
    ...spelled('attribute', 'attribute', 'attributes', 'attr', 'run'),
    ...spelled('dataset', 'dataset', 'datasets'),
  },
  attributes: {
    run_id: text('run_id'),
    run_name: text('name'),
    'run name': text('name'),
    'Run name': text('name'),
    'Run Name': text('name'),
    status: text('status'),
    user_id: text('user_id'),
    artifact_uri: text('artifact_uri'),
    start_time: number('started_at'),
    created: number('started_at'),
    Created: number('started_at'),
    end_time: number('ended_at'),
  },
  keys: { dataset: ['name', 'digest', 'context'] },
  lists: ['run_id', 'dataset'],
  nullable: ['tag', 'parameter'],
  numeric: ['metric'],
}

/** A clause as a condition on `runs r`. */
export function runClauseSql(clause: RunClause): RawBuilder<SqlBool> {
  switch (clause.type) {
    case 'attribute':
      return compareSql(sql.ref(`r.${clause.key}`), clause)
    case 'metric':
      return metricSql(clause)
    case 'parameter':
      return pairSql('run_params', clause)
    case 'tag':
      return pairSql('run_tags', clause)
    case 'dataset':
      return datasetSql(clause)
  }
}

/** NaN equals and orders with nothing, so of the comparators only != holds. */
function metricSql(clause: RunClause): RawBuilder<SqlBool> {
  const compared = compareSql(sql.ref('m.value'), clause)
  const holds = clause.comparator === '!=' ? sql`(${compared} or m.is_nan = 1)` : sql`(${compared} and m.is_nan = 0)`
  return sql`exists (select 1 from metric_series m where m.run_key = r.run_key and m.key = ${clause.key} and ${holds})`
}

function pairSql(table: 'run_params' | 'run_tags', clause: RunClause): RawBuilder<SqlBool> {
  const own = sql`select 1 from ${sql.table(table)} p where p.run_key = r.run_key and p.key = ${clause.key}`
  if (clause.comparator === 'IS NULL') return sql`not exists (${own})`
  if (clause.comparator === 'IS NOT NULL') return sql`exists (${own})`
  return sql`exists (${own} and ${compareSql(sql.ref('p.value'), clause)})`
}

function datasetSql(clause: RunClause): RawBuilder<SqlBool> {
  if (clause.key === 'context')
    return sql`exists (select 1 from run_input_tags t where t.run_key = r.run_key and t.key = 'mlflow.data.context'
      and ${compareSql(sql.ref('t.value'), clause)})`
  return sql`exists (select 1 from run_inputs i join input_datasets d on d.id = i.dataset_id where i.run_key = r.run_key
    and ${compareSql(sql.ref(`d.${clause.key}`), clause)})`
}

const joinedTable = { metric: 'metric_series', parameter: 'run_params', tag: 'run_tags' } as const

/** Attributes that every run has. */
const alwaysThere = new Set(['run_id', 'name', 'status', 'user_id', 'artifact_uri', 'started_at'])

export type RunOrder = {
  columns: SortColumn[]
  joins: RawBuilder<unknown>[]
  /** The index that stands in this order, if one does. */
  walk: 'time' | 'metric' | undefined
  /** What is walked along where that is a metric. */
  metric: { key: string; descending: boolean } | undefined
  /** The same order for rows that carry their sort columns as s0, s1, …. */
  compare: (a: object, b: object) => number
}

/**
 * Each term sorts by presence first, so that runs without the value come last in either direction; then by time, newest first, and
 * by id.
 */
export function runOrder(orderBy: readonly string[]): RunOrder {
  const terms = parseOrder(orderBy, runGrammar)
  const columns: SortColumn[] = []
  const joins: RawBuilder<unknown>[] = []
  const seen = new Set<string>()
  for (const [index, { type, key, descending }] of terms.entries()) {
    if (seen.has(`${type}.${key}`)) throw invalid(`\`order_by\` contains duplicate fields: ${pythonList(orderBy)}`)
    seen.add(`${type}.${key}`)
    if (type === 'dataset') throw invalid(`Invalid identifier type '${type}'`)
    const value = type === 'attribute' ? sql.ref(`r.${key}`) : sql.ref(`o${index}.value`)
    if (type !== 'attribute')
      joins.push(
        sql`left join ${sql.table(joinedTable[type])} as ${sql.ref(`o${index}`)}
          on ${sql.ref(`o${index}.run_key`)} = r.run_key and ${sql.ref(`o${index}.key`)} = ${key}`,
      )
    if (type === 'metric')
      columns.push({
        expression: sql`case when ${sql.ref(`o${index}.is_nan`)} = 1 then 1 when ${value} is null then 2 else 0 end`,
        descending: false,
      })
    else if (type !== 'attribute' || !alwaysThere.has(key))
      columns.push({ expression: sql`case when ${value} is null then 1 else 0 end`, descending: false })
    columns.push({ expression: value, descending })
  }
  if (!seen.has('attribute.started_at')) columns.push({ expression: sql.ref('r.started_at'), descending: true })
  if (!seen.has('attribute.run_id')) columns.push({ expression: sql.ref('r.run_id'), descending: false })
  const [first] = terms
  const byTime = first === undefined || (first.type === 'attribute' && first.key === 'started_at' && first.descending)
  const isOne = terms.length <= 1
  return {
    columns,
    joins,
    walk: !isOne ? undefined : byTime ? 'time' : first.type === 'metric' ? 'metric' : undefined,
    metric: first?.type === 'metric' ? first : undefined,
    compare: (a, b) => compareRows(columns, a as Record<string, never>, b as Record<string, never>),
  }
}

function compareRows(columns: readonly SortColumn[], a: Record<string, never>, b: Record<string, never>): number {
  for (const [index, { descending }] of columns.entries()) {
    const [x, y] = [a[`s${index}`]!, b[`s${index}`]!]
    if (x !== y) return x < y === descending ? 1 : -1
  }
  return 0
}
