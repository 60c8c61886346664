import { existsSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import pg from 'pg'
import { AppError, messageOf } from '../../kernel/errors.ts'

type Row = Record<string, unknown>

/** Questions to a database of another program, read only; `?` stands for a value in both kinds. */
export type Rows = {
  all: (statement: string, values: readonly unknown[]) => Promise<Row[]>
  /** The same some thousand rows at a time, however many there are. */
  pages: (statement: string, values: readonly unknown[]) => AsyncIterable<Row[]>
  /** Names of a table's columns; none where there is no such table. */
  columns: (table: string) => Promise<ReadonlySet<string>>
  close: () => Promise<void>
}

const pageRows = 20_000
/** A server that writes to it at the same time holds it for moments. */
const waitMs = 30_000

export function openSqlite(path: string): Rows {
  if (!existsSync(path))
    throw new AppError('NotFound', `There is no file ${path}.`, 'Name the database of an MLflow server.')
  const database = openReadOnly(path)
  const all = async (statement: string, values: readonly unknown[]) => {
    const prepared = database.prepare(statement)
    // Integers of 64 bits may be larger than a number holds, which would otherwise be an error for the whole answer.
    prepared.setReadBigInts(true)
    return (prepared.all(...(values as SQLInputValue[])) as Row[]).map(plainIntegers)
  }
  async function* pages(statement: string, values: readonly unknown[]) {
    const prepared = database.prepare(statement)
    prepared.setReadBigInts(true)
    let page: Row[] = []
    for (const row of prepared.iterate(...(values as SQLInputValue[]))) {
      page.push(plainIntegers(row as Row))
      if (page.length < pageRows) continue
      yield page
      page = []
    }
    yield page
  }
  return {
    all,
    pages,
    columns: async (table) => {
      const rows = await all('select name from pragma_table_info(?)', [table])
      return new Set(rows.map((row) => String(row.name)))
    },
    close: async () => database.close(),
  }
}

function openReadOnly(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: waitMs })
    database.prepare('select count(*) from sqlite_master').get()
    return database
  } catch (cause) {
    throw new AppError(
      'DataUnreadable',
      `${path} cannot be read as SQLite: ${messageOf(cause)}.`,
      'Is it the database?',
      {
        cause,
      },
    )
  }
}

function plainIntegers(row: Row): Row {
  for (const [name, value] of Object.entries(row)) if (typeof value === 'bigint') row[name] = Number(value)
  return row
}

const { INT8 } = pg.types.builtins

export async function openPostgres(url: string, name: string): Promise<Rows> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'modelwright import',
    options: '-c default_transaction_read_only=on',
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
    },
  })
  // Told by the question that meets it.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (cause) {
    throw new AppError(
      'DataUnreadable',
      `${name} does not answer: ${messageOf(cause)}.`,
      'Check address and password.',
      {
        cause,
      },
    )
  }
  const all = async (statement: string, values: readonly unknown[]) =>
    (await client.query<Row>(numbered(statement), [...values])).rows
  async function* pages(statement: string, values: readonly unknown[]) {
    // Cursors live in a transaction.
    await client.query('begin')
    await client.query(`declare points no scroll cursor for ${numbered(statement)}`, [...values])
    for (let page: Row[] | undefined; page === undefined || page.length === pageRows; ) {
      page = (await client.query<Row>(`fetch ${pageRows} from points`)).rows
      yield page
    }
    await client.query('commit')
  }
  return {
    all,
    pages,
    columns: async (table) => {
      const rows = await all(
        'select column_name from information_schema.columns where table_schema = any(current_schemas(false)) and table_name = ?',
        [table],
      )
      return new Set(rows.map((row) => String(row.column_name)))
    },
    close: () => client.end(),
  }
}

function numbered(statement: string): string {
  let index = 0
  return statement.replace(/\?/g, () => `$${++index}`)
}
