import { type Kysely, type Migration, sql } from 'kysely'

/** What a search over many runs walks along instead of reading all of them; and a quick way in for points. */
export const runSearch: Migration = {
  async up(db: Kysely<unknown>) {
    for (const table of ['metric_series', 'run_params', 'run_tags']) {
      await db.schema
        .alterTable(table)
        .addColumn('experiment_id', 'integer', (c) => c.notNull().defaultTo(-1))
        .execute()
      await sql`update ${sql.table(table)} set experiment_id =
        (select r.experiment_id from runs r where r.run_key = ${sql.table(table)}.run_key)`.execute(db)
    }
    // What is known of a series' points, so that histories are read and sampled without sorting or counting; 0 where it is not known.
    for (const column of ['first_step', 'first_timestamp', 'is_dense', 'is_ordered'])
      await db.schema
        .alterTable('metric_series')
        .addColumn(column, 'bigint', (c) => c.notNull().defaultTo(0))
        .execute()
    // Points as they come, one after the other: a batch touches one page instead of one for each of its metrics.
    await db.schema
      .createTable('metric_arrivals')
      .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
      .addColumn('series_id', 'integer', (c) => c.notNull())
      .addColumn('step', 'bigint', (c) => c.notNull())
      .addColumn('timestamp', 'bigint', (c) => c.notNull())
      .addColumn('value', 'double precision', (c) => c.notNull())
      .addColumn('is_nan', 'integer', (c) => c.notNull())
      .execute()
    await sql`create index metric_series_by_value on metric_series (experiment_id, key, value, run_key)
      where is_nan = 0`.execute(db)
    // PostgreSQL's index entries have room for no more than 2,700 bytes: the beginning of a value stands for it.
    await sql`create index run_params_by_value on run_params (experiment_id, key, substr(value, 1, 100), run_key)`.execute(
      db,
    )
    await sql`create index run_tags_by_value on run_tags (experiment_id, key, substr(value, 1, 100), run_key)`.execute(
      db,
    )
    await db.schema.createIndex('runs_by_name').on('runs').columns(['experiment_id', 'name']).execute()
  },
}
