import { type Selectable, sql } from 'kysely'
import { type Db, deleteSome, deleteSomeOf, type Tx } from '../db/index.ts'
import type { TraceTables } from '../db/tables/traces.ts'
import { AppError } from '../kernel/errors.ts'
import { experimentNumber } from '../tracking/index.ts'
import { assessmentStore } from './assessment-store.ts'
import { checkLength, traceLimits } from './decide/limits.ts'
import { plain } from './decide/python-json.ts'
import { numbersOf } from './decide/usage.ts'
import { type Assessment, type TraceId, type TraceInfo, type TraceState, traceMetadata, traceTags } from './traces.ts'

export type TraceRow = Selectable<TraceTables['traces']>
type Pairs = Readonly<Record<string, string>>

const atOnce = 500
const purgedAtOnce = 100

/** Traces with their tags, metadata and links. */
export const traceStore = {
  async find(db: Db, traceId: TraceId): Promise<TraceRow | undefined> {
    return db.selectFrom('traces').selectAll().where('trace_id', '=', traceId).executeTakeFirst()
  },

  async byId(db: Db, traceId: TraceId): Promise<TraceRow> {
    const row = await this.find(db, traceId)
    if (!row) throw noTrace(traceId)
    return row
  },

  /** Those that there are, in the order asked for. */
  async rows(db: Db, traceIds: readonly TraceId[]): Promise<TraceRow[]> {
    const found = new Map<TraceId, TraceRow>()
    for (const ids of chunks([...new Set(traceIds)], atOnce))
      for (const row of await db.selectFrom('traces').selectAll().where('trace_id', 'in', ids).execute())
        found.set(row.trace_id, row)
    return [...new Set(traceIds)].flatMap((id) => found.get(id) ?? [])
  },

  async infos(db: Db, rows: readonly TraceRow[]): Promise<TraceInfo[]> {
    const ids = rows.map((row) => row.trace_id)
    const tags = await this.pairs(db, 'trace_tags', ids)
    const metadata = await this.pairs(db, 'trace_metadata', ids)
    const assessments = await assessmentStore.ofTraces(db, ids)
    return rows.map((row) =>
      infoFrom(row, tags.get(row.trace_id), metadata.get(row.trace_id), assessments.get(row.trace_id)),
    )
  },

  async insert(db: Db, row: Pick<TraceRow, 'trace_id' | 'experiment_id' | 'started_at' | 'state'> & Partial<TraceRow>) {
    await db.insertInto('traces').values(row).execute()
  },

  async update(db: Db, traceId: TraceId, change: Partial<TraceRow>): Promise<void> {
    if (Object.keys(change).length > 0)
      await db.updateTable('traces').set(change).where('trace_id', '=', traceId).execute()
  },

  async setPairs(db: Db, table: 'trace_tags' | 'trace_metadata', traceId: TraceId, pairs: Pairs): Promise<void> {
    const rows = Object.entries(pairs).map(([key, value]) => ({ trace_id: traceId, key, value }))
    for (const values of chunks(rows, atOnce))
      await db
        .insertInto(table)
        .values(values)
        .onConflict((c) => c.columns(['trace_id', 'key']).doUpdateSet((e) => ({ value: e.ref('excluded.value') })))
        .execute()
  },

  async pairs(
    db: Db,
    table: 'trace_tags' | 'trace_metadata',
    traceIds: readonly TraceId[],
  ): Promise<Map<TraceId, Record<string, string>>> {
    const found = new Map<TraceId, Record<string, string>>()
    for (const ids of chunks(traceIds, atOnce))
      for (const { trace_id, key, value } of await db
        .selectFrom(table)
        .selectAll()
        .where('trace_id', 'in', ids)
        .orderBy('trace_id')
        .orderBy('key')
        .execute()) {
        const pairs = found.get(trace_id) ?? {}
        pairs[key] = value
        found.set(trace_id, pairs)
      }
    return found
  },

  /** Which of the traces have this piece of metadata. */
  async having(db: Db, key: string, traceIds: readonly TraceId[]): Promise<Set<TraceId>> {
    const rows = await db
      .selectFrom('trace_metadata')
      .select('trace_id')
      .where('trace_id', 'in', traceIds)
      .where('key', '=', key)
      .execute()
    return new Set(rows.map((row) => row.trace_id))
  },

  /** Throws NotFound for a tag that is not there. */
  async deleteTag(db: Db, traceId: TraceId, key: string): Promise<void> {
    const row = await this.byId(db, traceId)
    const missing = new AppError(
      'NotFound',
      `No trace tag with key '${key}' for trace with ID '${traceId}'`,
      'Nothing to delete.',
    )
    if (key === traceTags.name) {
      if (row.name === null) throw missing
      return this.update(db, traceId, { name: null })
    }
    const { numDeletedRows } = await db
      .deleteFrom('trace_tags')
      .where('trace_id', '=', traceId)
      .where('key', '=', key)
      .executeTakeFirst()
    if (numDeletedRows === 0n) throw missing
  },

  async link(db: Db, traceIds: readonly TraceId[], kind: 'run' | 'prompt', targets: readonly string[]): Promise<void> {
    const values = traceIds.flatMap((trace_id) => targets.map((target) => ({ trace_id, kind, target })))
    for (const some of chunks(values, atOnce))
      await db
        .insertInto('trace_links')
        .values(some)
        .onConflict((c) => c.columns(['trace_id', 'kind', 'target']).doNothing())
        .execute()
  },

  /** Oldest first. */
  async idsToDelete(
    db: Db,
    where: { experimentId: string; until?: number; traceIds?: readonly TraceId[]; limit: number },
  ): Promise<TraceId[]> {
    let query = db
      .selectFrom('traces')
      .select('trace_id')
      .where('experiment_id', '=', experimentNumber(where.experimentId))
      .orderBy('started_at')
      .orderBy('trace_id')
      .limit(where.limit)
    if (where.until !== undefined) query = query.where('started_at', '<=', where.until)
    if (where.traceIds) query = query.where('trace_id', 'in', where.traceIds)
    return (await query.execute()).map((row) => row.trace_id)
  },

  /** With all that belongs to them. */
  async delete(db: Db, traceIds: readonly TraceId[]): Promise<void> {
    if (traceIds.length === 0) return
    for (const [table] of keys)
      await sql`delete from ${sql.table(table)} where trace_id in (${sql.join(traceIds)})`.execute(db)
  },

  /** At most `limit` rows of the experiment's oldest traces; a trace goes when nothing belongs to it any more. */
  async purgeSome(tx: Tx, experimentId: string, limit: number): Promise<number> {
    const ids = await this.idsToDelete(tx, { experimentId, limit: purgedAtOnce })
    if (ids.length === 0) return 0
    const where = sql`trace_id in (${sql.join(ids)})`
    return deleteSomeOf(
      tx,
      keys.map(([table, ...key]) => ({ table, key, where })),
      limit,
    )
  },

  unlinkSome(tx: Tx, kind: 'run' | 'prompt', targets: readonly string[], limit: number): Promise<number> {
    const where = sql`kind = ${kind} and target in (${sql.join(targets)})`
    return deleteSome(tx, 'trace_links', { key: ['trace_id', 'kind', 'target'], where, limit })
  },
}

