import type { Kysely, Migration } from 'kysely'

export const versionConversions: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('version_conversions')
      .addColumn('digest', 'text', (c) => c.primaryKey())
      .addColumn('converter', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('reason', 'text')
      .addColumn('proof', 'text')
      .addColumn('form_digest', 'text')
      .addColumn('at', 'bigint', (c) => c.notNull())
      .execute()
  },
}
