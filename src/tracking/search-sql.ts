import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Visible } from '../access/index.ts'
import { canonicalJson, digestOf } from '../kernel/digest.ts'
import { invalid } from './decide/limits.ts'
import type { Clause } from './decide/search-filter.ts'

/** One clause's comparison of a column with a bound value. LIKE is case-sensitive, as on MLflow's own databases. */
export function compareSql(
  column: Expression<unknown>,
  clause: Pick<Clause, 'comparator' | 'value'>,
): RawBuilder<SqlBool> {
  const { comparator, value } = clause
  switch (comparator) {
    case 'IN':
    case 'NOT IN':
      return sql`${column} ${sql.raw(comparator)} (${sql.join(value as string[])})`
    case 'IS NULL':
    case 'IS NOT NULL':
      return sql`${column} ${sql.raw(comparator)}`
    case 'LIKE':
      return likeSql(column, value as string, false)
    case 'ILIKE':
      return likeSql(column, value as string, true)
    default:
      return sql`${column} ${sql.raw(comparator.toLowerCase())} ${typeof value === 'number' ? numberSql(value) : value}`
  }
}

/**
 * A backslash in the pattern is a character like others, as MLflow's databases have it: PostgreSQL would take it as an escape, and
 * fails on one at the end.
 */
export function likeSql(column: Expression<unknown>, pattern: string, anyCase: boolean): RawBuilder<SqlBool> {
  const escaping = pattern.includes('\\')
  const text = escaping ? pattern.replaceAll('!', '!!') : pattern
  const like = anyCase ? sql<SqlBool>`lower(${column}) like lower(${text})` : sql<SqlBool>`${column} like ${text}`
  return escaping ? sql`${like} escape '!'` : like
}

/** PostgreSQL takes a parameter for the column's own type, and a fraction is no bigint. */
const numberSql = (value: number): RawBuilder<number> =>
  Number.isSafeInteger(value) ? sql`${value}` : sql`cast(${value} as double precision)`

/** One column of an order, as it is compared: later pages ask for what sorts after the last row. */
export type SortColumn = { expression: Expression<unknown>; descending: boolean }

/** (a, b, c) after (x, y, z), each column in its own direction: a > x or (a = x and b > y) or …; a NULL equals a NULL. */
export function afterSql(columns: readonly SortColumn[], last: readonly unknown[]): RawBuilder<SqlBool> {
  const alternatives = columns.map(({ expression, descending }, index) => {
    const equal = columns.slice(0, index).map((column, i) => sql`${column.expression} is not distinct from ${last[i]}`)
    return sql`(${sql.join([...equal, sql`${expression} ${sql.raw(descending ? '<' : '>')} ${last[index]}`], sql` and `)})`
  })
  return sql`(${sql.join(alternatives, sql` or `)})`
}

export const orderSql = (columns: readonly SortColumn[]): RawBuilder<unknown> =>
  sql.join(columns.map(({ expression, descending }) => sql`${expression} ${sql.raw(descending ? 'desc' : 'asc')}`))

/** A token names the last row of its page and the question that it belongs to. Clients pass it back unread. */
export function pageTokenFor(question: unknown, last: readonly unknown[]): string {
  return Buffer.from(JSON.stringify({ q: shortHash(question), k: last })).toString('base64url')
}

/** Throws BadRequest for a token that is none, or that came with another question. */
export function readPageToken(question: unknown, token: string | undefined, columns: number): unknown[] | undefined {
  if (!token) return undefined
  const { q, k } = decoded(token)
  if (q !== shortHash(question) || !Array.isArray(k) || k.length !== columns)
    throw invalid('Invalid page token: it belongs to another search')
  return k.map((value: unknown) => (typeof value === 'string' || typeof value === 'number' ? value : null))
}

function decoded(token: string): { q?: unknown; k?: unknown } {
  try {
    return Object(JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))) as { q?: unknown; k?: unknown }
  } catch {
    throw invalid('Invalid page token, could not base64-decode')
  }
}

const shortHash = (question: unknown): string => digestOf(canonicalJson(question)).slice(7, 23)

/** What whoever asks may see, as a condition on the column that names it; undefined where that is everything. */
export function visibleSql(column: RawBuilder<unknown>, visible: Visible<string | number> | undefined) {
  if (visible === undefined) return undefined
  const isAllowed = 'only' in visible
  const named = isAllowed ? visible.only : visible.except
  if (named.length === 0) return isAllowed ? sql<SqlBool>`1 = 0` : undefined
  return isAllowed
    ? sql<SqlBool>`${column} in (${sql.join(named)})`
    : sql<SqlBool>`${column} not in (${sql.join(named)})`
}
