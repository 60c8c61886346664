import { type Selectable, sql } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { EvaluationTables } from '../db/tables/evaluations.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import {
  afterSql,
  compareSql,
  type ExperimentId,
  experimentNumber,
  type Found,
  nextPage,
  orderSql,
  readPageToken,
} from '../tracking/index.ts'
import { issueFilter } from './decide/issue-search.ts'
import {
  type Issue,
  type IssueChange,
  type IssueSeverity,
  type IssueStatus,
  issueSeverities,
  type NewIssue,
} from './evaluations.ts'

type Row = Selectable<EvaluationTables['issues']>

export type IssueSearch = {
  experimentId?: ExperimentId
  filter?: string
  /** Tells of each issue how many traces have it, and sorts by that after gravity. */
  countTraces?: boolean
  limit: number
  pageToken?: string
}

/** Problems that were found in an experiment's traces. */
export const issueStore = {
  async create(tx: Tx, issue: NewIssue, now: EpochMs): Promise<string> {
    const issueId = `iss-${newHexId(now)}`
    await tx
      .insertInto('issues')
      .values({
        issue_id: issueId,
        experiment_id: experimentNumber(issue.experimentId),
        name: issue.name,
        description: issue.description,
        status: issue.status ?? 'pending',
        severity: issue.severity ?? null,
        root_causes: listText(issue.rootCauses),
        categories: listText(issue.categories),
        source_run_id: issue.sourceRunId ?? null,
        created_at: now,
        updated_at: now,
        created_by: issue.createdBy ?? null,
      })
      .execute()
    return issueId
  },

  /** Throws NotFound. */
  async byId(db: Db, issueId: string): Promise<Issue> {
    const row = await db.selectFrom('issues').selectAll().where('issue_id', '=', issueId).executeTakeFirst()
    if (!row)
      throw new AppError('NotFound', `Issue with ID '${issueId}' not found`, 'Search issues to see which there are.')
    return issueFrom(row)
  },

  /** Throws NotFound. */
  async update(tx: Tx, issueId: string, change: IssueChange, now: EpochMs): Promise<void> {
    await this.byId(tx, issueId)
    await tx
      .updateTable('issues')
      .set({ ...change, updated_at: now })
      .where('issue_id', '=', issueId)
      .execute()
  },

  /** The gravest first, then the newest. */
  async search(db: Db, search: IssueSearch): Promise<Found<Issue>> {
    const counted = search.countTraces ?? false
    const question = { of: 'issues', in: search.experimentId ?? '', filter: search.filter ?? '', counted }
    const order = [gravest, ...(counted ? [mostTraces] : []), ...newestFirst]
    const after = readPageToken(question, search.pageToken, order.length)
    let query = db
      .selectFrom('issues as i')
      .leftJoin(traceCounts(db, counted), 'c.name', 'i.issue_id')
      .selectAll('i')
      .select(sql<number>`coalesce(c.traces, 0)`.as('traces'))
      .select(order.map((column, index) => sql<string | number>`${column.expression}`.as(`s${index}`)))
      .orderBy(orderSql(order))
      .limit(search.limit + 1)
    if (search.experimentId !== undefined)
      query = query.where('i.experiment_id', '=', experimentNumber(search.experimentId))
    for (const clause of issueFilter(search.filter)) query = query.where(compareSql(sql.ref(`i.${clause.key}`), clause))
    if (after) query = query.where(afterSql(order, after))
    const rows = await query.execute()
    const items = rows
      .slice(0, search.limit)
      .map((row) => ({ ...issueFrom(row), ...(counted ? { traceCount: Number(row.traces) } : {}) }))
    return { items, ...nextPage(question, rows, search.limit, order.length) }
  },
}

const gravity = sql`case i.severity ${sql.join(
  issueSeverities.map((severity, rank) => sql`when ${sql.lit(severity)} then ${sql.lit(rank)}`),
  sql` `,
)} else -1 end`

const gravest = { expression: gravity, descending: true }
const mostTraces = { expression: sql`coalesce(c.traces, 0)`, descending: true }
const newestFirst = [
  { expression: sql.ref('i.created_at'), descending: true },
  { expression: sql.ref('i.issue_id'), descending: true },
]

/** An issue is said of a trace by an assessment that has the issue's id for a name. Of no use, it looks at none. */
const traceCounts = (db: Db, counted: boolean) =>
  db
    .selectFrom('trace_assessments as a')
    .where('a.kind', '=', counted ? 'issue' : '')
    .groupBy('a.name')
    .select((e) => ['a.name', e.fn.count<number>('a.trace_id').distinct().as('traces')])
    .as('c')

const listText = (list: readonly string[] | undefined): string | null => (list?.length ? JSON.stringify(list) : null)

const issueFrom = (row: Row): Issue => ({
  issueId: row.issue_id,
  experimentId: String(row.experiment_id),
  name: row.name,
  description: row.description,
  status: row.status as IssueStatus,
  severity: (row.severity as IssueSeverity | null) ?? undefined,
  rootCauses: JSON.parse(row.root_causes ?? '[]') as string[],
  categories: JSON.parse(row.categories ?? '[]') as string[],
  sourceRunId: row.source_run_id ?? undefined,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  createdBy: row.created_by ?? undefined,
})
