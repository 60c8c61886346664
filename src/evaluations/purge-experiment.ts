import { type RawBuilder, sql } from 'kysely'
import { type Db, deleteSomeOf, transact } from '../db/index.ts'
import { type ExperimentId, experimentNumber } from '../tracking/index.ts'

/**
 * Some of what is kept for an experiment that goes for good: how many rows those were, 0 when nothing is left. Datasets belong to
 * no experiment: only the links to them go.
 */
export function purgeExperiment(db: Db, experimentId: ExperimentId, limit: number): Promise<number> {
  const within = sql`experiment_id = ${experimentNumber(experimentId)}`
  const ofQueues = of('queue_id', 'review_queues', within)
  const ofScorers = of('scorer_id', 'scorers', within)
  const rows = [
    { table: 'review_queue_items', key: ['queue_id', 'item_id'], where: ofQueues },
    { table: 'review_queue_schemas', key: ['queue_id', 'schema_id'], where: ofQueues },
    { table: 'review_queue_users', key: ['queue_id', 'user_id'], where: ofQueues },
    { table: 'review_queues', key: ['queue_id'], where: within },
    { table: 'label_schemas', key: ['schema_id'], where: within },
    { table: 'issues', key: ['issue_id'], where: within },
    { table: 'scorer_versions', key: ['scorer_id', 'version'], where: ofScorers },
    { table: 'scorer_online_configs', key: ['scorer_id'], where: ofScorers },
    { table: 'scorers', key: ['scorer_id'], where: within },
    {
      table: 'evaluation_dataset_experiments',
      key: ['dataset_id', 'experiment_id'],
      where: sql`experiment_id = ${experimentId}`,
    },
  ]
  return transact(db, (tx) => deleteSomeOf(tx, rows, limit))
}

const of = (column: string, table: string, where: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`${sql.ref(column)} in (select ${sql.ref(column)} from ${sql.table(table)} where ${where})`
