import { join } from 'node:path'
import type { Db } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { latencyQuantileMs } from './decide/latency-histogram.ts'
import type { PredictionRecord } from './gateway-state.ts'
import { JournalFolder } from './journal-folder.ts'
import { decodePredictionId } from './prediction-id.ts'
import { PredictionParquet } from './prediction-parquet.ts'
import { type PredictionRow, rowsOfRecord } from './prediction-row.ts'
import { ServingStore } from './serving-store.ts'

/** What was seen of one version: requests = answered + failed + inputRefused; latencies are those of the answered ones. */
export type Observations = {
  requests: number
  failed: number
  inputRefused: number
  p50LatencyMs?: number
  p99LatencyMs?: number
}

export type RowsWanted = {
  project: string
  environment: string
  fromMs: EpochMs
  toMs: EpochMs
  digest?: Digest
  limit: number
}

const keepSecondsMs = 3_600_000

/** The server's prediction log: counts in the database, rows in the gateways' journals first and in Parquet later. */
export class PredictionLog {
  readonly #store: ServingStore
  readonly #journal: JournalFolder
  readonly #parquet: PredictionParquet
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()
  #foldedAt = 0

  constructor(setting: { db: Db; dataDir: string; clock: Clock }) {
    this.#store = new ServingStore(setting.db)
    this.#journal = new JournalFolder(join(setting.dataDir, 'gateway', 'journal'))
    this.#parquet = new PredictionParquet(join(setting.dataDir, 'predictions'))
    this.#clock = setting.clock
  }

