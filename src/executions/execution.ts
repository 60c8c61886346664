import type { Digest } from '../kernel/digest.ts'
import type { ErrorBody } from '../kernel/errors.ts'
import type { CommitId, ExecutionId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { NodeDecision, PlanContext, PlanNode, StepResult } from '../planning/index.ts'
import type { FailureKind } from '../projects/index.ts'

/** What made Modelwright start: each carries what makes the cause one of a kind. */
export type Trigger =
  | { kind: 'push'; branch: string; actor: string }
  | { kind: 'run'; actor: string }
  | { kind: 'person'; actor: string; note?: string }
  /**
   * `controls`: what is held still while a step's source of chance is looked for, as JSON. `of`: what `when:` might ask of the
   * execution that is repeated.
   */
  | {
      kind: 'reproduction'
      actor: string
      model: string
      version: number
      controls?: string
      of?: PlanContext['facts']
    }
  | { kind: 'drift'; environment: string; alert: string; features: string[] }
  | { kind: 'metric'; environment: string; metric: string; value: number }
  | { kind: 'schedule'; environment: string; schedule: string; due: EpochMs }

export type ExecutionState = 'queued' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled'

/** What `when:` may ask of an execution. */
export function factsOf(trigger: Trigger): PlanContext['facts'] {
  if (trigger.kind === 'reproduction' && trigger.of) return trigger.of
  return { trigger: trigger.kind, ...(trigger.kind === 'push' ? { branch: trigger.branch } : {}) }
}

/** What a pass of a reproduction holds still, if it does. */
export const controlsOf = ({ trigger }: Pick<Execution, 'trigger'>): { controls?: string } =>
  trigger.kind === 'reproduction' && trigger.controls ? { controls: trigger.controls } : {}

/** One pass through a pipeline at a commit. */
export type Execution = {
  id: ExecutionId
  project: string
  commit: CommitId
  trigger: Trigger
  deployable: boolean
  only?: string
  /** What was fixed when it started; the file is read from the commit. */
  fixed: Omit<PlanContext, 'file' | 'facts'>
  state: ExecutionState
  reason?: string
  requestedBy: string
  /** The execution whose unfinished part this one carries out. */
  resumes?: ExecutionId
  createdAt: EpochMs
  startedAt?: EpochMs
  endedAt?: EpochMs
}

/** What of a decision is shown; the parts of its key stay inside. */
export type ShownDecision = {
  outcome: NodeDecision['outcome']
  key?: Digest
  after?: string[]
  reasons: string[]
}

export function shownOf(decision: NodeDecision): ShownDecision {
  const { outcome, reasons } = decision
  if ('key' in decision) return { outcome, key: decision.key, reasons }
  return { outcome, reasons, ...('after' in decision ? { after: decision.after } : {}) }
}

/** A node as lists and pages show it. */
export type NodeView = Omit<ExecutionNode, 'decision' | 'result'> & {
  decision?: ShownDecision
  metrics?: Record<string, number>
  model?: { name: string; loggedModelId: string }
}

/**
 * `starting` is written before anything happens outside, so that a crash is followed by a look whether the command was started.
 * `skipped`: something before it failed (with its error), or a condition did not hold (with its decision). A fan-out `running` is one whose
 * items are.
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
  /** A further attempt waits until then. */
  notBefore?: EpochMs
  /** Why the last attempt ended badly. */
  failure?: FailureKind
}

/** What stands before steps: it runs no command of the project's, so it has neither a run nor a workspace. */
export const isPreparation = ({ kind }: Pick<PlanNode, 'kind'>): boolean => kind === 'environment' || kind === 'data'

export const isOver = (state: NodeState): boolean => state !== 'waiting' && state !== 'starting' && state !== 'running'

export const endedWell = (state: NodeState): boolean => state === 'succeeded' || state === 'reused'

export const isExecutionOver = (state: ExecutionState): state is 'succeeded' | 'failed' | 'cancelled' =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'
