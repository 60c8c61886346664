import type { Db } from '../db/index.ts'
import { experimentNumber } from './experiment-store.ts'
import type { ExperimentId } from './tracking.ts'

/** A dataset that runs of an experiment read, in one of the contexts that they named (`training`). */
export type DatasetSummary = { experimentId: ExperimentId; name: string; digest: string; context: string | undefined }

const limit = 1000

/** At most 1,000, by name. */
export async function searchInputDatasets(db: Db, experimentIds: readonly ExperimentId[]): Promise<DatasetSummary[]> {
  const rows = await db
    .selectFrom('input_datasets as d')
    .innerJoin('run_inputs as i', 'i.dataset_id', 'd.id')
    .leftJoin('run_input_tags as t', (join) =>
      join
        .onRef('t.dataset_id', '=', 'i.dataset_id')
        .onRef('t.run_key', '=', 'i.run_key')
        .on('t.key', '=', 'mlflow.data.context'),
    )
    .select(['d.experiment_id', 'd.name', 'd.digest', 't.value as context'])
    .distinct()
    .where('d.experiment_id', 'in', experimentIds.map(experimentNumber))
    .orderBy('d.name')
    .orderBy('d.digest')
    .orderBy('d.experiment_id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    experimentId: String(row.experiment_id),
    name: row.name,
    digest: row.digest,
    context: row.context ?? undefined,
  }))
}
