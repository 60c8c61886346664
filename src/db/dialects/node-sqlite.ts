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

/**
 * Kysely over Node's own SQLite. One connection: a transaction holds it, everything else waits in line, so work inside a
 * transaction must not await anything but queries.
 */
export class NodeSqliteDialect implements Dialect {
  readonly #path: string
  readonly #synchronous: string

  /** `full` waits for the disk at each commit; `normal` loses the last commits in a power loss, never in a crash. */
  constructor(path: string, durability: 'full' | 'normal' = 'normal') {
    this.#path = path
    this.#synchronous = durability
  }

  createDriver = (): Driver => new NodeSqliteDriver(this.#path, this.#synchronous)
  createQueryCompiler = (): SqliteQueryCompiler => new SqliteQueryCompiler()
  createAdapter = (): SqliteAdapter => new SqliteAdapter()
  createIntrospector = (db: Kysely<unknown>): DatabaseIntrospector => new SqliteIntrospector(db)
}

class NodeSqliteDriver implements Driver {
  readonly #path: string
  readonly #synchronous: string
  readonly #line = new WaitingLine()
  #connection: NodeSqliteConnection | undefined

  constructor(path: string, synchronous: string) {
    this.#path = path
    this.#synchronous = synchronous
  }

  async init(): Promise<void> {
    const database = new DatabaseSync(this.#path)
    database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${this.#synchronous}; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; PRAGMA case_sensitive_like = ON`,
    )
    this.#connection = new NodeSqliteConnection(database)
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    await this.#line.enter()
    return this.#connection!
  }

  async releaseConnection(): Promise<void> {
    this.#line.leave()
  }

  beginTransaction = (connection: DatabaseConnection): Promise<void> => execute(connection, 'begin immediate')
  commitTransaction = (connection: DatabaseConnection): Promise<void> => execute(connection, 'commit')

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // A full disk makes SQLite roll back by itself (sqlite.org/lang_transaction.html); a second rollback would hide the reason.
    if ((connection as NodeSqliteConnection).isInTransaction) await execute(connection, 'rollback')
  }

  async destroy(): Promise<void> {
    this.#connection?.close()
  }
}

async function execute(connection: DatabaseConnection, statement: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(statement))
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const statement = this.#prepare(query.sql)
    const parameters = query.parameters as SQLInputValue[]
    if (statement.columns().length > 0) return { rows: statement.all(...parameters) as R[] }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    // A statement of its own: a cached one could be reset by the same query elsewhere while this one is read.
    for (const row of this.#database.prepare(query.sql).iterate(...(query.parameters as SQLInputValue[])))
      yield { rows: [row as R] }
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #prepare(text: string): StatementSync {
    const known = this.#statements.get(text)
    if (known) return known
    const statement = this.#database.prepare(text)
    if (this.#statements.size >= 500) this.#statements.delete(this.#statements.keys().next().value!)
    this.#statements.set(text, statement)
    return statement
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
