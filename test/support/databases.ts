import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import pg from 'pg'
import { describe } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'
import { postgresVariable, runVariable } from './postgres-server.ts'

export type TestDatabase = {
  name: string
  open: () => Promise<Db>
  /** A new place, empty, that several processes may open. */
  place: (folder: string) => Promise<string>
}

const sqlite: TestDatabase = {
  name: 'SQLite',
  open: () => openDatabase(':memory:'),
  place: async (folder) => `${folder}/${randomUUID()}.db`,
}

const server = process.env[postgresVariable]

const postgres: TestDatabase = {
  name: 'PostgreSQL',
  open: openOnPostgres,
  place: async () => newDatabase(),
}

/** Every kind of database that the stores must work on. */
export const databases: readonly TestDatabase[] = server ? [sqlite, postgres] : [sqlite]

/** The same tests once per kind of database. */
export function eachDatabase(title: string, tests: (database: TestDatabase) => void): void {
  for (const database of databases) describe(`${title} (${database.name})`, () => tests(database))
}

/** What an earlier test of this file has closed: emptying it is ten times faster than making another. */
const closed: string[] = []

async function openOnPostgres(): Promise<Db> {
  const used = closed.pop()
  const place = used ?? (await newDatabase(await migratedTemplate()))
  const db = await openDatabase(place)
  if (used) await sql.raw(emptying).execute(db)
  const destroy = db.destroy.bind(db)
  let open = true
  db.destroy = async () => {
    await destroy()
    if (open) closed.push(place)
    open = false
  }
  return db
}

/** As after the migrations, which leave one row: the experiment `Default`. */
const emptying = `do $$ declare t record; s record; seed jsonb; begin
  perform set_config('session_replication_role', 'replica', true);
  select obj_description('experiments'::regclass) into seed;
  for t in select oid::regclass as name, pg_relation_size(oid) > 100000 as large from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relname not like 'kysely%' and pg_relation_size(oid) > 0 loop
    if t.large then execute format('truncate %s cascade', t.name); else execute format('delete from %s', t.name); end if;
  end loop;
  for s in select sequencename as name from pg_sequences where last_value is not null loop
    execute format('alter sequence %I restart', s.name);
  end loop;
  insert into experiments select * from jsonb_populate_recordset(null::experiments, seed);
end $$`
/** The template keeps its row where no test finds it. */
const keepingSeed = `do $$ begin
  execute format('comment on table experiments is %L', (select jsonb_agg(e) from experiments e));
end $$`

async function newDatabase(template = 'template1'): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asAdministrator((client) => client.query(`create database ${name} template ${template}`))
  return `${server}/${name}`
}

let template: Promise<string> | undefined

/** A database of this schema, made once per run of the tests: copying it is faster than migrating anew. */
function migratedTemplate(): Promise<string> {
  template ??= asAdministrator(async (client) => {
    const name = `template_${process.env[runVariable]}`
    // The other test files wait for whoever comes first.
    await client.query("select pg_advisory_lock(hashtext('template'))")
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount === 0) {
      const unfinished = await newDatabase()
      const db = await openDatabase(unfinished)
      await sql.raw(keepingSeed).execute(db)
      await db.destroy()
      await client.query(`alter database ${unfinished.slice(unfinished.lastIndexOf('/') + 1)} rename to ${name}`)
    }
    return name
  })
  return template
}

async function asAdministrator<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: `${server}/postgres` })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
