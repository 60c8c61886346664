import type { Kysely, Migration } from 'kysely'

export const artifacts: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('artifact_files')
      .addColumn('path', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('artifact_files_by_digest').on('artifact_files').column('digest').execute()
    await db.schema
      .createTable('dataset_versions')
      .addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('dataset', 'text', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('rows', 'bigint')
      .addColumn('origin', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('dataset_versions_once', ['project', 'dataset', 'digest'])
      .execute()
  },
}
