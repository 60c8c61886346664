import type { Kysely, Migration } from 'kysely'

export const reproductions: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('reproductions')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('version', 'integer', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('recorded_execution', 'text', (c) => c.notNull())
      .addColumn('commit_id', 'text', (c) => c.notNull())
      .addColumn('from_record', 'integer', (c) => c.notNull())
      .addColumn('runs', 'integer', (c) => c.notNull())
      .addColumn('tolerance', 'double precision', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('passes', 'text', (c) => c.notNull())
      .addColumn('predictions', 'text')
      .addColumn('installed', 'text')
      .addColumn('outcome', 'text')
      .addColumn('comparison', 'text')
      .addColumn('sentence', 'text')
      .addColumn('error', 'text')
      .addColumn('requested_by', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('ended_at', 'bigint')
      .execute()
    await db.schema
      .createIndex('reproductions_by_version')
      .on('reproductions')
      .columns(['project', 'digest', 'id'])
      .execute()
    await db.schema.createIndex('reproductions_by_state').on('reproductions').columns(['state', 'id']).execute()
  },
}
