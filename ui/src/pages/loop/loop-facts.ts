import {
  deploymentState,
  executionState,
  promotionState,
  type ShownState,
  verdictState,
} from '../../../../src/lineage/shown-states-contract.ts'
import type { Deployment, Monitored, Overview, Promotion, Verdict } from '../../data/queries.ts'
import { progressOf } from '../../executions-words.ts'
import { count, percent } from '../../format.ts'
import type { Stage } from '../../parts/strip.tsx'

type LoopExecution = NonNullable<Overview['execution']>

/** What the server says of a project: the overview, with what the monitors last saw and all its promotions. */
export type LoopFacts = { overview: Overview; promotions: Promotion[]; monitored: Monitored[] }

/** Worst first: the state that a project's own chip takes from its environments. */
const worstFirst: Deployment['state'][] = [
  'stalled',
  'mismatch',
  'waiting for a person',
  'progressing',
  'serving',
  'nothing declared',
]

/** What one chip and one sentence can say of all. */
export function headline({ overview }: LoopFacts): { state: ShownState | undefined; sentence: string } {
  const { deployments, execution, promotions, alerts } = overview
  const worst = worstFirst
    .map((state) => deployments.find((deployment) => deployment.state === state))
    .find((deployment) => deployment !== undefined)
  if (!worst || worst.state === 'nothing declared') {
    const state = execution ? executionState[execution.state] : undefined
    if (!execution) return { state, sentence: 'Connected, and nothing was pushed yet.' }
    return {
      state,
      sentence: 'Nothing serves yet. The first version that passes its gate is promoted as the file says.',
    }
  }
  const parts = [sentenceOf(worst)]
  if (overview.verdict?.outcome === 'fail') parts.push('The last candidate was refused by its gate.')
  if (alerts.length > 0) parts.push(`${count(alerts.length, 'alert')} open.`)
  if (promotions.length > 0)
    parts.push(`${count(promotions.length, 'promotion')} ${promotions.length === 1 ? 'waits' : 'wait'} for a person.`)
  return { state: deploymentState[worst.state], sentence: parts.join(' ') }
}

function sentenceOf({ environment, state, serving, rollout, reason }: Deployment): string {
  const version = serving ? `Version ${serving.version}` : 'Nothing'
  switch (state) {
    case 'serving':
      return `${version} answers all of ${environment}.`
    case 'progressing':
      return rollout
        ? `Version ${rollout.newcomer.version} is going out to ${environment}${serving ? ` beside ${version.toLowerCase()}` : ''}.`
        : `${environment} is being brought to what Git declares.`
    case 'waiting for a person':
      return `The rollout to ${environment} waits for a person${because(reason)}.`
    case 'stalled':
      return `The rollout to ${environment} stopped${serving ? `; ${version.toLowerCase()} goes on serving` : ''}.`
    case 'mismatch':
      return `${environment} is not as Git declares${because(reason)}.`
    case 'nothing declared':
      return `Nothing is declared for ${environment}.`
  }
}

/** A reason may be a whole sentence already. */
const because = (reason: string | undefined): string => (reason ? `: ${reason.replace(/\.(\)?)$/, '$1')}` : '')

/** The loop as it stands: from the commit to what watches production. A stage without state was not reached. */
export function stages(facts: LoopFacts): Stage[] {
  const { execution, verdict } = facts.overview
  return [
    { name: 'Run', ...runStage(execution) },
    { name: 'Judge', ...judgeStage(execution, verdict) },
    { name: 'Promote', ...promoteStage(facts) },
    { name: 'Roll out', ...rolloutStage(facts) },
    { name: 'Watch', ...watchStage(facts) },
  ]
}

type Told = Omit<Stage, 'name'>

function runStage(execution: LoopExecution | undefined): Told {
  if (!execution) return { state: undefined, text: 'after the first push' }
  const { done, of, reused, failed } = progressOf(execution.nodes)
  if (failed.length > 0) return { state: 'failed', text: `${failed.map(({ id }) => id).join(', ')} failed` }
  const text = `${done} of ${count(of, 'step')}${reused > 0 ? `, ${reused} reused` : ''}`
  return { state: executionState[execution.state], text }
}

function judgeStage(execution: LoopExecution | undefined, verdict: Verdict | undefined): Told {
  if (verdict) return { state: verdictState[verdict.outcome], text: `score ${Number(verdict.score.toFixed(1))} of 100` }
  if (!execution) return { state: undefined, text: 'by its gate' }
  return { state: undefined, text: execution.endedAt === undefined ? 'after the last step' : 'no candidate' }
}

function promoteStage({ overview: { execution, verdict }, promotions }: LoopFacts): Told {
  const own = promotions.find(({ executionId }) => executionId === execution?.id)
  if (!own) return { state: undefined, text: verdict?.outcome === 'fail' ? 'refused by the gate' : 'after the verdict' }
  const text = own.waitsForPerson
    ? `v${own.version} waits for ${own.approver ?? 'a member'}`
    : `v${own.version} to ${own.environment}`
  return { state: promotionState[own.state], text }
}

function rolloutStage({ overview: { deployments } }: LoopFacts): Told {
  const moving = deployments.find(({ rollout }) => rollout !== undefined)
  if (moving?.rollout) {
    const { newcomer, canary, step, state } = moving.rollout
    const where = state === 'preparing' ? 'is being loaded' : `at ${percent(canary[step] ?? 1)}`
    return { state: deploymentState[moving.state], text: `v${newcomer.version} ${where}` }
  }
  const serving = deployments.find((deployment) => deployment.serving !== undefined)
  if (serving?.serving)
    return { state: deploymentState[serving.state], text: `v${serving.serving.version} in ${serving.environment}` }
  return { state: undefined, text: 'after the promotion' }
}

function watchStage({ overview: { alerts }, monitored }: LoopFacts): Told {
  if (alerts.length > 0) return { state: 'warned', text: count(alerts.length, 'open alert') }
  const report = monitored.find((environment) => environment.report !== undefined)?.report
  if (!report) return { state: undefined, text: 'once it answers' }
  if (report.outcome === 'no drift') return { state: 'passed', text: `no drift in ${count(report.window.rows, 'row')}` }
  // Before there is enough to judge there is nothing to warn of either.
  return { state: undefined, text: report.outcome }
}
