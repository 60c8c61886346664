import type { Kysely, Migration } from 'kysely'

export const evaluations: Migration = {
  async up(db: Kysely<unknown>) {
    await createDatasets(db)
    await createScorers(db)
    await createIssues(db)
    await createLabelSchemas(db)
    await createReviewQueues(db)
  },
}

async function createDatasets(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('evaluation_datasets')
    .addColumn('dataset_id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('schema', 'text')
    .addColumn('profile', 'text')
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text')
    .addColumn('updated_by', 'text')
    .execute()
  await db.schema
    .createIndex('evaluation_datasets_by_time')
    .on('evaluation_datasets')
    .columns(['created_at desc', 'dataset_id desc'])
    .execute()
  await db.schema.createIndex('evaluation_datasets_by_name').on('evaluation_datasets').column('name').execute()
  await db.schema
    .createTable('evaluation_dataset_tags')
    .addColumn('dataset_id', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('value', 'text')
    .addPrimaryKeyConstraint('evaluation_dataset_tags_pk', ['dataset_id', 'key'])
    .execute()
  await db.schema
    .createTable('evaluation_dataset_experiments')
    .addColumn('dataset_id', 'text', (c) => c.notNull())
    .addColumn('experiment_id', 'text', (c) => c.notNull())
    .addColumn('linked_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('evaluation_dataset_experiments_pk', ['dataset_id', 'experiment_id'])
    .execute()
  await db.schema
    .createIndex('evaluation_datasets_by_experiment')
    .on('evaluation_dataset_experiments')
    .columns(['experiment_id', 'dataset_id'])
    .execute()
  await createRecords(db)
}

async function createRecords(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('evaluation_dataset_records')
    .addColumn('record_id', 'text', (c) => c.primaryKey())
    .addColumn('dataset_id', 'text', (c) => c.notNull())
    .addColumn('input_hash', 'text', (c) => c.notNull())
    .addColumn('inputs', 'text', (c) => c.notNull())
    .addColumn('outputs', 'text')
    .addColumn('expectations', 'text')
    .addColumn('tags', 'text', (c) => c.notNull())
    .addColumn('source', 'text')
    .addColumn('source_id', 'text')
    .addColumn('source_type', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text')
    .addColumn('updated_by', 'text')
    // What a record is, is what it asks: the same inputs again are the same record.
    .addUniqueConstraint('evaluation_dataset_records_once', ['dataset_id', 'input_hash'])
    .execute()
  await db.schema
    .createIndex('evaluation_dataset_records_in_order')
    .on('evaluation_dataset_records')
    .columns(['dataset_id', 'created_at', 'record_id'])
    .execute()
}

async function createScorers(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('scorers')
    .addColumn('scorer_id', 'text', (c) => c.primaryKey())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addUniqueConstraint('scorers_once', ['experiment_id', 'name'])
    .execute()
  await db.schema
    .createTable('scorer_versions')
    .addColumn('scorer_id', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('serialized', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('scorer_versions_pk', ['scorer_id', 'version'])
    .execute()
  await db.schema
    .createTable('scorer_online_configs')
    .addColumn('scorer_id', 'text', (c) => c.primaryKey())
    .addColumn('config_id', 'text', (c) => c.notNull())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('sample_rate', 'double precision', (c) => c.notNull())
    .addColumn('filter', 'text')
    .execute()
}

async function createIssues(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('issues')
    .addColumn('issue_id', 'text', (c) => c.primaryKey())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('severity', 'text')
    .addColumn('root_causes', 'text')
    .addColumn('categories', 'text')
    .addColumn('source_run_id', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text')
    .execute()
  await db.schema.createIndex('issues_by_experiment').on('issues').columns(['experiment_id', 'status']).execute()
  await db.schema.createIndex('issues_by_run').on('issues').column('source_run_id').execute()
}

async function createLabelSchemas(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('label_schemas')
    .addColumn('schema_id', 'text', (c) => c.primaryKey())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('instruction', 'text')
    .addColumn('enable_comment', 'integer', (c) => c.notNull())
    .addColumn('input_kind', 'text', (c) => c.notNull())
    .addColumn('input', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text')
    .addColumn('is_default', 'integer', (c) => c.notNull())
    .addUniqueConstraint('label_schemas_once', ['experiment_id', 'name'])
    .execute()
}

async function createReviewQueues(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('review_queues')
    .addColumn('queue_id', 'text', (c) => c.primaryKey())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('name_key', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('created_by', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('review_queues_once', ['experiment_id', 'name_key'])
    .execute()
  for (const [table, member] of [
    ['review_queue_users', 'user_id'],
    ['review_queue_schemas', 'schema_id'],
  ] as const)
    await db.schema
      .createTable(table)
      .addColumn('queue_id', 'text', (c) => c.notNull())
      .addColumn(member, 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint(`${table}_pk`, ['queue_id', member] as never[])
      .execute()
  await db.schema
    .createTable('review_queue_items')
    .addColumn('queue_id', 'text', (c) => c.notNull())
    .addColumn('item_id', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('completed_by', 'text')
    .addColumn('completed_at', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('review_queue_items_pk', ['queue_id', 'item_id'])
    .execute()
  await db.schema.createIndex('review_queue_items_by_item').on('review_queue_items').column('item_id').execute()
}
