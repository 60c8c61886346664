import type { Trigger } from '../executions/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { ErrorBody } from '../kernel/errors.ts'
import type { ExecutionId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'

/** Something that asks for retraining. What makes it one of a kind is its key, see causeKey. */
export type RetrainCause =
  /** `windowFromMs`: labels of older predictions say nothing about the drift. */
  | { kind: 'drift'; alert: string; features: string[]; openedAt: EpochMs; windowFromMs: EpochMs }
  /** `report`: the look that first saw the bound broken. */
  | { kind: 'metric'; report: string; metric: string; value: number; reason: string }
  | { kind: 'schedule'; text: string; due: EpochMs }
  | { kind: 'person'; request: string; actor: string; note?: string }

export type FrozenRows = { dataset: string; digest: Digest; rows: number }

/**
 * `intended`: decided, nothing has happened yet. `frozen`: the labelled rows are a dataset version. `started`: an execution answers
 * the cause. `failed`: it cannot be started as the project stands; the cause is not tried again by itself.
 */
export type RetrainingState = 'intended' | 'frozen' | 'started' | 'failed'

export type Retraining = Place & {
  id: string
  cause: string
  trigger: Trigger
  requestedBy: string
  decidedAt: EpochMs
  state: RetrainingState
  frozen?: FrozenRows[]
  executionId?: ExecutionId
  startedAt?: EpochMs
  error?: ErrorBody
}

export type RecordedDecision = Place & {
  id: string
  at: EpochMs
  cause: string
  trigger: Trigger
  outcome: 'retrain' | 'wait' | 'nothing'
  reasons: string[]
  ruleVersion: string
  inputsDigest: Digest
}
