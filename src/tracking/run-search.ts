import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Db } from '../db/index.ts'
import { invalid } from './decide/limits.ts'
import { type Clause, type Grammar, parseFilter, parseOrderTerm } from './decide/search-filter.ts'
import { experimentNumber, nextPage } from './experiment-store.ts'
import { type RunRow, runStore } from './run-store.ts'
import { afterSql, compareSql, orderSql, readPageToken, type SortColumn } from './search-sql.ts'
import type { ExperimentId, Found, LifecycleView, Run, Search } from './tracking.ts'

export type RunSearch = Search & { experimentIds: readonly ExperimentId[]; view?: LifecycleView }

type RunClauseType = 'metric' | 'parameter' | 'tag' | 'dataset'
type RunClause = Clause<RunClauseType | 'attribute'>

const spelled = <T extends string>(type: T, ...spellings: string[]): Record<string, T> =>
  Object.fromEntries(spellings.map((spelling) => [spelling, type])) as Record<string, T>

const text = (name: string) => ({ name, value: 'text' as const })
const number = (name: string) => ({ name, value: 'number' as const })

const runGrammar: Grammar<RunClauseType> = {
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

/** Runs that match, newest first unless told otherwise; runs without the ordered-by value come last, NaN before them. */
export async function searchRuns(db: Db, search: RunSearch): Promise<Found<Run>> {
  if (search.experimentIds.length === 0) return { items: [] }
  const view = search.view ?? 'active'
  const { columns, joins } = sortOf(search.orderBy ?? [])
  const question = {
    of: 'runs',
    in: search.experimentIds,
    filter: search.filter ?? '',
    order: search.orderBy ?? [],
    view,
  }
  const after = readPageToken(question, search.pageToken, columns.length)
  const conditions = [
    sql<SqlBool>`r.experiment_id in (${sql.join(search.experimentIds.map(experimentNumber))})`,
    ...(view === 'all' ? [] : [sql<SqlBool>`r.lifecycle_stage = ${view}`]),
    ...parseFilter(search.filter, runGrammar).map(clauseSql),
    ...(after ? [afterSql(columns, after)] : []),
  ]
  const selected = columns.map(({ expression }, index) => sql`${expression} as ${sql.ref(`s${index}`)}`)
  const { rows } = await sql<RunRow>`select r.*, ${sql.join(selected)} from runs r ${sql.join(joins, sql` `)}
    where ${sql.join(conditions, sql` and `)} order by ${orderSql(columns)} limit ${search.limit + 1}`.execute(db)
  return {
    items: await runStore.complete(db, rows.slice(0, search.limit)),
    ...nextPage(question, rows, search.limit, columns.length),
  }
}

function clauseSql(clause: RunClause): RawBuilder<SqlBool> {
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

/** Each term sorts by presence first, so that runs without the value come last in either direction. */
function sortOf(orderBy: readonly string[]): { columns: SortColumn[]; joins: RawBuilder<unknown>[] } {
  const terms = orderBy.map((term) => parseOrderTerm(term, runGrammar))
  const columns: SortColumn[] = []
  const joins: RawBuilder<unknown>[] = []
  const seen = new Set<string>()
  for (const [index, { type, key, descending }] of terms.entries()) {
    if (seen.has(`${type}.${key}`)) throw invalid(`\`order_by\` contains duplicate fields: ${JSON.stringify(orderBy)}`)
    seen.add(`${type}.${key}`)
    if (type === 'dataset') throw invalid(`Invalid identifier type '${type}'`)
    const value = type === 'attribute' ? sql.ref(`r.${key}`) : sql.ref(`o${index}.value`)
    if (type !== 'attribute')
      joins.push(
        sql`left join ${sql.table(joinedTable[type])} as ${sql.ref(`o${index}`)}
          on ${sql.ref(`o${index}.run_key`)} = r.run_key and ${sql.ref(`o${index}.key`)} = ${key}`,
      )
    const presence =
      type === 'metric'
        ? sql`case when ${sql.ref(`o${index}.is_nan`)} = 1 then 1 when ${value} is null then 2 else 0 end`
        : sql`case when ${value} is null then 1 else 0 end`
    columns.push({ expression: presence, descending: false }, { expression: value, descending })
  }
  if (!seen.has('attribute.started_at')) columns.push({ expression: sql.ref('r.started_at'), descending: true })
  columns.push({ expression: sql.ref('r.run_id'), descending: false })
  return { columns, joins }
}
