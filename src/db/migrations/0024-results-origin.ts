import type { Kysely, Migration } from 'kysely'

/** Which execution of which commit a result was made by, so that a plan can say what it compared with. */
export const resultsOrigin: Migration = {
  async up(db: Kysely<unknown>) {
    for (const column of ['execution_id', 'commit_id'])
      await db.schema.alterTable('step_results').addColumn(column, 'text').execute()
  },
}
