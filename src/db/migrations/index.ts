import type { Migration } from 'kysely'
import { foundation } from './0001-foundation.ts'

/** Append only: a released migration is never edited. */
export const migrations: Record<string, Migration> = {
  '0001-foundation': foundation,
}