/** The tables that traces lie in, with their primary keys; the trace itself last. */
const keys = [
  ['trace_links', 'trace_id', 'kind', 'target'],
  ['trace_assessments', 'assessment_id'],
  ['trace_spans', 'trace_id', 'span_id'],
  ['trace_metadata', 'trace_id', 'key'],
  ['trace_tags', 'trace_id', 'key'],
  ['traces', 'trace_id'],
] as const

/** The columns that metadata is summed by; only those that it tells of. Throws BadRequest for a session's id that is too long. */
export function columnsOfMetadata(metadata: Pairs): Partial<TraceRow> {
  const usage = numbersOf(plain(metadata[traceMetadata.usage]))
  const cost = numbersOf(plain(metadata[traceMetadata.cost]))
  const session = metadata[traceMetadata.session]
  checkLength('Session ID', traceLimits.sessionId, session)
  return {
    ...(session === undefined ? {} : { session_id: session }),
    ...(usage ? columnsOfUsage(usage) : {}),
    ...(cost ? columnsOfCost(cost) : {}),
  }
}

export const columnsOfUsage = (usage: Record<string, number>): Partial<TraceRow> => ({
  input_tokens: whole(usage.input_tokens),
  output_tokens: whole(usage.output_tokens),
  total_tokens: whole(usage.total_tokens),
  cache_read_input_tokens: whole(usage.cache_read_input_tokens),
  cache_creation_input_tokens: whole(usage.cache_creation_input_tokens),
})

export const columnsOfCost = (cost: Record<string, number>) => ({
  input_cost: cost.input_cost ?? null,
  output_cost: cost.output_cost ?? null,
  total_cost: cost.total_cost ?? null,
})

const whole = (count: number | undefined): number | null =>
  count !== undefined && Number.isSafeInteger(count) ? count : null

function infoFrom(row: TraceRow, tags: Pairs = {}, metadata: Pairs = {}, assessments: Assessment[] = []): TraceInfo {
  return {
    traceId: row.trace_id,
    experimentId: String(row.experiment_id),
    startedAt: row.started_at,
    durationMs: row.duration_ms ?? undefined,
    state: row.state as TraceState,
    clientRequestId: row.client_request_id ?? undefined,
    requestPreview: row.request_preview ?? undefined,
    responsePreview: row.response_preview ?? undefined,
    metadata,
    tags: row.name === null ? tags : { ...tags, [traceTags.name]: row.name },
    assessments,
  }
}

export const noTrace = (traceId: TraceId): AppError =>
  new AppError('NotFound', `Trace with ID '${traceId}' not found.`, 'Search the traces of the experiment.')

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
