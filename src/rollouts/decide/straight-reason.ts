import type { EpochMs } from '../../kernel/time.ts'

/**
 * Why a version takes all traffic without a canary, if it does. Going back to a version that served before the present one needs no
 * canary: it has proved itself, and a rollback is in a hurry. Going forward again to one that was taken back does. Pure.
 */
export function straightReason(facts: {
  nothingServes: boolean
  /** When each served first; undefined: never. */
  newcomerServedAt: EpochMs | undefined
  oldServedAt: EpochMs | undefined
}): string | undefined {
  if (facts.nothingServes) return 'nothing serves yet, so it takes all traffic at once'
  const { newcomerServedAt, oldServedAt } = facts
  if (newcomerServedAt === undefined || oldServedAt === undefined || newcomerServedAt >= oldServedAt) return undefined
  return 'it served here before the present one, so it comes back at once'
}
