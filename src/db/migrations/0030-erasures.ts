import type { Kysely, Migration } from 'kysely'

export const erasures: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('serving_erasures')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text')
      .addColumn('subject_hash', 'text', (c) => c.notNull())
      .addColumn('subject_column', 'text')
      .addColumn('rows', 'bigint', (c) => c.notNull())
      .addColumn('stage', 'text', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('serving_erasures_project').on('serving_erasures').columns(['project', 'id']).execute()
  },
}
