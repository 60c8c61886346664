import type { ErrorBody } from '../kernel/errors.ts'
import type { CommitId, ExecutionId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { NodeDecision, PlanContext, PlanNode, StepResult } from '../planning/index.ts'

/** What made Modelwright start: each carries what makes the cause one of a kind. */
export type Trigger =
  | { kind: 'push'; branch: string; actor: string }
  | { kind: 'run'; actor: string }
  | { kind: 'person'; actor: string; note?: string }
  | { kind: 'drift'; environment: string; alert: string; features: string[] }
  | { kind: 'metric'; environment: string; metric: string; value: number }
  | { kind: 'schedule'; environment: string; schedule: string; due: EpochMs }

export type ExecutionState = 'queued' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled'

/** One pass through a pipeline at a commit. */
export type Execution = {
  id: ExecutionId
  project: string
  commit: CommitId
  trigger: Trigger
  deployable: boolean
  only?: string
  /** What was fixed when it started; the file is read from the commit. */
  fixed: Omit<PlanContext, 'file'>
  state: ExecutionState
  reason?: string
  requestedBy: string
  createdAt: EpochMs
  startedAt?: EpochMs
  endedAt?: EpochMs
}

/**
 * `starting` is written before anything happens outside, so that a crash is followed by a look whether the command was started.
 * `skipped`: something before it failed.
 */
export type NodeState = 'waiting' | 'starting' | 'running' | 'reused' | 'succeeded' | 'failed' | 'skipped' | 'cancelled'

export type ExecutionNode = PlanNode & {
  state: NodeState
  decision?: NodeDecision
  runId?: RunId
  attempt: number
  result?: StepResult
  error?: ErrorBody
  startedAt?: EpochMs
  endedAt?: EpochMs
}

export const isOver = (state: NodeState): boolean => state !== 'waiting' && state !== 'starting' && state !== 'running'

export const endedWell = (state: NodeState): boolean => state === 'succeeded' || state === 'reused'

export const isExecutionOver = (state: ExecutionState): state is 'succeeded' | 'failed' | 'cancelled' =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'
