import type { Digest } from '../kernel/digest.ts'
import type { ErrorBody } from '../kernel/errors.ts'
import type { CommitId, ExecutionId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { JsonScalar } from '../projects/index.ts'

/**
 * `identical`: every output, metric and model is the same byte for byte (a model without the ids and times that MLflow writes
 * anew). `equal within tolerance`: bytes differ, but all metrics and the models' predictions agree. `different`: they do not.
 */
export const reproductionOutcomes = ['identical', 'equal within tolerance', 'different'] as const
export type ReproductionOutcome = (typeof reproductionOutcomes)[number]

/** What a random source is called; `other`: neither of the three that can be held still. */
export const randomSources = ['random numbers', 'clock', 'hash seed', 'other'] as const
export type RandomSource = (typeof randomSources)[number]

/** Why the first step that differs does. Values as texts; a side without one did not have the thing. */
export type Cause =
  | { kind: 'input'; path: string; was?: string; is?: string }
  | { kind: 'package'; name: string; was?: string; is?: string }
  | { kind: 'parameter'; name: string; was?: JsonScalar; is?: JsonScalar }
  | { kind: 'variable'; name: string }
  | { kind: 'seed'; was: number; is: number }
  | { kind: 'command'; was: string; is: string }
  | { kind: 'random source'; source: RandomSource }
  /** The same inputs give the same result here every time, only not the recorded one. */
  | { kind: 'machine' }
  | { kind: 'step'; text: string }
  /** It could not be found out. */
  | { kind: 'not found'; text: string }

export type ChangedFile = { path: string; change: 'added' | 'changed' | 'removed' }
/** NaN has no JSON form: it comes as a text. */
export type MetricValue = number | 'NaN'
export type ChangedMetric = { name: string; was?: MetricValue; is?: MetricValue; within: boolean }

/** What two models answer to the same rows. */
export type Predictions =
  | { compared: true; rows: number; equal: boolean; largest?: number }
  | { compared: false; reason: string }

export type StepComparison = {
  step: string
  outcome: ReproductionOutcome
  files: ChangedFile[]
  metrics: ChangedMetric[]
  model?: { name: string; same: boolean; files: ChangedFile[]; predictions?: Predictions }
}

export type Comparison = {
  outcome: ReproductionOutcome
  steps: StepComparison[]
  /** In the order of the pipeline. */
  first?: { step: string; causes: Cause[] }
  /** What was compared, and how closely. */
  compared: { steps: number; files: number; metrics: number; models: number; tolerance: number }
}

/** A pass is an execution that is carried out for a reproduction; its role says what for. */
export const passRoles = [
  'rebuild',
  'second rebuild',
  'twin',
  'second twin',
  'held still',
  'held still again',
  'free hash seed',
  'free clock',
  'free random numbers',
  'clock as recorded',
] as const
export type PassRole = (typeof passRoles)[number]

/** `running` until the verdict stands; `failed`: it could not be made again at all. */
export type ReproductionState = 'running' | 'judged' | 'failed'

export type Reproduction = {
  id: string
  project: string
  model: string
  version: number
  /** Of the version's manifest. */
  digest: Digest
  /** The execution that made it. */
  recorded: ExecutionId
  /** The version's own commit; another where it was asked what that would make of it. */
  commit: CommitId
  /** True: from the version's record alone. False: at another commit, with what holds there. */
  fromRecord: boolean
  runs: 1 | 2
  tolerance: number
  state: ReproductionState
  passes: Partial<Record<PassRole, ExecutionId>>
  /** By model, where the models were asked. */
  predictions?: Record<string, Predictions>
  /** Package → version as found in the environment, where it was looked at. */
  installed?: Record<string, string>
  comparison?: Comparison
  sentence?: string
  error?: ErrorBody
  requestedBy: string
  createdAt: EpochMs
  endedAt?: EpochMs
}
