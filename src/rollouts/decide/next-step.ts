import { type Bound, compares, targetOf } from '../../kernel/bound.ts'
import { type Digest, shortDigest } from '../../kernel/digest.ts'
import { type EpochMs, formatDuration } from '../../kernel/time.ts'
import type { Share } from '../../kernel/units.ts'
import type { Clearance } from '../../promotions/index.ts'
import type { NotLoaded, VersionState } from '../../serving/index.ts'
import type { Rollout, TrafficCounts } from '../rollout.ts'
import type { RolloutOutcome } from './rollout-states.ts'

/** Changes when the same facts could get another decision. */
export const rolloutRuleVersion = 'rollout/1'

/** After so many times `every` without enough traffic a person is asked. */
export const patience = 3

export type RolloutFacts = {
  now: EpochMs
  /** What Git declares now. */
  desired: Digest | undefined
  clearance: Clearance
  /** Whether model and environment are on this machine. */
  prepared: { state: 'ready' } | { state: 'going on' } | { state: 'failed'; reason: string }
  /** What the gateway says of the newcomer; undefined: nothing (it is down, or has not read of it). */
  newcomer: { state: VersionState; reason?: string; cause?: NotLoaded['cause'] } | undefined
  guardTripped: string | undefined
  /** Counted since the step began. */
  traffic: { newcomer: TrafficCounts; old: TrafficCounts }
}

export type RolloutDecision = { outcome: RolloutOutcome; step: number; reasons: string[] }

/**
 * One look at a rollout that is under way → what to do. Pure; `now` in epoch milliseconds. Whoever calls again with the same facts
 * gets the same answer, so a look that was lost is simply taken again.
 */
export function nextStep(rollout: Rollout, facts: RolloutFacts): RolloutDecision {
  const decision = (outcome: RolloutOutcome, reason: string, step = rollout.step): RolloutDecision => ({
    outcome,
    step,
    reasons: [reason],
  })
  if (rollout.state === 'rolling back') return decision('stall', rollout.reason ?? 'rolled back')
  const left = leftByGit(rollout, facts.desired)
  if (left) return decision(left.outcome, left.reason)
  const stop = reasonToStop(rollout, facts)
  if (stop) return decision('roll back', stop)
  if (rollout.state === 'preparing') return prepare(rollout, facts, decision)
  return observe(rollout, facts, decision)
}

type Decide = (outcome: RolloutOutcome, reason: string, step?: number) => RolloutDecision

function leftByGit(
  rollout: Rollout,
  desired: Digest | undefined,
): { outcome: RolloutOutcome; reason: string } | undefined {
  const { newcomer, old } = rollout
  if (desired === newcomer.digest) return undefined
  if (!desired) return { outcome: 'abandon', reason: 'Git no longer declares a version here' }
  if (desired === old?.digest) return { outcome: 'abandon', reason: `Git declares version ${old.version} again` }
  return { outcome: 'restart', reason: `Git now declares ${shortDigest(desired)}` }
}

function reasonToStop(rollout: Rollout, facts: RolloutFacts): string | undefined {
  const { newcomer, prepared, clearance, guardTripped } = facts
  if (!clearance.cleared) return clearance.reason
  if (rollout.request?.what === 'abort') return `aborted by ${rollout.request.by}`
  if (guardTripped) return `the gateway took it out of traffic: ${guardTripped}`
  if (prepared.state === 'failed') return `it cannot be prepared: ${prepared.reason}`
  if (newcomer?.state === 'failed') return `it cannot be loaded: ${newcomer.reason ?? 'its worker gave no reason'}`
  return rollout.state === 'preparing' ? undefined : brokenBound(rollout, facts)
}

function prepare(rollout: Rollout, facts: RolloutFacts, decide: Decide): RolloutDecision {
  const { prepared, newcomer } = facts
  const name = `version ${rollout.newcomer.version}`
  if (prepared.state !== 'ready') return decide('wait', `${name} is being brought to this machine`)
  if (isHeld(facts)) return takeThePlace(rollout, decide)
  if (!isAble(newcomer)) return decide('wait', `${name} is being loaded`)
  if (rollout.straight) return decide('finish', rollout.straight)
  const first = rollout.plan.canary[0] ?? 1
  if (first >= 1) return decide('finish', 'no canary is declared, so it takes all traffic at once')
  return decide('begin', `${name} is ready and gets ${percent(first)} of the traffic`, 0)
}

/**
 * It cannot be loaded beside the old one, so it gets all the traffic at once, in the old one's place; its rollout ends when it serves
 * there. Where Git asks for a canary, which this leaves out, a person says so.
 */
