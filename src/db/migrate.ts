import { type Kysely, Migrator } from 'kysely'
import { AppError, messageOf } from '../kernel/errors.ts'
import { migrations } from './migrations/index.ts'
import type { Tables } from './tables.ts'

/** Forward only; each migration runs in its own transaction and is recorded with it. */
export async function migrate(db: Kysely<Tables>): Promise<void> {
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
