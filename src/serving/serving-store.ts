import { appendAudit } from '../access/index.ts'
import { type Db, type Tx, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import { addLatency, type LatencyHistogram, mergeHistograms } from './decide/latency-histogram.ts'
import type { PredictionRecord } from './gateway-state.ts'

export type Counts = { answered: number; inputRefused: number; failed: number; latencies: LatencyHistogram }
export type ParquetFile = {
  path: string
  project: string
  environment: string
  fromAt: EpochMs
  toAt: EpochMs
  rows: number
}
type Span = Counts & Place & { digest: string; at: EpochMs }

const secondMs = 1_000
const minuteMs = 60_000

/** Writes serving_segments, serving_counts and serving_parquet. */
export class ServingStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async segments(): Promise<Map<string, { offset: number; storedAs: string }>> {
    const rows = await this.#db
      .selectFrom('serving_segments')
      .select(['segment', 'offset_bytes', 'stored_as'])
      .execute()
    return new Map(rows.map((row) => [row.segment, { offset: Number(row.offset_bytes), storedAs: row.stored_as }]))
  }

  /**
   * Adds records to the counts and moves the segment's offset from `from` to `to`, both or neither.
   * @returns false where another reader has moved it meanwhile: nothing is counted then
   */
  async take(segment: string, from: number, to: number, records: PredictionRecord[], bad: number): Promise<boolean> {
    return transact(this.#db, async (tx) => {
      await tx
        .insertInto('serving_segments')
        .values({ segment, offset_bytes: 0, lines: 0, bad_lines: 0, stored_as: 'journal' })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      const moved = await tx
        .updateTable('serving_segments')
        .set((eb) => ({
          offset_bytes: to,
          lines: eb('lines', '+', records.length),
          bad_lines: eb('bad_lines', '+', bad),
        }))
        .where('segment', '=', segment)
        .where('offset_bytes', '=', from)
        .executeTakeFirst()
      if (Number(moved.numUpdatedRows) === 0) return false
      for (const span of spansOf(records)) await addSpan(tx, span)
      return true
    })
  }

  async countsSince(project: string, environment: string, digest: Digest, sinceMs: EpochMs): Promise<Counts> {
    const rows = await this.#db
      .selectFrom('serving_counts')
      .selectAll()
      .where('project', '=', project)
      .where('environment', '=', environment)
      .where('digest', '=', digest)
      .where('at', '>=', Math.floor(sinceMs / secondMs) * secondMs)
      .execute()
    return sumOf(rows.map(countsOf))
  }

  /** Seconds before `before` become minutes, so that a year of traffic stays small. */
  async fold(before: EpochMs): Promise<void> {
    const limit = Math.floor(before / minuteMs) * minuteMs
    await transact(this.#db, async (tx) => {
      const rows = await tx
        .selectFrom('serving_counts')
        .selectAll()
        .where('at', '<', limit)
        .where((eb) => eb(eb('at', '%', minuteMs), '!=', 0))
        .limit(2_000)
        .execute()
      for (const row of rows) {
        await tx
          .deleteFrom('serving_counts')
          .where('project', '=', row.project)
          .where('environment', '=', row.environment)
          .where('digest', '=', row.digest)
          .where('at', '=', row.at)
          .execute()
        await addSpan(tx, { ...row, ...countsOf(row), at: Math.floor(Number(row.at) / minuteMs) * minuteMs })
      }
    })
  }

  /** From here on the segment's predictions are read from these files. */
  async converted(segment: string, files: ParquetFile[]): Promise<void> {
    await transact(this.#db, async (tx) => {
      for (const { fromAt, toAt, ...file } of files)
        await tx
          .insertInto('serving_parquet')
          .values({ ...file, segment, from_at: fromAt, to_at: toAt })
          .onConflict((conflict) => conflict.column('path').doNothing())
          .execute()
      await tx.updateTable('serving_segments').set({ stored_as: 'parquet' }).where('segment', '=', segment).execute()
    })
  }

  async parquetFiles(within: {
    project?: string
    environment?: string
    fromMs: EpochMs
    toMs: EpochMs
  }): Promise<string[]> {
    let query = this.#db
      .selectFrom('serving_parquet')
      .select('path')
      .where('to_at', '>=', within.fromMs)
      .where('from_at', '<=', within.toMs)
      .orderBy('from_at')
    if (within.project !== undefined) query = query.where('project', '=', within.project)
    if (within.environment !== undefined) query = query.where('environment', '=', within.environment)
    return (await query.execute()).map((row) => row.path)
  }

  /** Files of which every row is older than `before`, the oldest first. */
  async parquetFilesBefore({ project, environment }: Place, before: EpochMs, limit: number) {
    return this.#db
      .selectFrom('serving_parquet')
      .select(['path', 'rows'])
      .where('project', '=', project)
      .where('environment', '=', environment)
      .where('to_at', '<', before)
      .orderBy('to_at')
      .limit(limit)
      .execute()
  }

  /** Rows were removed from a file; `isEmpty`: the file is gone. */
  async shrunk(path: string, removed: number, isEmpty: boolean): Promise<void> {
    if (isEmpty) await this.#db.deleteFrom('serving_parquet').where('path', '=', path).execute()
    else
      await this.#db
        .updateTable('serving_parquet')
        .set((eb) => ({ rows: eb('rows', '-', removed) }))
        .where('path', '=', path)
        .execute()
  }

  /** Files that were removed because they are older than Git says they are kept. */
  async expired(
    { project, environment }: Place,
    files: readonly { path: string; rows: number }[],
    at: EpochMs,
    keepMs: number,
  ) {
    const paths = files.map(({ path }) => path)
    const rows = files.reduce((sum, file) => sum + Number(file.rows), 0)
    await transact(this.#db, async (tx) => {
      await tx.deleteFrom('serving_parquet').where('path', 'in', paths).execute()
      await appendAudit(tx, {
        at,
        actor: 'modelwright',
        action: 'predictions.expire',
        subject: `${project}/${environment}`,
        details: { files: paths.length, rows, keepMs },
      })
    })
  }
}

