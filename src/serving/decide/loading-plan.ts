import type { Digest } from '../../kernel/digest.ts'
import { isReached, type TrafficFacts, type Weighted } from './traffic.ts'

export type SwapMode = 'surge' | 'hold'

export type LoadingFacts = {
  mode: SwapMode
  traffic: TrafficFacts
  /** In memory now: loading, ready or failed there, but not on the way out. */
  loaded: ReadonlySet<Digest>
  /** Not tried again until something else is wished for. */
  refused: ReadonlySet<Digest>
}

/**
 * Which versions of an endpoint that is awake shall be in memory now. Called again at every change, so that it never matters
 * where a swap was when something happened to it.
 *
 * `surge`: all that are wished for, and those that carry the traffic until the wish is reached.
 * `hold`: one. It stays the one that is there as long as the wish gives it a share (a canary of two cannot be); else it is the one
 * with the largest share; and where that one was refused, the one that carried the traffic before.
 */
export function toBeLoaded({ mode, traffic, loaded, refused }: LoadingFacts): Digest[] {
  const { wanted, current, barred } = traffic
  const able = ({ digest }: Weighted) => digest !== barred && !refused.has(digest)
  if (mode === 'surge') {
    const going = isReached(traffic) ? [] : current.filter(({ digest }) => loaded.has(digest) || isOnlyHope(digest))
    return unique([...wanted, ...going].map(({ digest }) => digest).filter((digest) => !refused.has(digest)))
  }
  const due = wanted.filter((one) => one.weight > 0 && able(one)).toSorted(byWeight)
  const holder = due.find(({ digest }) => loaded.has(digest)) ?? due.find(({ digest }) => isCurrent(digest)) ?? due[0]
  const back = [...current.toSorted(byWeight), ...wanted.toSorted(byWeight)].find(able)
  const one = holder ?? back
  return one ? [one.digest] : []

  function isCurrent(digest: Digest): boolean {
    return current.some((known) => known.digest === digest && known.weight > 0)
  }
  /** The one that served before is loaded again where what is wished for was refused. */
  function isOnlyHope(digest: Digest): boolean {
    return isCurrent(digest) && wanted.every((one) => refused.has(one.digest))
  }
}

/**
 * How the versions of an endpoint follow one another. `auto` surges where all of them fit together.
 * @param bytes of each version that the swap speaks of
 * @param room what this endpoint may take at most: the budget without what others hold and may not give up
 */
export function swapMode(swap: 'auto' | SwapMode, bytes: readonly number[], room: number): SwapMode {
  if (swap !== 'auto') return swap
  return bytes.length < 2 || sumOf(bytes) <= room ? 'surge' : 'hold'
}

const byWeight = (a: Weighted, b: Weighted): number => b.weight - a.weight

const unique = (digests: readonly Digest[]): Digest[] => [...new Set(digests)]

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)
