import type { PredictionRecord } from './gateway-state.ts'
import { rowId } from './prediction-id.ts'

/** One input row with its answer: what the prediction log is asked for. `id` has `:INDEX` where the request had several rows. */
export type PredictionRow = Omit<PredictionRecord, 'rows'> & PredictionRecord['rows'][number]

/** Rows that came without names are kept as lists; their columns are called 0, 1, … */
export const withNames = (input: Record<string, unknown> | readonly unknown[]): Record<string, unknown> =>
  Array.isArray(input) ? { ...input } : (input as Record<string, unknown>)

export const rowsOfRecord = ({ rows, ...record }: PredictionRecord): PredictionRow[] =>
  rows.map((row, index) => ({ ...record, ...row, id: rowId(record.id, index, rows.length) }))
