import type { Digest } from '../kernel/digest.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'
import type { FeatureProfile } from '../math/feature-profile.ts'
import type { Interval } from '../math/intervals.ts'
import type { LogPolicy, Monitor, Retrain } from '../projects/index.ts'
import type { FeatureComparison } from './decide/compare-feature.ts'
import type { DriftBound, DriftOutcome } from './decide/decide-drift.ts'

/** An environment that serves something, and what its file says about watching it. */
export type WatchedDeployment = Place & {
  model: string
  /** What serves now, not what is declared. */
  version: number
  digest: Digest
  monitor: Monitor
  retrain: Retrain
  /** What the log keeps of its requests; absent: all. */
  log?: LogPolicy
}

/** What a version was trained on: a profile per column, and which of the columns the model takes (empty: it has no signature). */
export type Reference = { inputs: string[]; features: Record<string, FeatureProfile> }

export type ReferenceOf = (digest: Digest) => Promise<Reference | undefined>

/** Shares per cell of reference and window, for a small chart; a numeric cell lies between two edges, the outer two are open. */
export type FeatureChart =
  | { kind: 'numeric'; edges: number[]; reference: Share[]; current: Share[] }
  | { kind: 'categorical'; categories: string[]; reference: Share[]; current: Share[] }

export type SideSummary = {
  count: number
  mean: number | null
  std: number | null
  min: number | null
  max: number | null
}

export type FeatureReport = FeatureComparison & {
  outcome: DriftOutcome
  reasons: string[]
  chart: FeatureChart
  /** Numbers only of a numeric feature. */
  summary: { reference: SideSummary; current: SideSummary }
}

/** A measured number of production; the interval where it is a share. */
export type MeasuredMetric = { value: number; n: number; interval?: Interval }

export type QualityReport = {
  /** Labelled answers that were compared, the newest at most. */
  n: number
  /** By name, as `retrain: { on: ["accuracy < 0.9"] }` says it. */
  metrics: Record<string, MeasuredMetric>
  /** From prediction to label. */
  delayMs: { median: number; max: number }
  reasons: string[]
}

export type ReportOutcome = DriftOutcome | 'no reference'

export type DriftReport = Place & {
  id: string
  model: string
  version: number
  digest: Digest
  at: EpochMs
  window: {
    fromMs: EpochMs
    toMs: EpochMs
    /** Id of the last request in it. */
    last: string
    rows: number
    answered: number
    inputFailures: number
    errors: number
  }
  labels: { count: number; lastAt: EpochMs }
  inputsDigest: Digest
  ruleVersion: string
  outcome: ReportOutcome
  bounds: { drift: DriftBound[]; minRows: number }
  features: FeatureReport[]
  reasons: string[]
  quality?: QualityReport
}

export type AlertKind = 'drift' | 'quality'

/** From the report that first saw it until it ended or another version served. */
export type Alert = Place & {
  id: string
  model: string
  version: number
  digest: Digest
  kind: AlertKind
  /** Of quality: the broken bound as the file says it; of drift: empty. */
  subject: string
  features: string[]
  reasons: string[]
  openedAt: EpochMs
  openedReport: string
  /** Start of the window that opened it: what is older says nothing about it. */
  windowFromMs: EpochMs
  updatedAt: EpochMs
  lastReport: string
  lastBeyond: string
  closedAt?: EpochMs
  closedBecause?: string
}
