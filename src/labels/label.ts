import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'

/** The truth about one answered row, as it became known later. */
export type LabelValue = string | number | boolean

/** `predictionId` is the answer's id; of a request with several rows the row's: `ID:0`, `ID:1`, … */
export type NewLabel = { predictionId: string; value: LabelValue }

export type Label = {
  predictionId: string
  row: number
  project: string
  environment: string
  model: string
  version: number
  digest: Digest
  value: LabelValue
  actor: string
  /** When this value came. */
  at: EpochMs
  predictedAt: EpochMs
}

/** A request as the prediction log has it; serving's PredictionRecord is one. */
export type LoggedPrediction = {
  /** Without a row. */
  id: string
  at: EpochMs
  project: string
  environment: string
  model: string
  version: number
  digest: Digest
  outcome: 'answered' | 'input refused' | 'failed'
  rows: { key?: string; input: Record<string, unknown>; output?: unknown }[]
}

/** What labels need of serving, which lies below: what an id means, and what was asked and answered under it. */
export type PredictionLookup = {
  /** Undefined where the text is no prediction id. */
  decode(text: string): { prediction: string; row?: number } | undefined
  /** Requests by their ids (without row); those that the log does not have are left out. */
  find(ids: readonly string[]): Promise<readonly LoggedPrediction[]>
}

/** A labelled answer: what was asked, what was said, what was true. */
export type LabelledRow = {
  predictionId: string
  row: number
  /** When it was predicted, and when its label came. */
  at: EpochMs
  labelledAt: EpochMs
  model: string
  version: number
  digest: Digest
  key?: string
  input: Record<string, unknown>
  output?: unknown
  label: LabelValue
}

export type LabelsReceived = {
  recorded: number
  replaced: number
  /** The same value was there already. */
  unchanged: number
  /** Each with its place in the request and why it was not taken. */
  refused: { index: number; predictionId: string; reason: string }[]
}

export type LabelSummary = {
  environment: string
  model: string
  version: number
  digest: Digest
  labels: number
  firstAt: EpochMs
  lastAt: EpochMs
  /** From prediction to label. */
  meanDelayMs: number
  /** The most frequent values, at most 20. */
  values: { value: LabelValue; count: number; share: Share }[]
}
