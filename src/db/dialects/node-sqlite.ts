import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { linearRegExp } from '../../kernel/linear-regexp.ts'
import { givesArrays } from '../row-mode.ts'

/** `full` waits for the disk at each commit; `normal` loses the last commits in a power loss, never in a crash. */
export type Synchronous = 'full' | 'normal'

/**
 * Kysely over Node's own SQLite, with one connection that writes and one that reads. A transaction holds the writing one, others wait
 * in line for it, so work inside a transaction must not await anything but queries. What only reads goes on meanwhile, on what is
 * committed.
 */
export class NodeSqliteDialect implements Dialect {
  readonly #path: string
  readonly #synchronous: Synchronous

  constructor(path: string, synchronous: Synchronous = 'normal') {
    this.#path = path
    this.#synchronous = synchronous
  }

  createDriver = (): Driver => new NodeSqliteDriver(this.#path, this.#synchronous)
  createQueryCompiler = (): SqliteQueryCompiler => new SqliteQueryCompiler()
  createAdapter = (): SqliteAdapter => new AtomicMigrationsAdapter()
  createIntrospector = (db: Kysely<unknown>): DatabaseIntrospector => new SqliteIntrospector(db)
}

/** SQLite's schema changes belong to a transaction as anything does: a migration that is broken off leaves nothing behind. */
class AtomicMigrationsAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

const everyConnection =
  'PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; PRAGMA case_sensitive_like = ON'

/** With `text REGEXP pattern`, which traces are searched by; PostgreSQL has `~`. */
function opened(path: string): DatabaseSync {
  const database = new DatabaseSync(path)
  database.function('regexp', { deterministic: true }, (pattern, text) =>
    text === null ? null : Number(linearRegExp(String(pattern))?.test(String(text)) ?? false),
  )
  return database
}

class NodeSqliteDriver implements Driver {
  readonly #path: string
  readonly #synchronous: Synchronous
  readonly #line = new WaitingLine()
  #writer: Statements | undefined
  #reader: Statements | undefined

  constructor(path: string, synchronous: Synchronous) {
    this.#path = path
    this.#synchronous = synchronous
  }

  async init(): Promise<void> {
    const writer = opened(this.#path)
    writer.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${this.#synchronous}; ${everyConnection}`)
    this.#writer = new Statements(writer)
    if (this.#path === ':memory:') return
    const reader = opened(this.#path)
    reader.exec(`${everyConnection}; PRAGMA query_only = ON`)
    this.#reader = new Statements(reader)
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return new NodeSqliteConnection(this.#line, this.#writer!, this.#reader)
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as NodeSqliteConnection).begin()
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as NodeSqliteConnection).end('commit')
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await (connection as NodeSqliteConnection).end('rollback')
  }

  async destroy(): Promise<void> {
    this.#reader?.close()
    this.#writer?.close()
  }
}

/** What Kysely holds for a query or a transaction: it takes the writing connection only while it writes. */
class NodeSqliteConnection implements DatabaseConnection {
  readonly #line: WaitingLine
  readonly #writer: Statements
  readonly #reader: Statements | undefined
  #holdsWriter = false

  constructor(line: WaitingLine, writer: Statements, reader: Statements | undefined) {
    this.#line = line
    this.#writer = writer
    this.#reader = reader
  }

  async begin(): Promise<void> {
    await this.#line.enter()
    this.#holdsWriter = true
    try {
      this.#writer.run(CompiledQuery.raw('begin immediate'))
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  async end(how: 'commit' | 'rollback'): Promise<void> {
    if (!this.#holdsWriter) return
    try {
      // A full disk makes SQLite roll back by itself (sqlite.org/lang_transaction.html); a second rollback would hide the reason.
      if (how === 'commit' || this.#writer.isInTransaction) this.#writer.run(CompiledQuery.raw(how))
    } catch (error) {
      if (how === 'commit') throw error
      this.#leave()
      throw error
    }
    this.#leave()
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#holdsWriter) return this.#writer.run(query)
    if (this.#reader && readsOnly(query.sql)) return this.#reader.run(query)
    await this.#line.enter()
    try {
      return this.#writer.run(query)
    } finally {
      this.#line.leave()
    }
  }

  // biome-ignore lint/correctness/useYield: Kysely's interface; nothing here reads a stream, large lists are paged by key.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Streams are not supported: read in pages.')
  }

  #leave(): void {
    this.#holdsWriter = false
    this.#line.leave()
  }
}

const readsOnly = (text: string): boolean => /^\s*select\b/i.test(text)

/** A connection's prepared statements; the same text is prepared once. */
class Statements {
  readonly #database: DatabaseSync
  readonly #known = new Map<string, { statement: StatementSync; hasRows: boolean }>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction
  }

  run<R>(query: CompiledQuery): QueryResult<R> {
    const { statement, hasRows } = this.#prepare(query.sql, givesArrays(query))
    const parameters = query.parameters as SQLInputValue[]
    if (hasRows) return { rows: statement.all(...parameters) as R[] }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  close(): void {
    this.#known.clear()
    this.#database.close()
  }

  #prepare(text: string, arrays: boolean) {
    const name = arrays ? `${text} as arrays` : text
    const known = this.#known.get(name)
    if (known) return known
    const statement = this.#database.prepare(text)
    if (arrays) statement.setReturnArrays(true)
    const prepared = { statement, hasRows: statement.columns().length > 0 }
    if (this.#known.size >= 500) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(name, prepared)
    return prepared
  }
}

/** First come, first served. */
class WaitingLine {
  #busy = false
  readonly #waiting: (() => void)[] = []

  async enter(): Promise<void> {
    if (!this.#busy) {
      this.#busy = true
      return
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#busy = false
  }
}