  /** Takes in the journals' new whole lines, each once, whenever it is called and wherever an earlier call died. */
  ingest(): Promise<{ lines: number; bad: number }> {
    return this.#exclusive(async () => {
      const known = await this.#store.segments()
      const taken = { lines: 0, bad: 0 }
      for (const { name } of await this.#journal.segments()) {
        const state = known.get(name)
        if (state?.storedAs === 'parquet') continue
        const added = await this.#takeSegment(name, state?.offset ?? 0)
        taken.lines += added.lines
        taken.bad += added.bad
      }
      await this.#foldOldSeconds()
      return taken
    })
  }

  /** Turns closed segments that are taken in whole into Parquet, and removes them once that is recorded. */
  convert(): Promise<{ segments: number }> {
    return this.#exclusive(async () => {
      let segments = 0
      for (const { name, isOpen } of await this.#journal.segments()) {
        if (isOpen) continue
        const state = (await this.#store.segments()).get(name)
        if (state?.storedAs !== 'parquet') {
          await this.#takeSegment(name, state?.offset ?? 0)
          await this.#store.converted(name, await this.#parquet.write(name, this.#journal.pathOf(name)))
          segments++
        }
        await this.#journal.remove(name)
      }
      return { segments }
    })
  }

  /** Since a time, to the second (to the minute beyond the last hour); rounded down, so that nothing is missed. */
  async observationsSince(
    project: string,
    environment: string,
    digest: Digest,
    sinceMs: EpochMs,
  ): Promise<Observations> {
    const { answered, failed, inputRefused, latencies } = await this.#store.countsSince(
      project,
      environment,
      digest,
      sinceMs,
    )
    const p50LatencyMs = latencyQuantileMs(latencies, 0.5)
    const p99LatencyMs = latencyQuantileMs(latencies, 0.99)
    return {
      requests: answered + failed + inputRefused,
      failed,
      inputRefused,
      ...(p50LatencyMs === undefined ? {} : { p50LatencyMs }),
      ...(p99LatencyMs === undefined ? {} : { p99LatencyMs }),
    }
  }

  /** The newest rows first, each once, whether they are Parquet already or not. */
  rows(wanted: RowsWanted): Promise<PredictionRow[]> {
    return this.#exclusive(async () => {
      let rows = await this.#parquet.read(await this.#store.parquetFiles(wanted), wanted)
      for await (const record of this.#journalRecords(wanted.toMs)) {
        const isWanted =
          record.project === wanted.project &&
          record.environment === wanted.environment &&
          record.at >= wanted.fromMs &&
          record.at <= wanted.toMs &&
          (wanted.digest === undefined || record.digest === wanted.digest)
        if (!isWanted) continue
        for (const row of rowsOfRecord(record)) rows.push(row)
        if (rows.length > 2 * wanted.limit + 10_000) rows = newest(rows, wanted.limit)
      }
      return newest(rows, wanted.limit)
    })
  }

  /** The record of a prediction, or of the row that the id names. */
  find(predictionId: string): Promise<PredictionRecord | undefined> {
    const decoded = decodePredictionId(predictionId)
    if (!decoded) return Promise.resolve(undefined)
    return this.#exclusive(async () => {
      const { at, prediction, row } = decoded
      const record = (await this.#findInJournal(prediction, at)) ?? (await this.#findInParquet(prediction, at))
      if (!record || row === undefined) return record
      return record.rows[row] ? { ...record, rows: [record.rows[row]] } : undefined
    })
  }

  /** The records of many predictions, found in one pass; ids may name rows. Those that the log does not have are left out. */
  findMany(predictionIds: readonly string[]): Promise<PredictionRecord[]> {
    const wanted = new Map<string, EpochMs>()
    for (const id of predictionIds) {
      const decoded = decodePredictionId(id)
      if (decoded) wanted.set(decoded.prediction, decoded.at)
    }
    if (wanted.size === 0) return Promise.resolve([])
    return this.#exclusive(async () => {
      const times = [...wanted.values()].sort((a, b) => a - b)
      const [fromMs, toMs] = [times[0]!, times.at(-1)!]
      const found: PredictionRecord[] = []
      for await (const record of this.#journalRecords(toMs)) if (wanted.delete(record.id)) found.push(record)
      if (wanted.size === 0) return found
      const paths = await this.#store.parquetFiles({ fromMs, toMs })
      const predictions = [...wanted.keys()]
      const rows = await this.#parquet.read(paths, { fromMs, toMs, predictions, limit: Number.MAX_SAFE_INTEGER })
      for (const [prediction, its] of Map.groupBy(rows, ({ id }) => id.split(':')[0]!))
        found.push(recordOf(prediction, its))
      return found
    })
  }

  async #takeSegment(name: string, from: number): Promise<{ lines: number; bad: number }> {
    const taken = { lines: 0, bad: 0 }
    for (let offset = from; ; ) {
      const { records, bad, end } = await this.#journal.linesFrom(name, offset)
      if (end === offset || !(await this.#store.take(name, offset, end, records, bad))) return taken
      taken.lines += records.length
      taken.bad += bad
      offset = end
    }
  }

  async #foldOldSeconds(): Promise<void> {
    const now = this.#clock.now()
    if (now - this.#foldedAt < 60_000) return
    this.#foldedAt = now
    await this.#store.fold(now - keepSecondsMs)
  }

  /** Records that are not Parquet yet, of segments begun before a time. */
  async *#journalRecords(before: EpochMs, wanted?: (line: string) => boolean): AsyncGenerator<PredictionRecord> {
    const known = await this.#store.segments()
    for (const { name, startedAt } of await this.#journal.segments()) {
      // A record is stamped when its answer begins, a segment when it is first written to: an hour covers any answer.
      if (startedAt > before + 3_600_000 || known.get(name)?.storedAs === 'parquet') continue
      yield* this.#journal.recordsOf(name, wanted)
    }
  }

  async #findInJournal(prediction: string, at: EpochMs): Promise<PredictionRecord | undefined> {
    for await (const record of this.#journalRecords(at, (line) => line.includes(prediction)))
      if (record.id === prediction) return record
    return undefined
  }

  async #findInParquet(prediction: string, at: EpochMs): Promise<PredictionRecord | undefined> {
    const paths = await this.#store.parquetFiles({ fromMs: at, toMs: at })
    const rows = await this.#parquet.read(paths, { fromMs: at, toMs: at, prediction, limit: 1_000_000 })
    return rows.length === 0 ? undefined : recordOf(prediction, rows)
  }

  /** One after the other: a reader must not look while a segment changes from journal to Parquet. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => undefined)
    return mine
  }
}

const newest = (rows: PredictionRow[], limit: number): PredictionRow[] =>
  rows.sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1)).slice(0, limit)

function recordOf(id: string, rows: PredictionRow[]): PredictionRecord {
  const { at, project, environment, model, version, digest, outcome, latencyMs, error } = rows[0]!
  const indexOf = (row: PredictionRow) => Number(row.id.split(':')[1] ?? 0)
  const inOrder = [...rows].sort((a, b) => indexOf(a) - indexOf(b))
  return {
    ...{ id, at, project, environment, model, version, digest, outcome, latencyMs },
    rows: inOrder.map(({ key, input, output }) => ({
      ...(key === undefined ? {} : { key }),
      input,
      ...(output === undefined ? {} : { output }),
    })),
    ...(error === undefined ? {} : { error }),
  }
}
