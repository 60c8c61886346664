import type { Digest } from './digest.ts'
import type { CommitId, ExecutionId, RunId } from './ids.ts'
import type { Place } from './place.ts'
import type { EpochMs } from './time.ts'

/** A registered model as the registry tells of it; `prompt`: it is one of MLflow's prompts, which live among the models. */
type Registered = { model: string; prompt: boolean }

/**
 * What a slice tells the ones below and beside it. An event is written in the transaction of the change that it tells of,
 * delivered at least once, in order per consumer; consumers are idempotent. None for metric points and log lines.
 */
export type EventPayloads = {
  'project.connected': { project: string }
  /** A branch of a project's authoritative repository points elsewhere; `actor` is the authenticated pusher. */
  'branch.moved': {
    project: string
    branch: string
    from?: CommitId
    to: CommitId
    actor: string
    origin: 'push' | 'modelwright'
  }
  'execution.changed': { project: string; executionId: ExecutionId; state: string }
  'execution.finished': { project: string; executionId: ExecutionId; outcome: 'succeeded' | 'failed' | 'cancelled' }
  'step.changed': { project: string; executionId: ExecutionId; node: string; state: string }
  'gate.judged': { project: string; executionId: ExecutionId; model: string; verdictId: string; outcome: string }
  'model.registered': Registered & { tags: Record<string, string>; description?: string }
  'model.tagged': Registered & { key: string; value: string }
  'model.untagged': Registered & { key: string }
  'version.registered': Registered & {
    project?: string
    version: number
    digest?: Digest
    source: string
    runId?: RunId
    tags: Record<string, string>
    description?: string
  }
  'version.tagged': Registered & { version: number; key: string; value: string }
  'version.untagged': Registered & { version: number; key: string }
  'alias.set': Registered & { alias: string; version: number }
  'alias.deleted': Registered & { alias: string }
  'promotion.changed': Place & { promotionId: string; state: string }
  'desired.changed': Place & { commit: CommitId }
  'rollout.changed': Place & { rolloutId: string; state: string }
  'deployment.observed': Place & { state: string; reason?: string }
  'labels.received': { project: string; count: number }
  'drift.judged': Place & { alertId: string; outcome: string; features: string[] }
  'reproduction.changed': { project: string; reproductionId: string; digest: Digest; state: string }
  'retraining.decided': Place & { outcome: string; executionId?: ExecutionId }
}

export type EventType = keyof EventPayloads

export type AppEvent = { [T in EventType]: { id: number; type: T; at: EpochMs; payload: EventPayloads[T] } }[EventType]

export type NewEvent = { [T in EventType]: { type: T; payload: EventPayloads[T] } }[EventType]
