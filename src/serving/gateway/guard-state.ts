import type { EpochMs } from '../../kernel/time.ts'
import { type GuardCounts, judgeGuard } from '../decide/guard.ts'
import type { EndpointDesired, GatewayObserved, PredictionRecord } from '../gateway-state.ts'

export type Trip = NonNullable<GatewayObserved['endpoints'][number]['guardTripped']>

/** Counts the newcomer's requests since its weight was last changed, and keeps a trip until the server names the newcomer no more. */
export class GuardState {
  trip: Trip | undefined
  #guard: EndpointDesired['guard']
  #counts: GuardCounts = { requests: 0, errors: 0, inputFailures: 0 }
  #countedFor = ''

  constructor(trip: Trip | undefined) {
    this.trip = trip
  }

  apply(desired: EndpointDesired): void {
    this.#guard = desired.guard
    if (this.trip && this.trip.newcomer !== desired.guard?.newcomer) this.trip = undefined
    const weight = desired.versions.find((one) => one.target.digest === desired.guard?.newcomer)?.weight
    const countedFor = JSON.stringify([desired.guard, weight])
    if (countedFor === this.#countedFor) return
    this.#countedFor = countedFor
    this.#counts = { requests: 0, errors: 0, inputFailures: 0 }
  }

  /** Counts one answer; true when it broke a bound. `mayTrip` is false where nobody else could answer instead. */
  count(digest: string, outcome: PredictionRecord['outcome'], mayTrip: () => boolean, now: EpochMs): boolean {
    if (!this.#guard || this.trip || digest !== this.#guard.newcomer) return false
    this.#counts.requests++
    if (outcome === 'failed') this.#counts.errors++
    if (outcome === 'input refused') this.#counts.inputFailures++
    const finding = judgeGuard(this.#guard, this.#counts)
    if (finding.outcome !== 'broken' || !mayTrip()) return false
    this.trip = { newcomer: this.#guard.newcomer, at: now, reason: finding.reason, ...this.#counts }
    return true
  }
}
