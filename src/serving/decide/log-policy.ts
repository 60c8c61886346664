import { hashShare } from '../../math/hash-share.ts'
import type { LogPolicy } from '../../projects/index.ts'
import type { PredictionRecord } from '../gateway-state.ts'

type LoggedRow = PredictionRecord['rows'][number]
type Row = Record<string, unknown>

export type LogFacts = {
  /** Absent: everything is kept as it came. */
  policy: LogPolicy | undefined
  /** The data's key column. */
  keyColumn: string | undefined
  /** A keyed hash: equal texts stay equal, and nobody without the key tells which they were. */
  hash: (text: string) => string
}

/** Pure. Whether a request's rows are kept; by its id, so that every reader of the log would decide the same. */
export const isKept = (policy: LogPolicy | undefined, predictionId: string): boolean =>
  policy === undefined || policy.sample >= 1 || hashShare(predictionId, 'log:') < policy.sample

/** Pure. The rows of a request as they are written down: columns that are not allowed left out, those to be hashed hashed. */
export function loggedRows(rows: readonly Row[], { policy, keyColumn, hash }: LogFacts): LoggedRow[] {
  const keyOf = (input: Row) => (keyColumn === undefined ? undefined : input[keyColumn])
  if (!policy) return rows.map((input) => ({ ...keyed(keyOf(input)), input }))
  return rows.map((row) => {
    const input = policy.fields || policy.hash.length > 0 ? allowed(row, policy, hash) : row
    const subject = policy.subject === undefined ? undefined : row[policy.subject]
    return {
      ...keyed(keyOf(input)),
      ...(isNothing(subject) ? {} : { subject: hash(textOf(subject)) }),
      input,
    }
  })
}

function allowed(row: Row, { fields, hash: hashed }: LogPolicy, hash: (text: string) => string): Row {
  const kept: Row = {}
  for (const [column, value] of Object.entries(row)) {
    if (hashed.includes(column)) kept[column] = isNothing(value) ? value : hash(textOf(value))
    else if (!fields || fields.includes(column)) kept[column] = value
  }
  return kept
}

/**
 * Pure. What is kept of the reason why a request was not answered. It may tell values: where not all of them may be kept, only the
 * kind of the problem stays.
 */
export function loggedReason(policy: LogPolicy | undefined, reason: string, kind: string): string {
  const tellsAll = !policy || (!policy.fields && policy.hash.length === 0)
  return tellsAll ? reason : kind
}

/** Pure. Why a column of the log cannot be compared with anything; undefined: it is kept as it came. */
export function notInLog({ fields, hash }: Pick<LogPolicy, 'fields' | 'hash'>, column: string): string | undefined {
  if (hash.includes(column)) return `The log keeps only a hash of ${column} (deployments: log: hash).`
  if (fields && !fields.includes(column)) return `The log does not keep ${column} (deployments: log: fields).`
  return undefined
}

const keyed = (key: unknown): { key?: string } => (isNothing(key) ? {} : { key: textOf(key) })

const isNothing = (value: unknown): boolean => value === undefined || value === null

/** A list or an object as JSON: what `String` makes of it is the same for many, and none at all for some. */
export const textOf = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))
