import type { EpochMs } from '../../kernel/time.ts'
import { type GuardCounts, judgeGuard } from '../decide/guard.ts'
import { mergeGuardCounts } from '../decide/merge-gateways.ts'
import type { EndpointDesired, GatewayObserved, PredictionRecord } from '../gateway-state.ts'

export type Trip = NonNullable<GatewayObserved['endpoints'][number]['guardTripped']>

/** What the newcomer's requests came to here, under which guard and weight: only tallies of the same add up. */
export type GuardTally = { countedFor: string; counts: GuardCounts }

const nothing: GuardCounts = { requests: 0, errors: 0, inputFailures: 0 }

/**
 * Counts the newcomer's requests since its weight was last changed, here and as other processes of the gateway tell, and keeps a
 * trip until the server names the newcomer no more.
 */
export class GuardState {
  trip: Trip | undefined
  #guard: EndpointDesired['guard']
  #counts: GuardCounts = { ...nothing }
  #elsewhere: GuardCounts = nothing
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
    this.#counts = { ...nothing }
    this.#elsewhere = nothing
  }

  get tally(): GuardTally {
    return { countedFor: this.#countedFor, counts: this.#counts }
  }

  /** Whether there is anything that the others' counts could add to. */
  get isWatching(): boolean {
    return this.#guard !== undefined && !this.trip
  }

  hear(tallies: readonly GuardTally[]): void {
    const same = tallies.filter(({ countedFor }) => countedFor === this.#countedFor)
    this.#elsewhere = mergeGuardCounts(same.map(({ counts }) => counts))
  }

  /** Another process of the gateway took the newcomer out of traffic. True where that is news here. */
  follow(trip: Trip): boolean {
    if (!this.isWatching || trip.newcomer !== this.#guard?.newcomer) return false
    this.trip = trip
    return true
  }

  /** Counts one answer; true when it broke a bound. `mayTrip` is false where nobody else could answer instead. */
  count(digest: string, outcome: PredictionRecord['outcome'], mayTrip: () => boolean, now: EpochMs): boolean {
    if (!this.#guard || this.trip || digest !== this.#guard.newcomer) return false
    this.#counts.requests++
    if (outcome === 'failed') this.#counts.errors++
    if (outcome === 'input refused') this.#counts.inputFailures++
    const counts = mergeGuardCounts([this.#counts, this.#elsewhere])
    const finding = judgeGuard(this.#guard, counts)
    if (finding.outcome !== 'broken' || !mayTrip()) return false
    this.trip = { newcomer: this.#guard.newcomer, at: now, reason: finding.reason, ...counts }
    return true
  }
}
