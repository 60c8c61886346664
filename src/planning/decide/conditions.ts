import { type Bound, compares, targetOf } from '../../kernel/bound.ts'
import { AppError } from '../../kernel/errors.ts'
import { nearestWord } from '../../kernel/nearest-word.ts'
import type { Condition, JsonScalar, Step } from '../../projects/index.ts'
import type { NodeDecision, NodeOutcome, PlanContext, PlanNode } from '../plan.ts'
import { paramsOf } from './step-key.ts'

/**
 * What is decided of a node without its key: skipped, where a condition of `when:` does not hold (as soon as that is known: a branch
 * is known before anything ran), or fanned out. Undefined: its key decides.
 * @throws AppError MetricMissing where a condition asks for a metric that the step did not measure.
 */
export function decisionWithoutKey(
  context: PlanContext,
  node: PlanNode,
  outcomes: ReadonlyMap<string, NodeOutcome>,
): NodeDecision | undefined {
  const step = context.file.steps[node.step]
  if (!step) return undefined
  const reasons = step.when.flatMap((condition) => whyNot(condition, step, context, outcomes))
  if (reasons.length > 0) return { outcome: 'skipped', reasons }
  const open = node.after.filter((id) => !outcomes.has(id))
  if (node.kind !== 'fan-out' || open.length > 0) return undefined
  return { outcome: 'decided later', after: [], reasons: [`one step for each item of ${step.foreach!.list}`] }
}

/** Empty where the condition holds, or cannot be known yet. */
function whyNot(
  condition: Condition,
  step: Step,
  context: PlanContext,
  outcomes: ReadonlyMap<string, NodeOutcome>,
): string[] {
  if (condition.kind === 'fact') {
    const value = factOf(condition.fact, step, context)
    if ((value !== undefined && sameValue(value, condition.value)) === condition.equals) return []
    return [`${condition.text} does not hold: it is ${value === undefined ? 'not set' : String(value)}`]
  }
  const outcome = outcomes.get(condition.step)
  if (!outcome || !('result' in outcome)) return []
  const value = outcome.result.metrics[condition.metric]
  if (value === undefined) throw missing(condition, step, Object.keys(outcome.result.metrics))
  return holds(condition.bound, value) ? [] : [`${condition.text} does not hold: it is ${value}`]
}

function factOf(
  fact: Extract<Condition, { kind: 'fact' }>['fact'],
  step: Step,
  context: PlanContext,
): JsonScalar | undefined {
  if (fact === 'branch') return context.facts.branch
  if (fact === 'trigger') return context.facts.trigger
  return paramsOf(step, context.set)[fact.slice('params.'.length)]
}

/** Numbers as numbers: 3 and 3.0 are one depth. */
const sameValue = (value: JsonScalar, written: string): boolean =>
  typeof value === 'number' && written.trim() !== '' && Number.isFinite(Number(written))
    ? value === Number(written)
    : String(value) === written

const holds = (bound: Bound, value: number): boolean => compares(value, bound.comparator, targetOf(bound, undefined))

function missing(condition: Extract<Condition, { kind: 'metric' }>, step: Step, measured: readonly string[]): AppError {
  const near = nearestWord(condition.metric, measured)
  return new AppError(
    'MetricMissing',
    `Step "${step.name}" runs when ${condition.text}, but "${condition.step}" measured no "${condition.metric}"; it measured: ${measured.join(', ') || 'nothing'}.`,
    near
      ? `Did you mean "${condition.step}.${near}"?`
      : `Log ${condition.metric} in "${condition.step}", or change when: of "${step.name}".`,
  )
}
