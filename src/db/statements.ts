import { CompiledQuery, type RawBuilder, sql } from 'kysely'
import { isPostgres } from './dialects/postgres.ts'
import type { Db } from './handle.ts'
import type { ArrayQuery } from './row-mode.ts'
import { atOnceAfterInput } from './turns.ts'

type ColumnType = 'bigint' | 'double precision' | 'text'
type Value = string | number | null

const mostRows = 200
const sizes = [mostRows, 100, 50, 20, 10, 5, 2, 1]

/**
 * Inserts of many rows on a hot path. The statement's text is made once, so that neither a query builder nor the database's parser
 * works again for each call: on SQLite some fixed numbers of rows, on PostgreSQL one array a column.
 * `then` follows the values: `on conflict … returning …`. Rows must not conflict with each other.
 */
export function insertStatement<R = unknown>(table: string, columns: Record<string, ColumnType>, then: string) {
  const names = Object.keys(columns)
  const types = Object.values(columns)
  const head = `insert into ${table} (${names.join(', ')})`
  const arrays = types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')
  const onPostgres = `${head} select * from unnest(${arrays}) ${then}`
  const one = `(${names.map(() => '?').join(', ')})`
  const onSqlite = new Map(
    sizes.map((size) => [size, `${head} values ${Array.from({ length: size }, () => one).join(', ')} ${then}`]),
  )
  return async (db: Db, rows: readonly (readonly Value[])[]): Promise<{ rows: R[]; count: number }> => {
    if (rows.length === 0) return { rows: [], count: 0 }
    if (isPostgres(db))
      return told(
        await run<R>(
          db,
          onPostgres,
          names.map((_, column) => rows.map((row) => row[column]!)),
        ),
      )
    const all: { rows: R[]; count: number } = { rows: [], count: 0 }
    for (let from = 0; from < rows.length; ) {
      // Who only reads is not kept waiting for all of a thousand rows.
      if (from > 0 && from % mostRows === 0) await atOnceAfterInput()
      const size = sizes.find((each) => each <= rows.length - from)!
      const part = told(await run<R>(db, onSqlite.get(size)!, rows.slice(from, from + size).flat()))
      all.rows.push(...part.rows)
      all.count += part.count
      from += size
    }
    return all
  }
}

/** A statement whose text never changes, with `?` for its values. */
export function statement<R>(text: string) {
  let index = 0
  const onPostgres = text.replace(/\?/g, () => `$${++index}`)
  return async (db: Db, values: readonly Value[]): Promise<R[]> =>
    (await run<R>(db, isPostgres(db) ? onPostgres : text, values)).rows
}

/** `column in (…)` of any number of values as one parameter, so that the text stays the same. */
export function isOneOf(
  db: Db,
  column: RawBuilder<unknown>,
  values: readonly (string | number)[],
): RawBuilder<boolean> {
  // Of no values the type would be unknown.
  if (values.length === 0) return sql`1 = 0`
  if (!isPostgres(db)) return sql`${column} in (select value from json_each(${JSON.stringify(values)}))`
  return typeof values[0] === 'number'
    ? sql`${column} = any(${values}::bigint[])`
    : sql`${column} = any(${values}::text[])`
}

/** The rows as arrays, in the columns' order: for answers of thousands of rows, which objects take twice as long to be made of. */
export async function arraysOf<Row extends readonly unknown[]>(db: Db, question: RawBuilder<unknown>): Promise<Row[]> {
  const query: ArrayQuery = { ...question.compile(db), rowMode: 'array' }
  return (await db.executeQuery<Row>(query)).rows
}

/**
 * Deletes at most `limit` of the rows and gives how many those were, so that no statement holds the database for long.
 * `key`: the columns of the table's primary key.
 */
export async function deleteSome(
  db: Db,
  table: string,
  { key, where, limit }: { key: readonly string[]; where: RawBuilder<unknown>; limit: number },
): Promise<number> {
  const columns = sql.join(key.map((column) => sql.ref(column)))
  const result = await sql`delete from ${sql.table(table)} where (${columns}) in
    (select ${columns} from ${sql.table(table)} where ${where} limit ${limit})`.execute(db)
  return Number(result.numAffectedRows ?? 0)
}

/** As `deleteSome`, through several tables in their order: what one leaves of the limit is the next one's. */
export async function deleteSomeOf(
  db: Db,
  tables: readonly { table: string; key: readonly string[]; where: RawBuilder<unknown> }[],
  limit: number,
): Promise<number> {
  let deleted = 0
  for (const { table, key, where } of tables) {
    if (deleted === limit) break
    deleted += await deleteSome(db, table, { key, where, limit: limit - deleted })
  }
  return deleted
}

const run = <R>(db: Db, text: string, values: readonly unknown[]) =>
  db.executeQuery<R>(CompiledQuery.raw(text, [...values]))

const told = <R>(result: { rows: R[]; numAffectedRows?: bigint }) => ({
  rows: result.rows,
  count: Number(result.numAffectedRows ?? result.rows.length),
})
