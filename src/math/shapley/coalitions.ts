import type { Rng } from '../rng.ts'
import { coalitionShare } from './interventional-tree.ts'

/** A game to be asked of a model: which players have the row's own values, and whose values the others have. */
export type Coalition = {
  /** One entry per player: 1 where it has the row's value. */
  members: Uint8Array
  /** Index of the background row. */
  background: number
}

/** What to ask of a model about one row, and how the Shapley values follow from its answers. */
export type CoalitionPlan = {
  coalitions: readonly Coalition[]
  /** How often a coalition's answer counts towards each player's value: the value is the sum of answer × share over all coalitions. */
  shares: readonly (readonly PlayerShare[])[]
  /** How often it counts towards the base value, what the background is answered; the shares of all coalitions add up to 1. */
  baseShares: Float64Array
}

export type PlayerShare = { player: number; share: number }

/**
 * All coalitions against each background row: exact. 2^players × backgrounds questions.
 * Source: Shapley, "A value for n-person games" (1953): φᵢ = Σ_S |S|! (n−|S|−1)! / n! · (v(S ∪ i) − v(S)).
 */
export function allCoalitions(players: number, backgrounds: number): CoalitionPlan {
  const plan = new Plan()
  for (let background = 0; background < backgrounds; background++)
    for (let subset = 0; subset < 2 ** players; subset++) {
      const members = Uint8Array.from({ length: players }, (_, player) => (subset >>> player) & 1)
      const size = members.reduce((sum, one) => sum + one, 0)
      const at = plan.ask({ members, background })
      if (size === 0) plan.base(at, 1 / backgrounds)
      for (let player = 0; player < players; player++)
        plan.count(
          at,
          player,
          (members[player] === 1
            ? coalitionShare(size - 1, players - size)
            : -coalitionShare(size, players - size - 1)) / backgrounds,
        )
    }
  return plan.done()
}

/**
 * Random orders of the players: each player's value is what it changes when it joins those before it, on average. Each order is also
 * walked backwards, which cancels much of the chance. (players + 1) × 2 × pairs questions; base and values add up exactly, whatever the
 * number of pairs. Background rows are taken in turn.
 * Source: Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with feature contributions" (2014);
 * antithetic orders: Mitchell et al., "Sampling permutations for Shapley value estimation" (2022).
 * @param pairs a positive integer
 */
export function sampledCoalitions(players: number, backgrounds: number, pairs: number, rng: Rng): CoalitionPlan {
  const plan = new Plan()
  const share = 1 / (2 * pairs)
  for (let pair = 0; pair < pairs; pair++) {
    const order = shuffled(players, rng)
    for (const walk of [order, order.toReversed()]) {
      const members = new Uint8Array(players)
      let before = plan.ask({ members: members.slice(), background: pair % backgrounds })
      plan.base(before, share)
      for (const player of walk) {
        members[player] = 1
        const after = plan.ask({ members: members.slice(), background: pair % backgrounds })
        plan.count(after, player, share)
        plan.count(before, player, -share)
        before = after
      }
    }
  }
  return plan.done()
}

/**
 * The base values [outputs] and the Shapley values [players × outputs] from a model's answers.
 * @param answers [coalitions × outputs]
 */
export function settle(plan: CoalitionPlan, players: number, answers: Float64Array, outputs: number) {
  const base = new Float64Array(outputs)
  const values = new Float64Array(players * outputs)
  for (let at = 0; at < plan.coalitions.length; at++)
    for (let output = 0; output < outputs; output++) {
      const answer = answers[at * outputs + output]!
      if (plan.baseShares[at] !== 0) base[output]! += plan.baseShares[at]! * answer
      for (const { player, share } of plan.shares[at]!) values[player * outputs + output]! += share * answer
    }
  return { base, values }
}

class Plan {
  readonly #coalitions: Coalition[] = []
  readonly #shares: PlayerShare[][] = []
  readonly #base: number[] = []

  done(): CoalitionPlan {
    return { coalitions: this.#coalitions, shares: this.#shares, baseShares: Float64Array.from(this.#base) }
  }

  /** @returns its index */
  ask(coalition: Coalition): number {
    this.#coalitions.push(coalition)
    this.#shares.push([])
    return this.#base.push(0) - 1
  }

  count(at: number, player: number, share: number): void {
    this.#shares[at]!.push({ player, share })
  }

  base(at: number, share: number): void {
    this.#base[at] = share
  }
}

function shuffled(count: number, rng: Rng): number[] {
  const order = Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last--) {
    const other = rng.below(last + 1)
    const kept = order[last]!
    order[last] = order[other]!
    order[other] = kept
  }
  return order
}
