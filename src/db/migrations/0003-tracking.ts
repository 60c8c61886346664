import { type CreateTableBuilder, type Kysely, type Migration, sql } from 'kysely'
import { isPostgres } from '../dialects/postgres.ts'

export const tracking: Migration = {
  async up(db: Kysely<unknown>) {
    await createExperiments(db)
    await createRuns(db)
    await createMetrics(db)
    await createInputs(db)
    await createLoggedModels(db)
  },
}

async function createExperiments(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('experiments')
    .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('artifact_location', 'text', (c) => c.notNull())
    .addColumn('lifecycle_stage', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
  await sql`insert into experiments (id, name, artifact_location, lifecycle_stage, created_at, updated_at)
    values (0, 'Default', 'mlflow-artifacts:/0', 'active', 0, 0)`.execute(db)
  await keyed(db, 'experiment_tags', 'experiment_id', 'integer').execute()
}

async function createRuns(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('runs')
    .addColumn('run_key', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('run_id', 'text', (c) => c.notNull().unique())
    .addColumn('experiment_id', 'integer', (c) => c.notNull().references('experiments.id'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('lifecycle_stage', 'text', (c) => c.notNull())
    .addColumn('deleted_at', 'bigint')
    .addColumn('artifact_uri', 'text', (c) => c.notNull())
    .addColumn('owner_run_id', 'text')
    .execute()
  // The order in which runs are listed unless told otherwise: newest first, then by id.
  await db.schema
    .createIndex('runs_by_time')
    .on('runs')
    .columns(['experiment_id', 'lifecycle_stage', 'started_at desc', 'run_id'])
    .execute()
  await db.schema.createIndex('runs_by_owner').on('runs').column('owner_run_id').execute()
  await keyed(db, 'run_params', 'run_key', 'integer').execute()
  await keyed(db, 'run_tags', 'run_key', 'integer').execute()
}

async function createMetrics(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('metric_series')
    .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('run_key', 'integer', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('value', 'double precision', (c) => c.notNull())
    .addColumn('is_nan', 'integer', (c) => c.notNull())
    .addColumn('step', 'bigint', (c) => c.notNull())
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('metric_series_once', ['run_key', 'key'])
    .execute()
  // The key is the order in which a history is read, and makes the same point twice one point.
  await db.schema
    .createTable('metric_points')
    .addColumn('series_id', 'integer', (c) => c.notNull())
    .addColumn('step', 'bigint', (c) => c.notNull())
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addColumn('value', 'double precision', (c) => c.notNull())
    .addColumn('is_nan', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('metric_points_pk', ['series_id', 'step', 'timestamp', 'value', 'is_nan'])
    .modifyEnd(rowsInKeyOrder(db))
    .execute()
}

async function createInputs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('input_datasets')
    .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('source_type', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('schema', 'text')
    .addColumn('profile', 'text')
    .addUniqueConstraint('input_datasets_once', ['experiment_id', 'name', 'digest'])
    .execute()
  await db.schema
    .createTable('run_inputs')
    .addColumn('run_key', 'integer', (c) => c.notNull())
    .addColumn('dataset_id', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('run_inputs_pk', ['run_key', 'dataset_id'])
    .execute()
  await db.schema
    .createTable('run_input_tags')
    .addColumn('run_key', 'integer', (c) => c.notNull())
    .addColumn('dataset_id', 'integer', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('run_input_tags_pk', ['run_key', 'dataset_id', 'key'])
    .execute()
  await db.schema
    .createTable('run_models')
    .addColumn('run_key', 'integer', (c) => c.notNull())
    .addColumn('model_id', 'text', (c) => c.notNull())
    .addColumn('direction', 'text', (c) => c.notNull())
    .addColumn('step', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('run_models_pk', ['run_key', 'model_id', 'direction', 'step'])
    .execute()
}

async function createLoggedModels(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('logged_models')
    .addColumn('model_id', 'text', (c) => c.primaryKey())
    .addColumn('experiment_id', 'integer', (c) => c.notNull().references('experiments.id'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('artifact_uri', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('status_message', 'text')
    .addColumn('model_type', 'text')
    .addColumn('source_run_id', 'text')
    .addColumn('lifecycle_stage', 'text', (c) => c.notNull())
    .addColumn('deleted_at', 'bigint')
    .execute()
  await db.schema
    .createIndex('logged_models_by_time')
    .on('logged_models')
    .columns(['experiment_id', 'created_at desc', 'model_id'])
    .execute()
  await db.schema.createIndex('logged_models_by_run').on('logged_models').column('source_run_id').execute()
  await keyed(db, 'logged_model_params', 'model_id', 'text').execute()
  await keyed(db, 'logged_model_tags', 'model_id', 'text').execute()
  await db.schema
    .createTable('logged_model_metrics')
    .addColumn('model_id', 'text', (c) => c.notNull())
    .addColumn('run_id', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('timestamp', 'bigint', (c) => c.notNull())
    .addColumn('step', 'bigint', (c) => c.notNull())
    .addColumn('value', 'double precision', (c) => c.notNull())
    .addColumn('is_nan', 'integer', (c) => c.notNull())
    .addColumn('dataset_name', 'text')
    .addColumn('dataset_digest', 'text')
    .addPrimaryKeyConstraint('logged_model_metrics_pk', ['model_id', 'key', 'timestamp', 'step', 'run_id'])
    .execute()
}

/** owner, key → value: params and tags of everything look alike. */
function keyed(
  db: Kysely<unknown>,
  table: string,
  owner: string,
  type: 'integer' | 'text',
): CreateTableBuilder<string, string> {
  return db.schema
    .createTable(table)
    .addColumn(owner, type, (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint(`${table}_pk`, [owner, 'key'] as never[])
    .modifyEnd(rowsInKeyOrder(db)) as CreateTableBuilder<string, string>
}

/** SQLite keeps such rows in the primary key's own tree; PostgreSQL has no such table. */
const rowsInKeyOrder = (db: Kysely<unknown>) => (isPostgres(db) ? sql`` : sql`without rowid`)
