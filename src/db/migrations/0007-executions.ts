import type { Kysely, Migration } from 'kysely'

export const executions: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('executions')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('commit_id', 'text', (c) => c.notNull())
      .addColumn('trigger', 'text', (c) => c.notNull())
      .addColumn('deployable', 'integer', (c) => c.notNull())
      .addColumn('only_step', 'text')
      .addColumn('fixed', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('reason', 'text')
      .addColumn('cause', 'text', (c) => c.notNull().unique())
      .addColumn('requested_by', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('started_at', 'bigint')
      .addColumn('ended_at', 'bigint')
      .execute()
    await db.schema.createIndex('executions_project').on('executions').columns(['project', 'id']).execute()
    await db.schema.createIndex('executions_state').on('executions').column('state').execute()
    await db.schema
      .createTable('execution_nodes')
      .addColumn('execution_id', 'text', (c) => c.notNull().references('executions.id'))
      .addColumn('node', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('step', 'text', (c) => c.notNull())
      .addColumn('position', 'integer', (c) => c.notNull())
      .addColumn('after', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('decision', 'text')
      .addColumn('run_id', 'text')
      .addColumn('attempt', 'integer', (c) => c.notNull())
      .addColumn('result', 'text')
      .addColumn('error', 'text')
      .addColumn('started_at', 'bigint')
      .addColumn('ended_at', 'bigint')
      .addPrimaryKeyConstraint('execution_nodes_pk', ['execution_id', 'node'])
      .execute()
    await db.schema.createIndex('execution_nodes_run').on('execution_nodes').column('run_id').execute()
  },
}
