import { Kysely, sql } from 'kysely'
import { isAppError } from '../kernel/errors.ts'
import type { EventType } from '../kernel/events.ts'
import { isPostgresUrl } from '../kernel/postgres-url.ts'
import { asStorageError } from '../kernel/storage-errors.ts'
import { NodeSqliteDialect } from './dialects/node-sqlite.ts'
import { SharedPostgresDialect } from './dialects/postgres.ts'
import type { Db, Tx } from './handle.ts'
import { migrate } from './migrate.ts'
import { newsOf } from './outbox.ts'
import type { Tables } from './tables.ts'
import { type Synchronising, WaitingWriters } from './writers.ts'

/** `full`: what was acknowledged survives a power loss; `normal`: any death of processes. */
export type Durability = 'full' | 'normal'

const postgresConnections = 10

/**
 * Opens a database and brings its schema to this version: `postgres://…`, or the embedded one (a file path, or `:memory:`).
 * Durability is full on PostgreSQL and normal on SQLite unless said otherwise.
 */
export async function openDatabase(place: string, options: { durability?: Durability } = {}): Promise<Db> {
  const onServer = isPostgresUrl(place)
  const durability = options.durability ?? (onServer ? 'full' : 'normal')
  const db: Db = new Kysely<Tables>({
    dialect: onServer
      ? new SharedPostgresDialect(place, postgresConnections)
      : new NodeSqliteDialect(place, durability),
  })
  try {
    await migrate(db)
  } catch (error) {
    await db.destroy()
    throw error
  }
  writersOf.set(db, new WaitingWriters(db, onServer ? onPostgres(durability) : onSqlite(db, durability)))
  return db
}

const writersOf = new WeakMap<Db, WaitingWriters>()

const onPostgres = (durability: Durability): Synchronising => ({
  around: (_, transaction) => transaction(),
  within: async (tx, durable) => {
    if (durability === 'normal' && !durable) await sql`set local synchronous_commit = off`.execute(tx)
  },
})

/** SQLite takes the level for the connection, outside a transaction. */
const onSqlite = (db: Db, durability: Durability): Synchronising => ({
  around: async (durable, transaction) => {
    if (!durable || durability === 'full') return transaction()
    await sql`PRAGMA synchronous = FULL`.execute(db)
    try {
      return await transaction()
    } finally {
      await sql`PRAGMA synchronous = NORMAL`.execute(db)
    }
  },
  within: async () => {},
})

/**
 * One transaction, after all that came before it and before all that come after. `durable` writes survive a power loss whatever
 * the database's durability (registrations, promotions, approvals, audit). Inside, await nothing but queries: others wait.
 */
export async function transact<T>(
  db: Db,
  work: (tx: Tx) => Promise<T>,
  options: { durable?: boolean } = {},
): Promise<T> {
  let news: ReadonlySet<EventType> = new Set()
  const telling = async (tx: Tx): Promise<T> => {
    const result = await work(tx)
    news = newsOf(tx)
    return result
  }
  const result = await inTransaction(db, telling, options.durable ?? false)
  if (news.size > 0) for (const listener of newsListeners.get(db) ?? []) listener(news)
  return result
}

type NewsListener = (types: ReadonlySet<EventType>) => void

const newsListeners = new WeakMap<Db, Set<NewsListener>>()

/** Calls after each commit of this process that brought events: what waits for them looks at once instead of at the next turn. */
export function onNews(db: Db, listener: NewsListener): void {
  const listeners = newsListeners.get(db) ?? new Set<NewsListener>()
  newsListeners.set(db, listeners.add(listener))
}

async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>, durable: boolean): Promise<T> {
  try {
    return await writersOf.get(db)!.write(work, durable)
  } catch (error) {
    throw isAppError(error) ? error : asStorageError(error)
  }
}
