import type { Readable } from 'node:stream'
import type {
  ExperimentRecord,
  LoggedModelRecord,
  MetricValue,
  ModelVersionRecord,
  PointsRecord,
  RegisteredModelRecord,
  RunRecord,
} from '../../imports/imports-contract.ts'
import type { LatestMetric } from '../../imports/item-facts-contract.ts'

/** A run without its points, and the latest point of each metric as the source itself has it. */
export type SourceRun = { record: RunRecord; latest: LatestMetric[] }

/** A file below a run's or logged model's artifacts; `path` is relative, with forward slashes. */
export type SourceFile = { path: string; size: number; open: () => Promise<Readable> }

/** Something in the source that cannot be read: told, and left out. */
export type Problem = { place: string; reason: string }

/**
 * Where MLflow's records lie, in one set of words whatever it is: a server, an `mlruns/` folder, a database. Only reads. Order is
 * the source's own; each record comes once. What is malformed is told as a problem and left out, never thrown.
 */
export type Source = {
  /** Names the source for good, without credentials: an import is carried on under it. */
  uri: string
  /** For people: what it is, and of which version. */
  title: string
  experiments: () => AsyncIterable<ExperimentRecord>
  /** Deleted ones too, some hundred at once. */
  runs: (experimentId: string) => AsyncIterable<SourceRun[]>
  /** The run with what a listing of many leaves out. */
  whole: (run: SourceRun) => Promise<SourceRun>
  /** Every point of the metrics of these runs, run by run. */
  points: (runs: readonly SourceRun[]) => AsyncIterable<PointsRecord>
  loggedModels: (experimentId: string) => AsyncIterable<LoggedModelRecord>
  registeredModels: () => AsyncIterable<RegisteredModelRecord>
  versions: (model: string) => AsyncIterable<ModelVersionRecord>
  /** Files below its artifacts; undefined where they cannot be reached from here. */
  files: (owner: RunRecord | LoggedModelRecord) => Promise<SourceFile[] | undefined>
  /** The URI under which others find what stays there. */
  reference: (artifactUri: string) => string
  close: () => Promise<void>
}

/** Points of one record: some hundred kilobytes. */
export const pointsAtOnce = 20_000

type Point = { timestamp: number; step: number; value: MetricValue }

/** Points as records of a bounded size; those that no database of ours can hold are told. */
export class PointsBuilder {
  readonly #tell: (problem: Problem) => void

  constructor(tell: (problem: Problem) => void) {
    this.#tell = tell
  }

  *records(run: string, key: string, points: Iterable<Point>): Generator<PointsRecord> {
    let record = emptyRecord(run, key)
    const seen = new Set<string>()
    for (const { timestamp, step, value } of points) {
      // Files may hold a point twice, a database never does: counted once, as it is kept.
      const point = `${timestamp} ${step} ${value}`
      if (seen.has(point)) continue
      seen.add(point)
      if (!Number.isSafeInteger(timestamp) || timestamp < 0 || !Number.isSafeInteger(step)) {
        this.#tell({
          place: `run ${run}, metric "${key}"`,
          reason: `the point at time ${timestamp}, step ${step} lies outside what can be kept`,
        })
        continue
      }
      record.timestamps.push(timestamp)
      record.steps.push(step)
      record.values.push(value)
      if (record.values.length < pointsAtOnce) continue
      yield record
      record = emptyRecord(run, key)
    }
    if (record.values.length > 0) yield record
  }
}

const emptyRecord = (run: string, key: string): PointsRecord => ({
  kind: 'points',
  run,
  key,
  timestamps: [],
  steps: [],
  values: [],
})

/** NaN and infinities have no form in JSON. */
export function metricValue(value: number): MetricValue {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Number.POSITIVE_INFINITY) return 'Infinity'
  if (value === Number.NEGATIVE_INFINITY) return '-Infinity'
  return value
}

/** Python's, JSON's and protobuf's spellings of a number; undefined where it is none. */
export function readNumber(text: unknown): number | undefined {
  if (typeof text === 'number') return text
  if (typeof text !== 'string' || text.trim() === '') return undefined
  const [, sign, word] = /^\s*([+-]?)(nan|inf|infinity)\s*$/i.exec(text) ?? []
  if (word) return word.toLowerCase() === 'nan' ? Number.NaN : sign === '-' ? -Infinity : Infinity
  const number = Number(text)
  return Number.isNaN(number) ? undefined : number
}

/** By step, time and value, as MLflow finds a metric's latest point; NaN counts as 0. */
export function isLater(a: Point, b: Point): boolean {
  if (a.step !== b.step) return a.step > b.step
  if (a.timestamp !== b.timestamp) return a.timestamp > b.timestamp
  return ordinal(a.value) > ordinal(b.value)
}

const ordinal = (value: MetricValue): number => (value === 'NaN' ? 0 : Number(value))
