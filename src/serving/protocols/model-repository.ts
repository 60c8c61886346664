import type { InferenceCounts } from '../decide/merge-gateways.ts'
import type { InferenceStats } from '../models/inference-stats.ts'
import type { BackendState } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import type { Tensor } from '../tensor.ts'
import type { OipRequest } from './oip-request.ts'

/** What the protocols see of the models that a process serves: `serve` has one, an endpoint of the gateway its own. */
export type ModelRepository = {
  readonly serverVersion: string
  readonly isReady: boolean
  list(): ServedName[]
  find(name: string): ServedName | undefined
  /** What they answered in all, in the order asked: this process alone may not be all that serves them. */
  statistics(models: readonly ServedName[]): Promise<InferenceCounts[]>
  /** @throws ScoringError where it is not allowed here, or the model cannot be loaded */
  load(name: string): Promise<void>
  unload(name: string): Promise<void>
}

/** A model under the name by which clients ask for it. */
export type ServedName = {
  readonly name: string
  readonly version: string
  readonly facts: ModelFacts
  readonly state: BackendState | 'unloaded'
  readonly reason: string | undefined
  /** What this process counts. */
  readonly stats: InferenceStats
  /** @throws ScoringError */
  infer(request: OipRequest, signal?: AbortSignal): Promise<Inferred>
}

/**
 * `id`: of this prediction, where it has one; `version`: the one that answered, where several share the traffic; `warnings`: what was
 * wrong with the input all the same, how often by kind.
 */
export type Inferred = { tensors: Tensor[]; id?: string; version?: string; warnings?: Record<string, number> }
