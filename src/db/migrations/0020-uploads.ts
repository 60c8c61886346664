import type { Kysely, Migration } from 'kysely'

export const uploads: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('uploads')
      .addColumn('upload_id', 'text', (c) => c.primaryKey())
      .addColumn('path', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('touched_at', 'bigint', (c) => c.notNull())
      .addColumn('part_count', 'integer', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('digest', 'text')
      .execute()
    await db.schema.createIndex('uploads_by_state').on('uploads').columns(['state', 'touched_at']).execute()
    await db.schema
      .createTable('upload_parts')
      .addColumn('upload_id', 'text', (c) => c.notNull())
      .addColumn('part_number', 'integer', (c) => c.notNull())
      .addColumn('received_id', 'text', (c) => c.notNull())
      .addColumn('size', 'bigint', (c) => c.notNull())
      .addColumn('checksum', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('upload_parts_pk', ['upload_id', 'part_number'])
      .execute()
    await db.schema.createIndex('upload_parts_by_received').on('upload_parts').column('received_id').execute()
    await db.schema.alterTable('artifact_files').addColumn('upload_id', 'text').execute()
    await db.schema.createIndex('artifact_files_by_upload').on('artifact_files').column('upload_id').execute()
  },
}
