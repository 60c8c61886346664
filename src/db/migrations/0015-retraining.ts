import type { Kysely, Migration } from 'kysely'

export const retraining: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('retraining_decisions')
      .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('cause', 'text', (c) => c.notNull())
      .addColumn('trigger', 'text', (c) => c.notNull())
      .addColumn('inputs', 'text', (c) => c.notNull())
      .addColumn('inputs_digest', 'text', (c) => c.notNull())
      .addColumn('rule_version', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('reasons', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('retraining_decisions_by_cause')
      .on('retraining_decisions')
      .columns(['project', 'environment', 'cause', 'id'])
      .execute()
    await db.schema
      .createTable('retrainings')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text', (c) => c.notNull())
      .addColumn('cause', 'text', (c) => c.notNull())
      .addColumn('trigger', 'text', (c) => c.notNull())
      .addColumn('requested_by', 'text', (c) => c.notNull())
      .addColumn('decided_at', 'bigint', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('frozen', 'text')
      .addColumn('execution_id', 'text')
      .addColumn('started_at', 'bigint')
      .addColumn('error', 'text')
      .addUniqueConstraint('retrainings_once', ['project', 'environment', 'cause'])
      .execute()
    await db.schema.createIndex('retrainings_by_state').on('retrainings').columns(['state', 'id']).execute()
    await db.schema
      .createTable('retraining_schedules')
      .addColumn('project', 'text', (c) => c.notNull())
      .addColumn('environment', 'text', (c) => c.notNull())
      .addColumn('cron', 'text', (c) => c.notNull())
      .addColumn('since', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('retraining_schedules_pk', ['project', 'environment', 'cron'])
      .execute()
  },
}
