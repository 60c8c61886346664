import type { CreateTableBuilder, Kysely, Migration } from 'kysely'

export const traces: Migration = {
  async up(db: Kysely<unknown>) {
    await createTraces(db)
    await createSpans(db)
    await createAssessments(db)
    await createLinks(db)
  },
}

async function createTraces(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('traces')
    .addColumn('trace_id', 'text', (c) => c.primaryKey())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('duration_ms', 'bigint')
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('name', 'text')
    .addColumn('session_id', 'text')
    .addColumn('client_request_id', 'text')
    .addColumn('request_preview', 'text')
    .addColumn('response_preview', 'text')
    .addColumn('input_tokens', 'bigint')
    .addColumn('output_tokens', 'bigint')
    .addColumn('total_tokens', 'bigint')
    .addColumn('cache_read_input_tokens', 'bigint')
    .addColumn('cache_creation_input_tokens', 'bigint')
    .addColumn('input_cost', 'double precision')
    .addColumn('output_cost', 'double precision')
    .addColumn('total_cost', 'double precision')
    .execute()
  await db.schema
    .createIndex('traces_by_time')
    .on('traces')
    .columns(['experiment_id', 'started_at', 'trace_id'])
    .execute()
  await db.schema.createIndex('traces_by_session').on('traces').columns(['experiment_id', 'session_id']).execute()
  await keyed(db, 'trace_tags').execute()
  await keyed(db, 'trace_metadata').execute()
}

async function createSpans(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('trace_spans')
    .addColumn('trace_id', 'text', (c) => c.notNull())
    .addColumn('span_id', 'text', (c) => c.notNull())
    .addColumn('experiment_id', 'integer', (c) => c.notNull())
    .addColumn('parent_span_id', 'text')
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('type', 'text')
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('start_ns', 'text', (c) => c.notNull())
    .addColumn('start_ms', 'bigint', (c) => c.notNull())
    .addColumn('duration_ms', 'bigint')
    .addColumn('model_name', 'text')
    .addColumn('model_provider', 'text')
    .addColumn('usage', 'text')
    .addColumn('cost', 'text')
    .addColumn('input_cost', 'double precision')
    .addColumn('output_cost', 'double precision')
    .addColumn('total_cost', 'double precision')
    // Last: SQLite reads the columns before a large one without touching its pages.
    .addColumn('content', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('trace_spans_pk', ['trace_id', 'span_id'] as never[])
    .execute()
  await db.schema.createIndex('trace_spans_by_time').on('trace_spans').columns(['experiment_id', 'start_ms']).execute()
}

async function createAssessments(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('trace_assessments')
    .addColumn('assessment_id', 'text', (c) => c.primaryKey())
    .addColumn('trace_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addColumn('error', 'text')
    .addColumn('number_value', 'double precision')
    .addColumn('is_number', 'integer', (c) => c.notNull())
    .addColumn('source_type', 'text', (c) => c.notNull())
    .addColumn('source_id', 'text')
    .addColumn('span_id', 'text')
    .addColumn('rationale', 'text')
    .addColumn('metadata', 'text')
    .addColumn('overrides', 'text')
    .addColumn('valid', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema
    .createIndex('trace_assessments_by_trace')
    .on('trace_assessments')
    .columns(['trace_id', 'created_at'])
    .execute()
  await db.schema.createIndex('trace_assessments_by_name').on('trace_assessments').columns(['name', 'kind']).execute()
}

async function createLinks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('trace_links')
    .addColumn('trace_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('trace_links_pk', ['trace_id', 'kind', 'target'] as never[])
    .execute()
  await db.schema.createIndex('trace_links_by_target').on('trace_links').columns(['kind', 'target']).execute()
}

function keyed(db: Kysely<unknown>, table: string): CreateTableBuilder<string, string> {
  return db.schema
    .createTable(table)
    .addColumn('trace_id', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint(`${table}_pk`, ['trace_id', 'key'] as never[]) as CreateTableBuilder<string, string>
}
