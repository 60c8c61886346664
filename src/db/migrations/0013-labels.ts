import type { Kysely, Migration } from 'kysely'

export const labels: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('labels')
      .addColumn('prediction_id', 'text', (c) => c.notNull())
      .addColumn('row_index', 'integer', (c) => c.notNull())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text', (c) => c.notNull())
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('version', 'integer', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('value', 'text', (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('predicted_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('labels_pk', ['prediction_id', 'row_index'])
      .execute()
    await db.schema
      .createIndex('labels_by_prediction_time')
      .on('labels')
      .columns(['project', 'environment', 'predicted_at', 'prediction_id', 'row_index'])
      .execute()
    await db.schema.createIndex('labels_by_arrival').on('labels').columns(['project', 'environment', 'at']).execute()
  },
}