function takeThePlace(rollout: Rollout, decide: Decide): RolloutDecision {
  const { plan, request, straight, newcomer } = rollout
  const name = `version ${newcomer.version}`
  if (asksForCanary(plan) && !straight && request?.what !== 'continue')
    return decide(
      'wait',
      `${name} does not fit beside the version that serves, so a canary cannot be: a person may say go on, and it takes all traffic at once, in the other's place`,
    )
  const by = request?.what === 'continue' ? `${request.by} said to go on without a canary` : 'memory holds one of them'
  return decide('begin', `${by}: ${name} takes the place of the one that serves`, plan.canary.length - 1)
}

/** The gateway cannot have both versions in memory. */
export const isHeld = ({ newcomer }: Pick<RolloutFacts, 'newcomer'>): boolean => newcomer?.cause === 'held'

/** Whether a person is asked, because a canary is declared that memory does not allow. */
export const needsPerson = (rollout: Rollout, facts: Pick<RolloutFacts, 'newcomer'>): boolean =>
  rollout.state === 'preparing' && isHeld(facts) && asksForCanary(rollout.plan) && !rollout.straight

const asksForCanary = ({ canary }: Rollout['plan']): boolean => (canary[0] ?? 1) < 1

/** A model that sleeps was loaded before, and is loaded by the first request. */
const isAble = (newcomer: RolloutFacts['newcomer']): boolean =>
  newcomer?.state === 'ready' || (newcomer?.state === 'asleep' && newcomer.cause !== 'held')

function observe(rollout: Rollout, facts: RolloutFacts, decide: Decide): RolloutDecision {
  const { plan, state, request, stepSince } = rollout
  if ((plan.canary[rollout.step] ?? 1) >= 1)
    return isAble(facts.newcomer)
      ? decide('finish', `version ${rollout.newcomer.version} serves in the place of the old one`)
      : decide('wait', `version ${rollout.newcomer.version} is being loaded in the place of the old one`)
  const { requests } = facts.traffic.newcomer
  const elapsed = facts.now - stepSince
  if (request?.what === 'continue')
    return onward(rollout, `${request.by} said to go on after ${numbers(facts)}`, decide)
  if (elapsed < plan.everyMs)
    return decide('wait', `${formatDuration(elapsed)} of ${formatDuration(plan.everyMs)}: ${numbers(facts)}`)
  if (requests >= plan.minRequests)
    return onward(rollout, `${formatDuration(elapsed)}: ${numbers(facts)}, within bounds`, decide)
  const little = `${requests} of ${plan.minRequests} requests in ${formatDuration(elapsed)}`
  if (state === 'waiting') return decide('wait', `${little}: a person may say go on`)
  if (elapsed >= patience * plan.everyMs) return decide('ask a person', `${little}: too little traffic to decide by`)
  return decide('wait', `${little}: waiting for more`)
}

function onward({ plan, step }: Rollout, reason: string, decide: Decide): RolloutDecision {
  const next = plan.canary[step + 1] ?? 1
  if (next >= 1) return decide('finish', `${reason}; it takes all traffic`)
  return decide('advance', `${reason}; next ${percent(next)}`, step + 1)
}

/** The bound that the newcomer broke, with the numbers. */
function brokenBound({ plan }: Rollout, { traffic }: RolloutFacts): string | undefined {
  const checks = [
    { bound: plan.abort.errorRate, what: 'failed', count: (of: TrafficCounts) => of.failed },
    {
      bound: plan.abort.inputFailureRate,
      what: 'had their input refused',
      count: (of: TrafficCounts) => of.inputRefused,
    },
  ]
  for (const { bound, what, count } of checks) {
    if (
      !bound ||
      !isBroken(bound, count(traffic.newcomer), traffic, plan.minRequests, shareOf(count(traffic.old), traffic.old))
    )
      continue
    const { requests } = traffic.newcomer
    return `${count(traffic.newcomer)} of ${requests} requests ${what} (${percent(shareOf(count(traffic.newcomer), traffic.newcomer))}, abort ${bound.text})`
  }
  return undefined
}

/** Broken, too, where enough failed that even successes alone up to `minRequests` could not mend it: then waiting only hurts. */
function isBroken(
  bound: Bound,
  count: number,
  traffic: RolloutFacts['traffic'],
  minRequests: number,
  old: Share,
): boolean {
  const { requests } = traffic.newcomer
  if (requests === 0) return false
  const rising = bound.comparator === '>' || bound.comparator === '>='
  if (requests < minRequests && (!rising || count === 0)) return false
  return compares(count / Math.max(requests, minRequests), bound.comparator, targetOf(bound, old))
}

const shareOf = (count: number, { requests }: TrafficCounts): Share => (requests === 0 ? 0 : count / requests)

const numbers = ({ traffic: { newcomer } }: RolloutFacts): string =>
  `${newcomer.requests} requests, ${newcomer.failed} failed, ${newcomer.inputRefused} refused for their input`

const percent = (share: Share): string => `${Number((share * 100).toFixed(2))}%`
