import { describe } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'

export type TestDatabase = { name: string; open: () => Promise<Db> }

/** Every kind of database that the stores must work on. */
const databases: readonly TestDatabase[] = [{ name: 'SQLite', open: () => openDatabase(':memory:') }]

/** The same tests once per kind of database. */
export function eachDatabase(title: string, tests: (database: TestDatabase) => void): void {
  for (const database of databases) describe(`${title} (${database.name})`, () => tests(database))
}
