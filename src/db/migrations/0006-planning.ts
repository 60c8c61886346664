import type { Kysely, Migration } from 'kysely'

export const planning: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('blob_digests')
      .addColumn('blob', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('environment_locks')
      .addColumn('request', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('python_version', 'text', (c) => c.notNull())
      .addColumn('requirements', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('environment_locks_digest').on('environment_locks').column('digest').execute()
    await db.schema
      .createTable('step_results')
      .addColumn('key', 'text', (c) => c.primaryKey())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('step', 'text', (c) => c.notNull())
      .addColumn('parts', 'text', (c) => c.notNull())
      .addColumn('result', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('step_results_newest')
      .on('step_results')
      .columns(['project', 'step', 'created_at'])
      .execute()
  },
}
