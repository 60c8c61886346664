import type { Kysely, Migration } from 'kysely'

export const users: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('users')
      .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('password_hash', 'text')
      .addColumn('admin', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('user_tokens')
      .addColumn('hash', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'integer', (c) => c.notNull().references('users.id'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint')
      .addUniqueConstraint('user_tokens_once', ['user_id', 'name'])
      .execute()
    await db.schema
      .createTable('user_permissions')
      .addColumn('user_id', 'integer', (c) => c.notNull().references('users.id'))
      .addColumn('resource_type', 'text', (c) => c.notNull())
      .addColumn('pattern', 'text', (c) => c.notNull())
      .addColumn('permission', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('user_permissions_pk', ['user_id', 'resource_type', 'pattern'])
      .execute()
    // What is renamed or deleted takes the permissions of all users on it along.
    await db.schema
      .createIndex('user_permissions_by_resource')
      .on('user_permissions')
      .columns(['resource_type', 'pattern'])
      .execute()
  },
}
