import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import { type Db, insertStatement, isOneOf, type Tx } from '../db/index.ts'
import type { EvaluationTables } from '../db/tables/evaluations.ts'
import type { EpochMs } from '../kernel/time.ts'
import { type Found, nextPage, readPageToken } from '../tracking/index.ts'
import { mergedContent, newContent, type RecordDraft } from './decide/dataset-record.ts'
import type { DatasetRecord, SourceType } from './evaluations.ts'

type Row = EvaluationTables['evaluation_dataset_records']

/** A record with the id that it gets where it is new. */
export type NewRecord = { recordId: string; draft: RecordDraft }

/** Well below what one statement may hold. */
const rowsPerStatement = 200
/** Records are read in portions, until they are enough or heavy enough; the next page goes on from there. */
const rowsPerRead = 100
const heavyPage = 8 * 1024 * 1024

export const datasetRecordStore = {
  /** New records, and old ones merged with what comes again. Counts as MLflow does: the same inputs twice is one of each. */
  async merge(
    tx: Tx,
    datasetId: string,
    records: readonly NewRecord[],
    now: EpochMs,
  ): Promise<{ inserted: number; updated: number }> {
    const counts = { inserted: 0, updated: 0 }
    for (let i = 0; i < records.length; i += rowsPerStatement) {
      const some = records.slice(i, i + rowsPerStatement)
      const rows = await knownRows(tx, datasetId, some)
      for (const { recordId, draft } of some) {
        const known = rows.get(draft.inputHash)
        counts[known ? 'updated' : 'inserted']++
        const row = known
          ? { ...known, ...mergedContent(known, draft), updated_at: now }
          : { ...newRow(datasetId, recordId, draft), created_at: now, updated_at: now }
        rows.set(draft.inputHash, row)
      }
      await put(
        tx,
        [...rows.values()].map((row) => names.map((name) => row[name])),
      )
    }
    return counts
  },

  async count(db: Db, datasetId: string): Promise<number> {
    const { count } = await db
      .selectFrom('evaluation_dataset_records')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('dataset_id', '=', datasetId)
      .executeTakeFirstOrThrow()
    return Number(count)
  },

  /** Oldest first. A page ends early where its records are heavy. */
  async page(
    db: Db,
    datasetId: string,
    { limit, pageToken }: { limit: number; pageToken?: string },
  ): Promise<Found<DatasetRecord>> {
    const question = { of: 'records', in: datasetId }
    let after = readPageToken(question, pageToken, 2)
    const rows: (Selectable<Row> & { s0: number; s1: string })[] = []
    let bytes = 0
    while (rows.length <= limit && bytes < heavyPage) {
      const wanted = Math.min(rowsPerRead, limit + 1 - rows.length)
      const found = await rowsAfter(db, datasetId, after, wanted)
      for (const row of found) {
        rows.push({ ...row, s0: row.created_at, s1: row.record_id })
        bytes += weightOf(row)
      }
      if (found.length < wanted) break
      after = [found.at(-1)!.created_at, found.at(-1)!.record_id]
    }
    // The last of a heavy page only tells that there is more.
    const size = bytes < heavyPage ? limit : Math.min(limit, Math.max(1, rows.length - 1))
    return { items: rows.slice(0, size).map(recordFrom), ...nextPage(question, rows, size, 2) }
  },

  async delete(tx: Tx, datasetId: string, recordIds: readonly string[]): Promise<number> {
    let deleted = 0
    for (let i = 0; i < recordIds.length; i += 1000) {
      const { numDeletedRows } = await tx
        .deleteFrom('evaluation_dataset_records')
        .where('dataset_id', '=', datasetId)
        .where('record_id', 'in', recordIds.slice(i, i + 1000))
        .executeTakeFirst()
      deleted += Number(numDeletedRows)
    }
    return deleted
  },
}

async function knownRows(tx: Tx, datasetId: string, records: readonly NewRecord[]): Promise<Map<string, Row>> {
  const rows = await tx
    .selectFrom('evaluation_dataset_records')
    .selectAll()
    .where('dataset_id', '=', datasetId)
    .where(
      isOneOf(
        tx,
        sql.ref('input_hash'),
        records.map(({ draft }) => draft.inputHash),
      ),
    )
    .execute()
  return new Map(rows.map((row) => [row.input_hash, row]))
}

const newRow = (datasetId: string, recordId: string, draft: RecordDraft): Omit<Row, 'created_at' | 'updated_at'> => ({
  record_id: recordId,
  dataset_id: datasetId,
  input_hash: draft.inputHash,
  ...newContent(draft),
})

const columns = {
  record_id: 'text',
  dataset_id: 'text',
  input_hash: 'text',
  inputs: 'text',
  outputs: 'text',
  expectations: 'text',
  tags: 'text',
  source: 'text',
  source_id: 'text',
  source_type: 'text',
  created_at: 'bigint',
  updated_at: 'bigint',
  created_by: 'text',
  updated_by: 'text',
} as const satisfies Record<keyof Row, 'text' | 'bigint'>
const names = Object.keys(columns) as (keyof Row)[]
const replaced = ['outputs', 'expectations', 'tags', 'updated_at', 'updated_by']

const put = insertStatement(
  'evaluation_dataset_records',
  columns,
  `on conflict (dataset_id, input_hash) do update set ${replaced.map((name) => `${name} = excluded.${name}`).join(', ')}`,
)

async function rowsAfter(
  db: Db,
  datasetId: string,
  after: readonly unknown[] | undefined,
  limit: number,
): Promise<Selectable<Row>[]> {
  let query = db
    .selectFrom('evaluation_dataset_records')
    .selectAll()
    .where('dataset_id', '=', datasetId)
    .orderBy('created_at')
    .orderBy('record_id')
    .limit(limit)
  if (after) query = query.where(sql<boolean>`(created_at, record_id) > (${Number(after[0])}, ${String(after[1])})`)
  return query.execute()
}

const weightOf = (row: Selectable<Row>): number =>
  row.inputs.length + (row.outputs?.length ?? 0) + (row.expectations?.length ?? 0) + row.tags.length

const recordFrom = (row: Selectable<Row>): DatasetRecord => ({
  recordId: row.record_id,
  datasetId: row.dataset_id,
  inputs: row.inputs,
  outputs: row.outputs ?? undefined,
  expectations: row.expectations ?? undefined,
  tags: row.tags,
  source: row.source ?? undefined,
  sourceId: row.source_id ?? undefined,
  sourceType: (row.source_type as SourceType | null) ?? undefined,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  createdBy: row.created_by ?? undefined,
  updatedBy: row.updated_by ?? undefined,
})
