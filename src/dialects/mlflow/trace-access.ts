import type { Action } from '../../access/index.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Actor } from '../../kernel/route.ts'
import type { TracesService } from '../../traces/index.ts'
import type { TrackingService } from '../../tracking/index.ts'
import { type MlflowAccess, mayAll } from './access.ts'

/** A trace belongs to its experiment. A step writes those of the experiment that its own run is in; reading is free to it. */
export class TraceAccess {
  readonly #access: MlflowAccess
  readonly #tracking: TrackingService
  readonly #traces: TracesService

  constructor(parts: { access: MlflowAccess; tracking: TrackingService; traces: TracesService }) {
    this.#access = parts.access
    this.#tracking = parts.tracking
    this.#traces = parts.traces
  }

  async toExperiment(actor: Actor, experimentId: string, action: Action): Promise<void> {
    if (mayAll(actor)) return
    if (actor.kind !== 'step') return this.#access.toExperiment(actor, experimentId, action)
    if (action === 'read') return
    const run = actor.runId === undefined ? undefined : await this.#tracking.findRun(actor.runId)
    if (run?.experimentId !== experimentId)
      throw new AppError(
        'Forbidden',
        `The token of step run ${actor.runId ?? '?'} may not write traces of experiment ${experimentId}.`,
        'A step writes traces of the experiment that its own run is in.',
      )
  }

  /** Traces that there are not are the service's to tell. */
  async toTraces(actor: Actor, traceIds: readonly string[], action: Action): Promise<void> {
    if (mayAll(actor) || (actor.kind === 'step' && action === 'read')) return
    for (const experimentId of await this.#traces.experimentsOf(traceIds))
      await this.toExperiment(actor, experimentId, action)
  }

  toTrace(actor: Actor, traceId: string, action: Action): Promise<void> {
    return this.toTraces(actor, [traceId], action)
  }

  toRun(actor: Actor, runId: string): Promise<void> {
    return this.#access.toRun(actor, runId)
  }

  /** Those of the experiments that the actor may read. */
  async readable(actor: Actor, experimentIds: readonly string[]): Promise<string[]> {
    return mayAll(actor) || actor.kind === 'step' ? [...experimentIds] : this.#access.readable(actor, experimentIds)
  }
}
