import { type Kysely, Migrator, sql } from 'kysely'
import { AppError, messageOf } from '../kernel/errors.ts'
import { migrations } from './migrations/index.ts'
import type { Tables } from './tables.ts'

/** Forward only; what is missing runs in one transaction and is recorded with it: all of it, or nothing. */
export async function migrate(db: Kysely<Tables>): Promise<void> {
  if (await isCurrent(db)) return
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (!error) return
  if (error instanceof AppError) throw error
  const text = messageOf(error)
  if (/full|I\/O/.test(text))
    throw new AppError(
      'StorageFull',
      `The database could not be prepared: ${text}.`,
      "Free space on the data folder's disk.",
      { cause: error },
    )
  throw new AppError(
    'DatabaseUnusable',
    `The database could not be brought to this version: ${text}.`,
    'Start the version of Modelwright that wrote this data folder, or restore a backup.',
    { cause: error },
  )
}

/** Most starts find nothing to do: one query tells, where the migrator reads the whole schema first. */
async function isCurrent(db: Kysely<Tables>): Promise<boolean> {
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
    return rows.map((row) => row.name).join() === Object.keys(migrations).sort().join()
  } catch {
    // A new database, or one that the migrator has to tell about.
    return false
  }
}
