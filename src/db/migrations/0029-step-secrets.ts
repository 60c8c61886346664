import type { Kysely, Migration } from 'kysely'

/** Secrets that steps ask for by name, sealed; `project` is empty for those of the whole server. */
export const stepSecrets: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('step_secrets')
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('set_by', 'text', (c) => c.notNull())
      .addColumn('set_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('step_secrets_key', ['project', 'name'])
      .execute()
  },
}
