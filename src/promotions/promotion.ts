import type { GateOutcome } from '../gates/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { CommitId, ExecutionId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'

/**
 * `intended`: its commit is due. `proposed`: on a branch of its own, waiting for a person. `approved`: a person said yes, its commit
 * is due. `committed`: Modelwright's commit is on the authoritative branch. `merged`: a person put it there with Git.
 * `barred`: it was there, and was reverted or aborted. `blocked`: its commit cannot be made; the note says why.
 */
export type PromotionState =
  | 'intended'
  | 'proposed'
  | 'approved'
  | 'committed'
  | 'merged'
  | 'superseded'
  | 'rejected'
  | 'barred'
  | 'blocked'

export type PromotionKind = 'promotion' | 'revert'

/** The way of one version into one environment's desired state: an intent, written down before its commit is made. */
export type Promotion = {
  id: string
  project: string
  environment: string
  model: string
  version: number
  digest: Digest
  /** A revert sets an environment back after an aborted rollout. */
  kind: PromotionKind
  state: PromotionState
  /** Where the commit goes that is due: the authoritative branch, or a branch on which a person decides. */
  destination: 'branch' | 'proposal'
  /** The role whose approval the file asks for; none: any member's. */
  approver?: string
  /** What the environment declared when this was decided. */
  replaces?: Digest
  executionId?: ExecutionId
  verdictId?: string
  verdictOutcome?: GateOutcome
  reasons: string[]
  proposalBranch: string
  /** Head of the authoritative branch when the commit became due: only commits after it can be this intent's. */
  base: CommitId
  message: string
  intendedAt: EpochMs
  commit?: CommitId
  /** The authenticated person who approved, merged or rejected. */
  decidedBy?: string
  note?: string
  createdAt: EpochMs
  updatedAt: EpochMs
}

/** Why an environment does not take a version again by itself. */
export type Bar = { digest: Digest; cause: 'reverted' | 'aborted'; reason: string; at: EpochMs; liftedAt?: EpochMs }

/** One entry of the history of what Git declared for an environment; without digest: nothing was declared. */
export type DesiredState = {
  model?: string
  version?: number
  digest?: Digest
  commit: CommitId
  actor: string
  origin: 'push' | 'modelwright'
  at: EpochMs
}
