import type { Digest } from '../../kernel/digest.ts'
import type { Place } from '../../kernel/place.ts'
import { type EpochMs, formatDuration } from '../../kernel/time.ts'
import type { EndpointDesired, GatewayObserved } from '../../serving/index.ts'

/** How long the gateway may take to read a new file before that counts as a mismatch. */
export const graceMs = 5000

export type Wanted = {
  revision: number
  writtenAt: EpochMs
  /** What the file says of this environment; undefined: nothing. */
  endpoint: EndpointDesired | undefined
  /** A newcomer that is still being loaded, and why something that should serve is not in the file. */
  loading: Digest | undefined
  missing: string | undefined
}

/** What differs between what was written for the gateway and what it says of itself; empty: nothing. Pure. */
export function mismatches(
  place: Place,
  wanted: Wanted,
  observed: GatewayObserved | undefined,
  now: EpochMs,
): string[] {
  if (wanted.missing) return [wanted.missing]
  if (!wanted.endpoint) return []
  if (!observed) return ['the gateway does not answer']
  const { processes } = observed
  if (processes && processes.answering.length < processes.of)
    return [`${processes.of - processes.answering.length} of ${processes.of} processes of the gateway do not answer`]
  if (observed.problem) return [`the gateway cannot read its file: ${observed.problem}`]
  if (observed.revision < wanted.revision)
    return now - wanted.writtenAt < graceMs
      ? []
      : [
          `the gateway is at revision ${observed.revision} since ${formatDuration(now - wanted.writtenAt)}, wanted is ${wanted.revision}`,
        ]
  const endpoint = observed.endpoints.find(
    (one) => one.project === place.project && one.environment === place.environment,
  )
  if (!endpoint) return ['the gateway does not know this deployment']
  return wanted.endpoint.versions.flatMap(({ target, weight }) => {
    const seen = endpoint.versions.find(({ digest }) => digest === target.digest)
    if (!seen) return [`the gateway does not have version ${target.version}`]
    // What sleeps for want of requests, or for others, answers when it is asked.
    const isAble = seen.state === 'ready' || (seen.state === 'asleep' && seen.cause !== 'held')
    if (
      isAble ||
      (target.digest === wanted.loading && (seen.state === 'loading' || seen.state === 'asleep')) ||
      weight === 0
    )
      return []
    return [`version ${target.version} is ${seen.state}${seen.reason ? ` (${seen.reason})` : ''}`]
  })
}
