import type { Digest } from '../../kernel/digest.ts'
import type { GatewayObserved } from '../../serving/index.ts'
import type { RolloutFacts } from './next-step.ts'

/** What the gateway says of a version, as the rollout's rule takes it. */
export function newcomerIn(
  endpoint: GatewayObserved['endpoints'][number] | undefined,
  digest: Digest,
): RolloutFacts['newcomer'] {
  const seen = endpoint?.versions.find((one) => one.digest === digest)
  if (!seen) return undefined
  const { state, reason, cause } = seen
  return { state, ...(reason ? { reason } : {}), ...(cause ? { cause } : {}) }
}
