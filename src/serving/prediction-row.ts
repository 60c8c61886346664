import type { PredictionRecord } from './gateway-state.ts'
import { rowId } from './prediction-id.ts'

/** One input row with its answer: what the prediction log is asked for. `id` has `:INDEX` where the request had several rows. */
export type PredictionRow = Omit<PredictionRecord, 'rows'> & PredictionRecord['rows'][number]

export const rowsOfRecord = ({ rows, ...record }: PredictionRecord): PredictionRow[] =>
  rows.map((row, index) => ({ ...record, ...row, id: rowId(record.id, index, rows.length) }))
