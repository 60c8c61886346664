import type { Plan, PlannedNode } from '../plan.ts'
import { shortOrigin } from './describe-explanation.ts'

/** The plan in aligned lines, as the push and `modelwright plan` show it. */
export function describePlan(plan: Plan): string[] {
  const width = Math.max(...plan.nodes.map((node) => node.id.length), 4)
  return [summary(plan), ...plan.nodes.map((node) => `  ${node.id.padEnd(width)}  ${describeDecision(node)}`)]
}

function describeDecision({ decision }: PlannedNode): string {
  if (decision.outcome === 'skipped') return `skipped  ${shortened(decision.reasons)}`
  if (decision.outcome === 'decided later')
    return decision.after.length > 0 ? `decided after ${decision.after.join(', ')}` : shortened(decision.reasons)
  const origin = decision.origin && shortOrigin(decision.origin)
  const against = origin ? ` (${decision.outcome === 'reused' ? 'from' : 'since'} ${origin})` : ''
  return `${decision.outcome.padEnd(6)}  ${shortened(decision.reasons)}${against}`
}

const shownReasons = 3

const shortened = (reasons: readonly string[]): string =>
  reasons.length <= shownReasons
    ? reasons.join('; ')
    : `${reasons.slice(0, shownReasons).join('; ')}; and ${reasons.length - shownReasons} more`

function summary(plan: Plan): string {
  const count = (outcome: string) => plan.nodes.filter((node) => node.decision.outcome === outcome).length
  const parts = [
    [count('runs'), 'to run'],
    [count('reused'), 'reused'],
    [count('decided later'), 'decided later'],
    [count('skipped'), 'skipped'],
  ] as const
  const head = `Plan for ${plan.commit.slice(0, 12)}`
  if (plan.nodes.length === 0) return `${head}: nothing to do, modelwright.yaml declares no steps`
  return `${head}: ${parts
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${n} ${word}`)
    .join(', ')}`
}
