import type { Kysely, Migration } from 'kysely'

export const projects: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('projects')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('branch', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('created_by', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('branch_heads')
      .addColumn('project', 'text', (c) => c.notNull().references('projects.name'))
      .addColumn('branch', 'text', (c) => c.notNull())
      .addColumn('commit_id', 'text', (c) => c.notNull())
      .addColumn('moved_at', 'bigint', (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('branch_heads_pk', ['project', 'branch'])
      .execute()
    await db.schema
      .createTable('push_intents')
      .addColumn('project', 'text', (c) => c.notNull().references('projects.name'))
      .addColumn('branch', 'text', (c) => c.notNull())
      .addColumn('from_commit', 'text')
      .addColumn('to_commit', 'text', (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('push_intents_pk', ['project', 'branch', 'to_commit'])
      .execute()
  },
}
