import { createHash } from 'node:crypto'
import { type Selectable, type SqlBool, sql } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { EvaluationTables } from '../db/tables/evaluations.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import {
  afterSql,
  compareSql,
  type ExperimentId,
  type Found,
  nextPage,
  orderSql,
  readPageToken,
  type Search,
} from '../tracking/index.ts'
import { userTag } from './decide/dataset-record.ts'
import { type DatasetClause, datasetFilter, datasetOrder } from './decide/dataset-search.ts'
import type { EvaluationDataset, NewEvaluationDataset } from './evaluations.ts'

type Row = Selectable<EvaluationTables['evaluation_datasets']>

export type DatasetSearch = Search & { experimentIds?: readonly ExperimentId[] }

/** Evaluation datasets, their tags and the experiments that use them. Each method takes the handle. */
export const evaluationDatasetStore = {
  async create(tx: Tx, dataset: NewEvaluationDataset, now: EpochMs): Promise<string> {
    const datasetId = `d-${newHexId(now)}`
    const user = dataset.tags[userTag] ?? null
    await tx
      .insertInto('evaluation_datasets')
      .values({
        dataset_id: datasetId,
        name: dataset.name,
        schema: null,
        profile: null,
        digest: digestOf(dataset.name, now),
        created_at: now,
        updated_at: now,
        created_by: user,
        updated_by: user,
      })
      .execute()
    await this.setTags(tx, datasetId, dataset.tags)
    await this.link(tx, datasetId, dataset.experimentIds, now)
    return datasetId
  },

  async find(db: Db, datasetId: string): Promise<EvaluationDataset | undefined> {
    const row = await db
      .selectFrom('evaluation_datasets')
      .selectAll()
      .where('dataset_id', '=', datasetId)
      .executeTakeFirst()
    return row && (await withTags(db, [row]))[0]
  },

  /** Throws NotFound, in the words of `otherwise`: MLflow has several. */
  async byId(
    db: Db,
    datasetId: string,
    otherwise = `Evaluation dataset with id '${datasetId}' not found`,
  ): Promise<EvaluationDataset> {
    const dataset = await this.find(db, datasetId)
    if (!dataset) throw new AppError('NotFound', otherwise, 'Search datasets to see which there are.')
    return dataset
  },

  /** With its records. A dataset that is not there is deleted already. */
  async delete(tx: Tx, datasetId: string): Promise<void> {
    for (const table of [
      'evaluation_dataset_records',
      'evaluation_dataset_experiments',
      'evaluation_dataset_tags',
      'evaluation_datasets',
    ] as const)
      await tx.deleteFrom(table).where('dataset_id', '=', datasetId).execute()
  },

  async setTags(tx: Tx, datasetId: string, tags: Record<string, string | null>): Promise<void> {
    for (const [key, value] of Object.entries(tags))
      await tx
        .insertInto('evaluation_dataset_tags')
        .values({ dataset_id: datasetId, key, value })
        .onConflict((c) => c.columns(['dataset_id', 'key']).doUpdateSet({ value }))
        .execute()
  },

  async deleteTag(tx: Tx, datasetId: string, key: string): Promise<void> {
    await tx.deleteFrom('evaluation_dataset_tags').where('dataset_id', '=', datasetId).where('key', '=', key).execute()
  },

  async experimentIds(db: Db, datasetId: string): Promise<ExperimentId[]> {
    const rows = await db
      .selectFrom('evaluation_dataset_experiments')
      .select('experiment_id')
      .where('dataset_id', '=', datasetId)
      .orderBy('linked_at')
      .orderBy('experiment_id')
      .execute()
    return rows.map((row) => row.experiment_id)
  },

  async link(tx: Tx, datasetId: string, experimentIds: readonly ExperimentId[], now: EpochMs): Promise<void> {
    for (const experimentId of experimentIds)
      await tx
        .insertInto('evaluation_dataset_experiments')
        .values({ dataset_id: datasetId, experiment_id: experimentId, linked_at: now })
        .onConflict((c) => c.columns(['dataset_id', 'experiment_id']).doNothing())
        .execute()
  },

  /** Whether there was one of these links. */
  async unlink(tx: Tx, datasetId: string, experimentIds: readonly ExperimentId[]): Promise<boolean> {
    let removed = false
    for (const experimentId of experimentIds) {
      const { numDeletedRows } = await tx
        .deleteFrom('evaluation_dataset_experiments')
        .where('dataset_id', '=', datasetId)
        .where('experiment_id', '=', experimentId)
        .executeTakeFirst()
      removed ||= numDeletedRows > 0n
    }
    return removed
  },

  async touch(tx: Tx, datasetId: string, now: EpochMs): Promise<void> {
    await tx.updateTable('evaluation_datasets').set({ updated_at: now }).where('dataset_id', '=', datasetId).execute()
  },

  /** What follows from a change of the records; a schema or count of nothing leaves what is there. */
  async recordsMerged(
    tx: Tx,
    dataset: EvaluationDataset,
    after: { schema: string | undefined; records: number; user: string | undefined; now: EpochMs },
  ): Promise<void> {
    await tx
      .updateTable('evaluation_datasets')
      .set({
        updated_at: after.now,
        updated_by: after.user ?? null,
        digest: digestOf(dataset.name, after.now),
        schema: after.schema ?? dataset.schema ?? null,
        profile: after.records > 0 ? profileOf(after.records) : (dataset.profile ?? null),
      })
      .where('dataset_id', '=', dataset.datasetId)
      .execute()
  },

  /** Deleting records changes the profile only, as in MLflow; of an emptied dataset it is the JSON text `null`. */
  async recordsDeleted(tx: Tx, datasetId: string, records: number): Promise<void> {
    await tx
      .updateTable('evaluation_datasets')
      .set({ profile: records > 0 ? profileOf(records) : 'null' })
      .where('dataset_id', '=', datasetId)
      .execute()
  },

  async search(db: Db, search: DatasetSearch): Promise<Found<EvaluationDataset>> {
    const sort = [...datasetOrder(search.orderBy), { column: 'dataset_id', descending: true }].map((term) => ({
      expression: sql.ref(`d.${term.column}`),
      descending: term.descending,
    }))
    const question = {
      of: 'evaluation datasets',
      in: search.experimentIds ?? [],
      filter: search.filter ?? '',
      order: search.orderBy ?? [],
    }
    const after = readPageToken(question, search.pageToken, sort.length)
    let query = db
      .selectFrom('evaluation_datasets as d')
      .selectAll()
      .select(sort.map((column, index) => sql<string | number>`${column.expression}`.as(`s${index}`)))
      .orderBy(orderSql(sort))
      .limit(search.limit + 1)
    if (search.experimentIds?.length)
      query = query.where(sql<SqlBool>`exists (select 1 from evaluation_dataset_experiments x
        where x.dataset_id = d.dataset_id and x.experiment_id in (${sql.join(search.experimentIds)}))`)
    for (const clause of datasetFilter(search.filter)) query = query.where(clauseSql(clause))
    if (after) query = query.where(afterSql(sort, after))
    const rows = await query.execute()
    const items = await withTags(db, rows.slice(0, search.limit))
    return { items, ...nextPage(question, rows, search.limit, sort.length) }
  },
}

