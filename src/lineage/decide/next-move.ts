import type { OutputOf } from '../../kernel/route.ts'
import type { getOverview } from '../lineage-contract.ts'

type Overview = OutputOf<typeof getOverview>
export type NextMove = Overview['next']
export type LoopFacts = Omit<Overview, 'next'>

/**
 * What is true of the loop in one sentence, and the one move that comes next. What waits for a person comes before what
 * Modelwright does by itself, what is broken before what is only new.
 */
export function nextMove(facts: LoopFacts): NextMove {
  const { project, execution } = facts
  if (!facts.commit)
    return {
      sentence: `Nothing was pushed to ${project.name} yet.`,
      who: 'you',
      command: `git push modelwright ${project.branch}`,
    }
  return (
    stalledDeployment(facts) ??
    waitingRollout(facts) ??
    waitingPromotion(facts) ??
    runningExecution(execution) ??
    failedExecution(execution) ??
    refusedCandidate(facts) ??
    mismatch(facts) ??
    progressing(facts) ??
    openAlert(facts) ??
    allWell(facts)
  )
}

function stalledDeployment({ deployments, promotions }: LoopFacts): NextMove | undefined {
  const stalled = deployments.find(({ state }) => state === 'stalled')
  if (!stalled) return undefined
  const revert = promotions.find(({ kind, environment }) => kind === 'revert' && environment === stalled.environment)
  const why = stalled.reason ?? 'its rollout was stopped'
  return {
    sentence: `${stalled.environment} is stalled: ${why}.${revert ? ' A revert is proposed.' : ''}`.replace('..', '.'),
    who: 'you',
    command: revert ? `modelwright approve ${revert.id}` : `modelwright why ${stalled.environment}`,
  }
}

function waitingRollout({ deployments }: LoopFacts): NextMove | undefined {
  const waiting = deployments.find(({ state, rollout }) => state === 'waiting for a person' && rollout)
  if (!waiting?.rollout) return undefined
  return {
    sentence: `The rollout of version ${waiting.rollout.newcomer.version} to ${waiting.environment} waits for you: ${waiting.rollout.next}.`,
    who: 'you',
    command: `modelwright rollouts continue ${waiting.environment}`,
  }
}

function waitingPromotion({ promotions }: LoopFacts): NextMove | undefined {
  const [promotion] = promotions
  if (!promotion) return undefined
  const what = promotion.kind === 'revert' ? 'The revert to' : 'The promotion of'
  return {
    sentence: `${what} ${promotion.model} version ${promotion.version} ${promotion.kind === 'revert' ? 'in' : 'to'} ${promotion.environment} waits for ${promotion.approver ? `the role "${promotion.approver}"` : 'a person'}.`,
    who: 'you',
    command: `modelwright approve ${promotion.id}`,
  }
}

function runningExecution(execution: LoopFacts['execution']): NextMove | undefined {
  if (!execution || execution.endedAt !== undefined) return undefined
  const running = execution.nodes.filter(({ state }) => state === 'running' || state === 'starting').map(({ id }) => id)
  return {
    sentence:
      running.length > 0
        ? `${running.join(', ')} ${running.length > 1 ? 'run' : 'runs'} now.`
        : 'An execution is queued.',
    who: 'modelwright',
    command: `modelwright logs -f ${execution.id}`,
  }
}

function failedExecution(execution: LoopFacts['execution']): NextMove | undefined {
  if (execution?.state !== 'failed') return undefined
  const failed = execution.nodes.find(({ state }) => state === 'failed')
  return {
    sentence: failed
      ? `${failed.id} failed: ${failed.error?.message ?? 'see its log'}`
      : (execution.reason ?? 'The execution failed.'),
    who: 'you',
    command: `modelwright logs ${execution.id}${failed ? ` ${failed.id}` : ''}`,
  }
}

/** Only the newest execution's verdict is news. */
function refusedCandidate({ verdict, execution }: LoopFacts): NextMove | undefined {
  if (!verdict || verdict.executionId !== execution?.id || verdict.outcome !== 'fail') return undefined
  const failed = verdict.objectives.find(({ outcome }) => outcome === 'fail')
  return {
    sentence: `The gate refused the candidate for ${verdict.model}${failed ? `: ${failed.reason}` : '.'}`,
    who: 'you',
    command: `modelwright diff`,
  }
}

function mismatch({ deployments }: LoopFacts): NextMove | undefined {
  const place = deployments.find(({ state }) => state === 'mismatch')
  if (!place) return undefined
  return {
    sentence: `${place.environment} is not what Git declares${place.reason ? `: ${place.reason}` : ''}; Modelwright heals it.`,
    who: 'modelwright',
    command: `modelwright why ${place.environment}`,
  }
}

function progressing({ deployments }: LoopFacts): NextMove | undefined {
  const place = deployments.find(({ state }) => state === 'progressing')
  if (!place) return undefined
  return {
    sentence: `${place.environment} is on its way to what Git declares${place.rollout ? `: ${place.rollout.next}` : ''}.`,
    who: 'modelwright',
    command: 'modelwright status',
  }
}

function openAlert({ alerts }: LoopFacts): NextMove | undefined {
  const [alert] = alerts
  if (!alert) return undefined
  const what =
    alert.kind === 'drift'
      ? `Inputs of ${alert.environment} drifted${alert.features.length > 0 ? ` (${alert.features.slice(0, 3).join(', ')}${alert.features.length > 3 ? ', …' : ''})` : ''}`
      : `${alert.environment} breaks ${alert.subject}`
  return { sentence: `${what}.`, who: 'you', command: `modelwright retrain ${alert.environment}` }
}

function allWell({ deployments, scheduled }: LoopFacts): NextMove {
  if (deployments.length === 0)
    return { sentence: 'Nothing waits; modelwright.yaml declares no deployment, so nothing serves.', who: 'nobody' }
  const serving = deployments.filter((one) => one.state === 'serving')
  if (serving.length === 0) {
    const names = deployments.map(({ environment }) => environment).join(', ')
    return { sentence: `No version was promoted to ${names} yet.`, who: 'you', command: 'modelwright versions' }
  }
  const where = serving.map((one) => `${one.environment} serves version ${one.serving?.version ?? '?'}`)
  const [soonest] = scheduled
  const then = soonest ? ` Next: ${soonest.what} in ${soonest.environment}.` : ''
  return { sentence: `${where.join(', ')}; nothing waits.${then}`, who: 'nobody' }
}
