import { type RawBuilder, type SqlBool, sql } from 'kysely'
import { type Db, isOneOf } from '../db/index.ts'
import { completeRuns } from './complete-runs.ts'
import { parseFilter } from './decide/search-filter.ts'
import { experimentNumber, nextPage } from './experiment-store.ts'
import { type RunClause, type RunOrder, runClauseSql, runGrammar, runOrder } from './run-conditions.ts'
import type { RunRow } from './run-store.ts'
import { afterSql, compareSql, orderSql, readPageToken } from './search-sql.ts'
import type { ExperimentId, Found, LifecycleView, Run, Search } from './tracking.ts'

export type RunSearch = Search & { experimentIds: readonly ExperimentId[]; view?: LifecycleView }

/** One row more than the page needs, each with its sort columns as s0, s1, …. */
type Rows = RunRow[]

type Question = {
  /** Runs of one experiment and one lifecycle stage stand in the database in the order of time. */
  shelves: { experiment: number; lifecycle: 'active' | 'deleted' }[]
  clauses: readonly RunClause[]
  order: RunOrder
  after: unknown[] | undefined
  rows: number
}

/** So few runs are read and sorted one by one; where more match, an index is walked in the order that was asked for. */
const fewRuns = 1000
/** More experiments than this are sorted together: a walk through each would cost more. */
const mostShelves = 40

/**
 * Runs that match, newest first unless told otherwise; runs without the ordered-by value come last, NaN before them.
 * Three ways to the same rows: by the few runs that one clause leaves; along an index in the asked order, until the page is full;
 * or all runs of the experiments, sorted.
 */
export async function searchRuns(db: Db, search: RunSearch): Promise<Found<Run>> {
  if (search.experimentIds.length === 0) return { items: [] }
  const view = search.view ?? 'active'
  const asked = {
    of: 'runs',
    in: search.experimentIds,
    filter: search.filter ?? '',
    order: search.orderBy ?? [],
    view,
  }
  const order = runOrder(search.orderBy ?? [])
  const experiments = [...new Set(search.experimentIds.map(experimentNumber))]
  const question: Question = {
    shelves: experiments.flatMap((experiment) =>
      (view === 'all' ? (['active', 'deleted'] as const) : [view]).map((lifecycle) => ({ experiment, lifecycle })),
    ),
    clauses: parseFilter(search.filter, runGrammar),
    order,
    after: readPageToken(asked, search.pageToken, order.columns.length),
    rows: search.limit + 1,
  }
  const rows = await find(db, question)
  return {
    items: await completeRuns(db, rows.slice(0, search.limit)),
    ...nextPage(asked, rows, search.limit, order.columns.length),
  }
}

async function find(db: Db, question: Question): Promise<Rows> {
  const few = await fewMatching(db, question)
  if (few) return few.length === 0 ? [] : sorted(db, question, [isOneOf(db, sql.ref('r.run_key'), few)])
  if (question.shelves.length > mostShelves) return sorted(db, question)
  if (question.order.walk === 'time') return along(question, (shelf) => byTime(db, question, shelf))
  if (question.order.walk === 'metric') return byMetric(db, question)
  return sorted(db, question)
}

// By the few runs that one clause leaves

/** The runs that the most selective clause leaves, where these are few; probing reads no more than that many rows of an index. */
async function fewMatching(db: Db, { shelves, clauses }: Question): Promise<number[] | undefined> {
  let fewest: number[] | undefined
  const experiments = [...new Set(shelves.map((shelf) => shelf.experiment))]
  for (const clause of clauses) {
    const probe = probeOf(db, clause, experiments)
    if (!probe) continue
    const { rows } = await sql<{ run_key: number }>`${probe} limit ${fewRuns + 1}`.execute(db)
    if (rows.length <= fewRuns && rows.length < (fewest?.length ?? Number.POSITIVE_INFINITY))
      fewest = rows.map((row) => row.run_key)
    if (fewest?.length === 0) break
  }
  return fewest
}

function probeOf(db: Db, clause: RunClause, experiments: number[]): RawBuilder<unknown> | undefined {
  const { comparator, key, value } = clause
  const inExperiments = isOneOf(db, sql.ref('x.experiment_id'), experiments)
  if (clause.type === 'parameter' || clause.type === 'tag') {
    if (comparator !== '=') return undefined
    return sql`select x.run_key from ${sql.table(clause.type === 'tag' ? 'run_tags' : 'run_params')} x
      where ${inExperiments} and x.key = ${key} and ${startsAs(String(value))} and x.value = ${value}`
  }
  if (clause.type === 'metric') {
    if (comparator === '!=') return undefined
    return sql`select x.run_key from metric_series x
      where ${inExperiments} and x.key = ${key} and x.is_nan = 0 and ${compareSql(sql.ref('x.value'), clause)}`
  }
  if (clause.type !== 'attribute') return undefined
  const isName = key === 'name' && comparator === '='
  if (!isName && !(key === 'run_id' && (comparator === '=' || comparator === 'IN'))) return undefined
  return sql`select x.run_key from runs x where ${isName ? sql`${inExperiments} and` : sql``}
    ${compareSql(sql.ref(`x.${key}`), clause)}`
}