function spansOf(records: PredictionRecord[]): Span[] {
  const spans = new Map<string, Span>()
  for (const { project, environment, digest, at: answeredAt, outcome, latencyMs } of records) {
    const at = Math.floor(answeredAt / secondMs) * secondMs
    const place = JSON.stringify([project, environment, digest, at])
    const span = spans.get(place) ?? {
      project,
      environment,
      digest,
      at,
      answered: 0,
      inputRefused: 0,
      failed: 0,
      latencies: {},
    }
    spans.set(place, span)
    if (outcome === 'answered') {
      span.answered++
      addLatency(span.latencies, latencyMs)
    } else if (outcome === 'failed') span.failed++
    else span.inputRefused++
  }
  return [...spans.values()]
}

async function addSpan(tx: Tx, { project, environment, digest, at, ...added }: Span): Promise<void> {
  const known = await tx
    .selectFrom('serving_counts')
    .selectAll()
    .where('project', '=', project)
    .where('environment', '=', environment)
    .where('digest', '=', digest)
    .where('at', '=', at)
    .executeTakeFirst()
  const { answered, inputRefused, failed, latencies } = known ? sumOf([countsOf(known), added]) : added
  const counts = { answered, input_refused: inputRefused, failed, latencies: JSON.stringify(latencies) }
  await tx
    .insertInto('serving_counts')
    .values({ project, environment, digest, at, ...counts })
    .onConflict((conflict) => conflict.columns(['project', 'environment', 'digest', 'at']).doUpdateSet(counts))
    .execute()
}

const countsOf = (row: { answered: number; input_refused: number; failed: number; latencies: string }): Counts => ({
  answered: Number(row.answered),
  inputRefused: Number(row.input_refused),
  failed: Number(row.failed),
  latencies: JSON.parse(row.latencies) as LatencyHistogram,
})

const sumOf = (all: Counts[]): Counts => ({
  answered: all.reduce((sum, one) => sum + one.answered, 0),
  inputRefused: all.reduce((sum, one) => sum + one.inputRefused, 0),
  failed: all.reduce((sum, one) => sum + one.failed, 0),
  latencies: mergeHistograms(all.map((one) => one.latencies)),
})