const clauseSql = (clause: DatasetClause) =>
  clause.type === 'tag'
    ? sql<SqlBool>`exists (select 1 from evaluation_dataset_tags t where t.dataset_id = d.dataset_id
        and t.key = ${clause.key} and ${compareSql(sql.ref('t.value'), clause)})`
    : compareSql(sql.ref(`d.${clause.key}`), clause)

/** As MLflow computes it: any change of the dataset shows in it. */
const digestOf = (name: string, updatedAt: EpochMs): string =>
  createHash('sha256').update(`${name}:${updatedAt}`).digest('hex').slice(0, 8)

const profileOf = (records: number): string => `{"num_records": ${records}}`

async function withTags(db: Db, rows: readonly Row[]): Promise<EvaluationDataset[]> {
  const tags = new Map<string, Record<string, string | null>>()
  // Below what one statement may hold of parameters.
  for (let i = 0; i < rows.length; i += 1000) {
    const ids = rows.slice(i, i + 1000).map((row) => row.dataset_id)
    const found = await db
      .selectFrom('evaluation_dataset_tags')
      .selectAll()
      .where('dataset_id', 'in', ids)
      .orderBy('dataset_id')
      .orderBy('key')
      .execute()
    for (const { dataset_id, key, value } of found)
      tags.set(dataset_id, Object.assign(tags.get(dataset_id) ?? {}, { [key]: value }))
  }
  return rows.map((row) => ({
    datasetId: row.dataset_id,
    name: row.name,
    digest: row.digest,
    tags: tags.get(row.dataset_id) ?? {},
    schema: row.schema ?? undefined,
    profile: row.profile ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    createdBy: row.created_by ?? undefined,
    updatedBy: row.updated_by ?? undefined,
  }))
}
