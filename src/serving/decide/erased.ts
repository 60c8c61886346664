import type { EpochMs } from '../../kernel/time.ts'
import type { PredictionRecord } from '../gateway-state.ts'

/** Whose rows shall go from the prediction log. The subject itself stands nowhere, only its keyed hash. */
export type Erasure = {
  id: string
  /** Rows up to this time go. */
  at: EpochMs
  project: string
  environment?: string
  subjectHash: string
  /** A column of the inputs that may name the subject, beside the key and the declared subject. */
  column?: string
  /** Removed so far. */
  rows: number
  stage: 'files' | 'journals' | 'done'
}

type Place = Pick<PredictionRecord, 'project' | 'environment' | 'at'>
/** What of a row may name its subject. */
export type SubjectCells = { key?: string | undefined; subject?: string | undefined; value?: string | undefined }

/** Stands in the place of a row that is gone. */
export const erasedRow: PredictionRecord['rows'][number] = Object.freeze({ input: Object.freeze({}) })

/** Pure. Whether an erasure speaks of records there and then. */
export const concerns = (erasure: Erasure, { project, environment, at }: Place): boolean =>
  erasure.project === project &&
  (erasure.environment === undefined || erasure.environment === environment) &&
  at <= erasure.at

/** Pure. Whether these cells name the subject, in clear or hashed. @param hash the log's keyed hash */
export const namesSubject = (
  { subjectHash }: Pick<Erasure, 'subjectHash'>,
  { key, subject, value }: SubjectCells,
  hash: (text: string) => string,
): boolean =>
  [key, subject, value].some((cell) => cell !== undefined && (cell === subjectHash || hash(cell) === subjectHash))

/**
 * Pure. A record as it may still be shown while erasures are carried out: rows that go are empty, so that the others keep their
 * places. undefined: nothing of it is left.
 */
export function withoutErased(
  record: PredictionRecord,
  erasures: readonly Erasure[],
  hash: (text: string) => string,
): PredictionRecord | undefined {
  const its = erasures.filter((erasure) => concerns(erasure, record))
  if (its.length === 0) return record
  const goes = record.rows.map((row) => its.some((erasure) => namesSubject(erasure, cellsOf(row, erasure), hash)))
  if (!goes.includes(true)) return record
  if (!goes.includes(false)) return undefined
  return { ...record, rows: record.rows.map((row, index) => (goes[index] ? erasedRow : row)) }
}

function cellsOf({ key, subject, input }: PredictionRecord['rows'][number], { column }: Erasure): SubjectCells {
  const value = column === undefined ? undefined : input[column]
  return { key, subject, value: value === undefined || value === null ? undefined : String(value) }
}
