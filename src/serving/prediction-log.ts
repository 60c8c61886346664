import { join } from 'node:path'
import type { Db } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { newId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { concerns, type Erasure, erasedRow, namesSubject, type SubjectCells, withoutErased } from './decide/erased.ts'
import { latencyQuantileMs } from './decide/latency-histogram.ts'
import { ErasureStore } from './erasure-store.ts'
import type { PredictionRecord } from './gateway-state.ts'
import { JournalFolder } from './journal-folder.ts'
import { LogHash } from './log-hash.ts'
import { decodePredictionId } from './prediction-id.ts'
import { PredictionParquet } from './prediction-parquet.ts'
import { type PredictionRow, rowsOfRecord } from './prediction-row.ts'
import { type ParquetFile, ServingStore } from './serving-store.ts'

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
  readonly #erasures: ErasureStore
  readonly #hash: LogHash
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()
  #foldedAt = 0

  constructor(setting: { db: Db; dataDir: string; clock: Clock }) {
    this.#store = new ServingStore(setting.db)
    this.#journal = new JournalFolder(join(setting.dataDir, 'gateway', 'journal'))
    this.#parquet = new PredictionParquet(join(setting.dataDir, 'predictions'))
    this.#erasures = new ErasureStore(setting.db)
    this.#hash = new LogHash(join(setting.dataDir, 'gateway'))
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
          const files = await this.#parquet.write(name, this.#journal.pathOf(name))
          await this.#store.converted(name, await this.#withoutErased(files))
          segments++
        }
        await this.#journal.remove(name)
      }
      await this.#carryOnErasures()
      return { segments }
    })
  }

  /**
   * Removes all rows of a subject up to now: at once from the tables, from what the gateway still writes when its segment becomes a
   * table; until then such rows are shown no more. Recorded first, carried on after any death; the subject itself is written nowhere.
   */
  async erase(asked: {
    project: string
    environment?: string
    subject: string
    column?: string
    actor: string
  }): Promise<Erasure> {
    const at = this.#clock.now()
    const { project, environment, subject, column, actor } = asked
    const erasure: Erasure = {
      ...{ id: newId(at), at, project, subjectHash: this.#hash.of(subject), rows: 0, stage: 'files' },
      ...(environment === undefined ? {} : { environment }),
      ...(column === undefined ? {} : { column }),
    }
    await this.#erasures.add(erasure, actor)
    await this.#exclusive(() => this.#carryOnErasures())
    return (await this.#erasures.find(erasure.id))!
  }

  erasures(project: string, limit: number): Promise<Erasure[]> {
    return this.#erasures.ofProject(project, limit)
  }

  /** Removes what is older than it is kept; the counts stay. */
  expire(place: Place, keepMs: number): Promise<{ files: number }> {
    return this.#exclusive(async () => {
      const now = this.#clock.now()
      const files = await this.#store.parquetFilesBefore(place, now - keepMs, 1_000)
      // A file that is gone before its record is harmless; a record that is gone first would leave the file for ever.
      for (const { path } of files) await this.#parquet.remove(path)
      if (files.length > 0) await this.#store.expired(place, files, now, keepMs)
      return { files: files.length }
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
        for (const row of rowsOfRecord(record)) if (row.input !== erasedRow.input) rows.push(row)
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
      const its = record.rows[row]
      return its && its.input !== erasedRow.input ? { ...record, rows: [its] } : undefined
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

  async #carryOnErasures(): Promise<void> {
    const begun = await this.#journal.segments()
    for (const erasure of await this.#erasures.open()) {
      let { stage } = erasure
      if (stage === 'files') {
        const { project, environment, at } = erasure
        const within = { project, ...(environment === undefined ? {} : { environment }), fromMs: 0, toMs: at }
        for (const [path, { removed, isEmpty }] of await this.#eraseFrom(
          await this.#store.parquetFiles(within),
          erasure,
        ))
          await this.#store.shrunk(path, removed, isEmpty)
        stage = 'journals'
        await this.#erasures.move(erasure, stage, this.#clock.now())
      }
      // What was written before it was asked stands in segments that were begun before.
      if (!begun.some(({ startedAt }) => startedAt <= erasure.at))
        await this.#erasures.move(erasure, 'done', this.#clock.now())
    }
  }

  async #eraseFrom(paths: readonly string[], erasure: Erasure) {
    const { at: until, column } = erasure
    const isSubject = (cells: SubjectCells) => namesSubject(erasure, cells, this.#hash.of)
    const erased = await this.#parquet.erase(paths, { until, isSubject, ...(column === undefined ? {} : { column }) })
    const removed = [...erased.values()].reduce((sum, one) => sum + one.removed, 0)
    if (removed > 0) await this.#erasures.removed(erasure.id, removed)
    return erased
  }

  /** Tables that were just made, without what is to be erased. */
  async #withoutErased(files: ParquetFile[]): Promise<ParquetFile[]> {
    let left = files
    for (const erasure of await this.#erasures.open()) {
      const its = left.filter(({ fromAt, ...place }) => concerns(erasure, { ...place, at: fromAt }))
      const erased = await this.#eraseFrom(
        its.map(({ path }) => path),
        erasure,
      )
      left = left.flatMap((file) => {
        const { removed, isEmpty } = erased.get(file.path) ?? { removed: 0, isEmpty: false }
        return isEmpty ? [] : [{ ...file, rows: file.rows - removed }]
      })
    }
    return left
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
    const erasures = await this.#erasures.open()
    for (const { name, startedAt } of await this.#journal.segments()) {
      // A record is stamped when its answer begins, a segment when it is first written to: an hour covers any answer.
      if (startedAt > before + 3_600_000 || known.get(name)?.storedAs === 'parquet') continue
      for await (const record of this.#journal.recordsOf(name, wanted)) {
        // Of one that was not sampled nothing but its count is kept.
        const shown = record.sampled === false ? undefined : withoutErased(record, erasures, this.#hash.of)
        if (shown) yield shown
      }
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
  const { at, project, environment, model, version, digest, outcome, latencyMs, error, warnings } = rows[0]!
  const indexOf = (row: PredictionRow) => Number(row.id.split(':')[1] ?? 0)
  const byIndex = new Map(rows.map((row) => [indexOf(row), row]))
  // Rows that were erased leave their place empty: the ids of the others say it.
  const inOrder = Array.from({ length: Math.max(...byIndex.keys()) + 1 }, (_, index) => byIndex.get(index))
  return {
    ...{ id, at, project, environment, model, version, digest, outcome, latencyMs },
    rows: inOrder.map((row) => (row ? partsOf(row) : erasedRow)),
    ...(error === undefined ? {} : { error }),
    ...(warnings === undefined ? {} : { warnings }),
  }
}

const partsOf = ({ key, subject, input, output }: PredictionRow): PredictionRecord['rows'][number] => ({
  ...(key === undefined ? {} : { key }),
  ...(subject === undefined ? {} : { subject }),
  input,
  ...(output === undefined ? {} : { output }),
})
