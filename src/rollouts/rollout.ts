import type { Digest } from '../kernel/digest.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'
import type { Rollout as DeclaredRollout } from '../projects/index.ts'

/**
 * `preparing`: model and environment are brought to this machine and loaded, without traffic. `step`: the newcomer has the share of
 * the canary's step. `waiting`: too little traffic to decide, so a person does. `rolling back`: the newcomer has no traffic any more,
 * the bar and the proposed revert are still due. Ended: `done`, `stalled` (with the reason), `rolled back` (Git wanted the old one
 * again), `superseded` (Git wanted another one).
 */
export type RolloutState =
  | 'preparing'
  | 'step'
  | 'waiting'
  | 'rolling back'
  | 'done'
  | 'stalled'
  | 'rolled back'
  | 'superseded'

/** Why a rollout stands still. An aborted version is barred; the others are looked at again when what they lack is there. */
export type StallCause = 'aborted' | 'unknown' | 'other model' | 'unapproved' | 'barred'

export type VersionName = { digest: Digest; version: number }

/** The way of one environment from what serves to what Git declares. */
export type Rollout = {
  id: string
  project: string
  environment: string
  model: string
  newcomer: VersionName
  /** What served when it began; undefined: nothing did. */
  old?: VersionName
  commit: CommitId
  state: RolloutState
  /** Index into the plan's canary; meaningful in `step` and `waiting`. */
  step: number
  plan: DeclaredRollout
  /** Why it takes all traffic at once. */
  straight?: string
  reason?: string
  stallCause?: StallCause
  /** When its state or step last changed. */
  stepSince: EpochMs
  request?: { what: 'continue' | 'abort'; by: string }
  createdAt: EpochMs
  updatedAt: EpochMs
}

export type TrafficCounts = { requests: number; failed: number; inputRefused: number }

/** What the prediction log says of a version since a time; a request is one call, whatever became of it. */
export type ObserveTraffic = (of: {
  project: string
  environment: string
  digest: Digest
  since: EpochMs
}) => Promise<TrafficCounts>

export type DeploymentState =
  | 'nothing declared'
  | 'progressing'
  | 'waiting for a person'
  | 'serving'
  | 'mismatch'
  | 'stalled'

export type Weight = VersionName & { weight: Share }
