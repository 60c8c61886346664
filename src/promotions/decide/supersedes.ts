import type { Promotion } from '../promotion.ts'

const rank = { pass: 2, warn: 1, inconclusive: 0, fail: -1 } as const

/**
 * Whether a new intent takes the place of one that waits in the same environment: it is of a newer version, and its evidence is no
 * worse. A version that a person may still want is not pushed aside by one that the gate could not judge. Pure.
 */
export function supersedes(newer: Promotion, waiting: Promotion): boolean {
  if (waiting.kind === 'revert' || waiting.state === 'approved') return false
  if (waiting.digest === newer.digest) return true
  return (
    newer.version > waiting.version && rank[newer.verdictOutcome ?? 'fail'] >= rank[waiting.verdictOutcome ?? 'fail']
  )
}
