import { Kysely, sql, type Transaction } from 'kysely'
import { AppError, isAppError } from '../kernel/errors.ts'
import { NodeSqliteDialect } from './dialects/node-sqlite.ts'
import { migrate } from './migrate.ts'
import type { Tables } from './tables.ts'

export type Db = Kysely<Tables>
export type Tx = Transaction<Tables>

/** Opens the embedded database (a file path, or `:memory:`) and brings its schema to this version. */
export async function openDatabase(path: string): Promise<Db> {
  const db: Db = new Kysely<Tables>({ dialect: new NodeSqliteDialect(path) })
  await migrate(db)
  return db
}

/**
 * One transaction. `durable` writes survive a power loss (registrations, promotions, approvals, audit); the others survive
 * any death of the process. Inside, await nothing but queries: the connection is held.
 */
export async function transact<T>(
  db: Db,
  work: (tx: Tx) => Promise<T>,
  options: { durable?: boolean } = {},
): Promise<T> {
  const result = await inTransaction(db, work, options)
  for (const listener of commitListeners.get(db) ?? []) listener()
  return result
}

const commitListeners = new WeakMap<Db, Set<() => void>>()

/** Calls after each committed transaction of this process: what waits for news looks at once instead of at the next turn. */
export function onCommit(db: Db, listener: () => void): void {
  const listeners = commitListeners.get(db) ?? new Set()
  commitListeners.set(db, listeners.add(listener))
}

async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>, options: { durable?: boolean }): Promise<T> {
  try {
    if (!options.durable) return await db.transaction().execute(work)
    return await db.connection().execute(async (connection) => {
      await sql`PRAGMA synchronous = FULL`.execute(connection)
      try {
        return await connection.transaction().execute(work)
      } finally {
        await sql`PRAGMA synchronous = NORMAL`.execute(connection)
      }
    })
  } catch (error) {
    throw asStorageError(error)
  }
}

/** SQLITE_FULL and a failing disk become the error that a user can act on. */
export function asStorageError(error: unknown): unknown {
  if (isAppError(error)) return error
  const text = error instanceof Error ? error.message : ''
  if (!/database or disk is full|disk I\/O error|ENOSPC/.test(text)) return error
  return new AppError(
    'StorageFull',
    `The data folder's disk is full: ${text}.`,
    'Free space on it; nothing was half written.',
    { cause: error },
  )
}
