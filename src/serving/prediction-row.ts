import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { PredictionRecord } from './gateway-state.ts'
import { rowId } from './prediction-id.ts'

/** One input row with its answer: what the prediction log is asked for. */
export type PredictionRow = {
  /** The prediction's id; with `:INDEX` where the request had several rows. */
  id: string
  at: EpochMs
  project: string
  environment: string
  model: string
  version: number
  digest: Digest
  outcome: PredictionRecord['outcome']
  latencyMs: number
  key?: string
  input: Record<string, unknown>
  output?: unknown
  error?: string
}

export const rowsOfRecord = (record: PredictionRecord): PredictionRow[] =>
  record.rows.map((row, index) => ({
    id: rowId(record.id, index, record.rows.length),
    at: record.at,
    project: record.project,
    environment: record.environment,
    model: record.model,
    version: record.version,
    digest: record.digest,
    outcome: record.outcome,
    latencyMs: record.latencyMs,
    ...row,
    ...(record.error === undefined ? {} : { error: record.error }),
  }))