/** Indexes hold the beginning of a value; the migration writes the same expression. */
const startsAs = (value: string) => sql`substr(x.value, 1, 100) = substr(${value}, 1, 100)`

// Along an index

/** The shelves' own first rows, merged. */
async function along(question: Question, walk: (shelf: Question['shelves'][number]) => Promise<Rows>): Promise<Rows> {
  const parts: Rows[] = []
  for (const shelf of question.shelves) parts.push(await walk(shelf))
  if (parts.length === 1) return parts[0]!
  return parts.flat().sort(question.order.compare).slice(0, question.rows)
}

async function byTime(db: Db, question: Question, shelf: Question['shelves'][number]): Promise<Rows> {
  const { order, after } = question
  const { rows } = await sql<RunRow>`select r.*, ${selected(order)} from runs r
    where r.experiment_id = ${shelf.experiment} and r.lifecycle_stage = ${shelf.lifecycle}
    ${after ? sql`and r.started_at <= ${after[order.columns.length - 2]}` : sql``}
    ${further(question)} order by ${orderSql(order.columns)} limit ${question.rows}`.execute(db)
  return rows
}

/** First the runs that have the number, along its index; then, where the filter lets them in, those with NaN and those without. */
async function byMetric(db: Db, question: Question): Promise<Rows> {
  const { order, after, clauses } = question
  const isPastNumbers = after !== undefined && after[0] !== 0
  const rows = isPastNumbers ? [] : await along(question, (shelf) => byNumber(db, question, shelf))
  const key = order.metric!.key
  const needsNumber = clauses.some(
    (clause) => clause.type === 'metric' && clause.key === key && clause.comparator !== '!=',
  )
  if (rows.length >= question.rows || needsNumber) return rows
  const rest = await sorted(db, { ...question, rows: question.rows - rows.length }, [
    sql<SqlBool>`${order.columns[0]!.expression} > 0`,
  ])
  return [...rows, ...rest]
}

async function byNumber(db: Db, question: Question, shelf: Question['shelves'][number]): Promise<Rows> {
  const { order, after, clauses } = question
  const { key, descending } = order.metric!
  const bounds = clauses
    .filter((clause) => clause.type === 'metric' && clause.key === key && clause.comparator !== '!=')
    .map((clause) => sql`and ${compareSql(sql.ref('o0.value'), clause)}`)
  const { rows } = await sql<RunRow>`select r.*, ${selected(order)}
    from metric_series as o0 cross join runs r
    where o0.experiment_id = ${shelf.experiment} and o0.key = ${key} and o0.is_nan = 0 ${sql.join(bounds, sql` `)}
      and r.run_key = o0.run_key and r.lifecycle_stage = ${shelf.lifecycle}
    ${after ? sql`and o0.value ${sql.raw(descending ? '<=' : '>=')} ${after[1]}` : sql``}
    ${further(question)}
    order by o0.value ${sql.raw(descending ? 'desc' : 'asc')}, ${orderSql(order.columns.slice(2))}
    limit ${question.rows}`.execute(db)
  return rows
}

// All of them, sorted

async function sorted(db: Db, question: Question, conditions: readonly RawBuilder<SqlBool>[] = []): Promise<Rows> {
  const { shelves, order } = question
  const experiments = isOneOf(db, sql.ref('r.experiment_id'), [...new Set(shelves.map((shelf) => shelf.experiment))])
  const lifecycles = sql.join([...new Set(shelves.map((shelf) => shelf.lifecycle))])
  const { rows } = await sql<RunRow>`select r.*, ${selected(order)} from runs r ${sql.join(order.joins, sql` `)}
    where ${experiments} and r.lifecycle_stage in (${lifecycles})
    ${sql.join(
      conditions.map((condition) => sql`and ${condition}`),
      sql` `,
    )}
    ${further(question)} order by ${orderSql(order.columns)} limit ${question.rows}`.execute(db)
  return rows
}

const selected = ({ columns }: RunOrder) =>
  sql.join(columns.map(({ expression }, index) => sql`${expression} as ${sql.ref(`s${index}`)}`))

/** The clauses, and what sorts after the last row of the page before. */
const further = ({ clauses, order, after }: Question) =>
  sql.join(
    [...clauses.map(runClauseSql), ...(after ? [afterSql(order.columns, after)] : [])].map(
      (condition) => sql`and ${condition}`,
    ),
    sql` `,
  )
