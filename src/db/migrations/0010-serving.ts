import type { Kysely, Migration } from 'kysely'

export const serving: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('serving_segments')
      .addColumn('segment', 'text', (c) => c.primaryKey())
      .addColumn('offset_bytes', 'bigint', (c) => c.notNull())
      .addColumn('lines', 'bigint', (c) => c.notNull())
      .addColumn('bad_lines', 'bigint', (c) => c.notNull())
      .addColumn('stored_as', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('serving_counts')
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('answered', 'bigint', (c) => c.notNull())
      .addColumn('input_refused', 'bigint', (c) => c.notNull())
      .addColumn('failed', 'bigint', (c) => c.notNull())
      .addColumn('latencies', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('serving_counts_pk', ['project', 'environment', 'digest', 'at'])
      .execute()
    // Old seconds are folded into minutes, whatever the deployment.
    await db.schema.createIndex('serving_counts_at').on('serving_counts').column('at').execute()
    await db.schema
      .createTable('serving_parquet')
      .addColumn('path', 'text', (c) => c.primaryKey())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text', (c) => c.notNull())
      .addColumn('segment', 'text', (c) => c.notNull())
      .addColumn('from_at', 'bigint', (c) => c.notNull())
      .addColumn('to_at', 'bigint', (c) => c.notNull())
      .addColumn('rows', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('serving_parquet_time')
      .on('serving_parquet')
      .columns(['project', 'environment', 'to_at'])
      .execute()
  },
}
