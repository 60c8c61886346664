import type { Kysely, Migration } from 'kysely'

export const imports: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('imports')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('source', 'text', (c) => c.notNull().unique())
      .addColumn('artifacts', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('started_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('import_items')
      .addColumn('import_id', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('target_id', 'text', (c) => c.notNull())
      .addColumn('joined', 'integer', (c) => c.notNull())
      .addColumn('source_uri', 'text')
      .addColumn('target_uri', 'text')
      .addColumn('facts', 'text')
      .addPrimaryKeyConstraint('import_items_pk', ['import_id', 'kind', 'source_id'])
      .execute()
    // A run of ours is asked whether it came by an import, and by which.
    await db.schema.createIndex('import_items_by_target').on('import_items').columns(['kind', 'target_id']).execute()
  },
}
