import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { describe } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'
import { postgresVariable } from './postgres-server.ts'

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
  open: async () => openDatabase(await newDatabase(await migratedTemplate())),
  place: async () => newDatabase(),
}

/** Every kind of database that the stores must work on. */
export const databases: readonly TestDatabase[] = server ? [sqlite, postgres] : [sqlite]

/** The same tests once per kind of database. */
export function eachDatabase(title: string, tests: (database: TestDatabase) => void): void {
  for (const database of databases) describe(`${title} (${database.name})`, () => tests(database))
}

async function newDatabase(template = 'template1'): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asAdministrator(`create database ${name} template ${template}`)
  return `${server}/${name}`
}

let template: Promise<string> | undefined

/** A database of this schema, made once per test file: copying it is faster than migrating anew. */
function migratedTemplate(): Promise<string> {
  template ??= (async () => {
    const place = await newDatabase()
    const db = await openDatabase(place)
    await db.destroy()
    return place.slice(place.lastIndexOf('/') + 1)
  })()
  return template
}

async function asAdministrator(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: `${server}/postgres` })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
