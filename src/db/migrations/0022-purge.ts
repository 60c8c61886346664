import { type Kysely, type Migration, sql } from 'kysely'

export const purge: Migration = {
  async up(db: Kysely<unknown>) {
    // Since when nothing was found to refer to an object.
    await db.schema
      .createTable('unreferenced_objects')
      .addColumn('digest', 'text', (c) => c.primaryKey())
      .addColumn('since', 'bigint', (c) => c.notNull())
      .execute()
    // What is to be purged is looked for every few minutes: among few rows, however many there are.
    await sql`create index runs_to_purge on runs (lifecycle_stage, deleted_at) where lifecycle_stage <> 'active'`.execute(
      db,
    )
    await sql`create index logged_models_to_purge on logged_models (lifecycle_stage, deleted_at)
      where lifecycle_stage <> 'active'`.execute(db)
    await sql`create index logged_model_metrics_by_run on logged_model_metrics (run_id)`.execute(db)
  },
}
