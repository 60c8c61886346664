import { type Bound, targetOf } from '../../kernel/bound.ts'
import type { Digest } from '../../kernel/digest.ts'
import type { Place } from '../../kernel/place.ts'
import type { Share } from '../../kernel/units.ts'
import type { Deployment } from '../../projects/index.ts'
import type { EndpointDesired, ServedVersion } from '../../serving/index.ts'
import type { Rollout, VersionName, Weight } from '../rollout.ts'

/** Who shall get which share now, by a deployment's account: what serves, and the rollout under way. Weights add up to 1, or there are none. */
export function weightsOf(serving: VersionName | undefined, rollout: Rollout | undefined): Weight[] {
  const newcomer = rollout?.newcomer
  const old = serving?.digest === newcomer?.digest ? undefined : serving
  const share = newcomer ? shareOfNewcomer(rollout!, old !== undefined) : undefined
  const list: Weight[] = []
  if (old) list.push({ ...old, weight: 1 - (share ?? 0) })
  else if (serving && share === undefined) list.push({ ...serving, weight: 1 })
  if (newcomer && share !== undefined) list.push({ ...newcomer, weight: share })
  return list
}

/** undefined: it is not named at all. */
function shareOfNewcomer({ state, step, plan }: Rollout, someoneServes: boolean): Share | undefined {
  if (state === 'preparing') return someoneServes ? 0 : 1
  if (state === 'step' || state === 'waiting') return someoneServes ? plan.canary[step]! : 1
  return undefined
}

/**
 * The gateway's endpoint for those weights. A version that is not on this machine yet is left out; where that leaves nobody with
 * traffic there is no endpoint. `servable` gives what the gateway needs of a version, or undefined.
 */
export function endpointOf(
  place: Place & { model: string } & EndpointPolicies,
  weights: readonly Weight[],
  rollout: Rollout | undefined,
  servable: (digest: Digest) => ServedVersion | undefined,
): EndpointDesired | undefined {
  const versions = weights.flatMap(({ digest, weight }) => {
    const target = servable(digest)
    return target ? [{ target, weight }] : []
  })
  const total = versions.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) return undefined
  const { project, environment, model, serve, inputs, log } = place
  const guard = guardOf(rollout)
  return {
    ...{ project, environment, model },
    versions: versions.map(({ target, weight }) => ({ target, weight: weight / total })),
    ...(guard ? { guard } : {}),
    ...(serve ? { serve } : {}),
    ...(inputs ? { inputs } : {}),
    ...(log ? { log } : {}),
  }
}

/** How an endpoint is carried, as Git declares it; what differs in nothing from the defaults is left out. */
export type EndpointPolicies = Pick<EndpointDesired, 'serve' | 'inputs' | 'log'>

export function policiesOf({ serve, inputs, log }: Deployment): EndpointPolicies {
  const isPlainLog = log.sample === 1 && log.hash.length === 0 && !log.fields && !log.subject && !log.keepMs
  return {
    ...(Object.keys(serve).length > 0 ? { serve } : {}),
    ...(inputs.onFailure === 'reject' ? {} : { inputs }),
    ...(isPlainLog ? {} : { log }),
  }
}

/** Only bounds that say "abort above a fixed share" can be kept by the gateway alone; the others are this room's. */
function guardOf(rollout: Rollout | undefined): EndpointDesired['guard'] {
  if (!rollout?.old || (rollout.state !== 'step' && rollout.state !== 'waiting')) return undefined
  const { errorRate, inputFailureRate } = rollout.plan.abort
  const maxErrorRate = fixedCeiling(errorRate)
  const maxInputFailureRate = fixedCeiling(inputFailureRate)
  if (maxErrorRate === undefined && maxInputFailureRate === undefined) return undefined
  return {
    newcomer: rollout.newcomer.digest,
    minRequests: rollout.plan.minRequests,
    ...(maxErrorRate === undefined ? {} : { maxErrorRate }),
    ...(maxInputFailureRate === undefined ? {} : { maxInputFailureRate }),
  }
}

function fixedCeiling(bound: Bound | undefined): Share | undefined {
  if (bound?.target.kind !== 'fixed' || (bound.comparator !== '>' && bound.comparator !== '>=')) return undefined
  return Math.min(1, Math.max(0, targetOf(bound, undefined)))
}
