import type { KeyParts } from '../plan.ts'
import { keyChanges, type Locks } from './key-changes.ts'

/** Why a step runs: what differs from the newest earlier result of the same step, in words; never empty. */
export function whyItRuns(parts: KeyParts, earlier: KeyParts | undefined, locks: Locks = {}): string[] {
  if (!earlier) return ['first time']
  const reasons = keyChanges(parts, earlier, locks).map(({ text }) => text)
  return reasons.length > 0 ? reasons : ['its earlier result is no longer whole']
}
