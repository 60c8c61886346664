import type { Kysely, Migration } from 'kysely'

/**
 * Nodes that wait before they are tried again, why their last attempt failed, nodes of a fan-out with their item, and what lists show of
 * a decision without the parts of its key. Executions that carry on what another one left.
 */
export const fanOut: Migration = {
  async up(db: Kysely<unknown>) {
    for (const [column, type] of [
      ['not_before', 'bigint'],
      ['failure', 'text'],
      ['item', 'text'],
      ['shown', 'text'],
    ] as const)
      await db.schema.alterTable('execution_nodes').addColumn(column, type).execute()
    await db.schema.alterTable('executions').addColumn('resumes', 'text').execute()
  },
}
