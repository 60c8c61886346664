import type { Digest } from '../../kernel/digest.ts'
import type { Share } from '../../kernel/units.ts'

export type Weighted = { digest: Digest; weight: Share }

/** What is known of an endpoint when a request is to be given to a version. */
export type TrafficFacts = {
  /** The weights that were last reached: all of their weighted versions were ready once. */
  current: readonly Weighted[]
  /** The desired weights. */
  wanted: readonly Weighted[]
  ready: ReadonlySet<Digest>
  /** The newcomer that the guard stopped: it gets nothing, even where nobody else is ready. */
  barred?: Digest
}

/**
 * Who gets which share now. A version that is not ready gets nothing; its share goes to the others. In order: the weights
 * last reached, the desired ones, then whatever is ready, so that neither a slow load nor a dead worker fails a request
 * that another version of the endpoint can answer.
 * @returns shares that add up to 1, in the order in which the plan lists them; empty where nobody is ready
 */
export function effectiveWeights(facts: TrafficFacts): Weighted[] {
  const able = (one: Weighted) => facts.ready.has(one.digest) && one.digest !== facts.barred
  for (const plan of [facts.current, facts.wanted]) {
    const serving = plan.filter((one) => one.weight > 0 && able(one))
    if (serving.length > 0) return normalised(serving)
  }
  const rest = new Map(
    [...facts.current, ...facts.wanted].filter(able).map((one) => [one.digest, { ...one, weight: 1 }]),
  )
  return normalised([...rest.values()])
}

/** Whether the desired weights may take over: each weighted version is ready (a barred one is not waited for). */
export const isReached = (facts: TrafficFacts): boolean =>
  facts.wanted.every((one) => one.weight === 0 || one.digest === facts.barred || facts.ready.has(one.digest))

/** @param place in [0, 1): of a random draw, or of the key's hash, so that one subject keeps its version while weights rise */
export function chooseVersion(weights: readonly Weighted[], place: Share): Digest | undefined {
  let passed = 0
  for (const one of weights) {
    passed += one.weight
    if (place < passed) return one.digest
  }
  return weights.at(-1)?.digest
}

function normalised(weights: Weighted[]): Weighted[] {
  const total = weights.reduce((sum, one) => sum + one.weight, 0)
  return weights.map((one) => ({ digest: one.digest, weight: one.weight / total }))
}
