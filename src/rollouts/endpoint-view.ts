import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Deployment } from '../projects/index.ts'
import type { GatewayObserved } from '../serving/index.ts'
import { conversionReason, type VersionConversion } from './version-conversion.ts'

type SeenEndpoint = GatewayObserved['endpoints'][number]
type SeenVersion = SeenEndpoint['versions'][number]

export type ServedVersionView = Omit<SeenVersion, 'workerPid'>

/** A deployment as the gateway has it now, with what is on record of the form of its versions. */
export type EndpointView = Pick<SeenEndpoint, 'requests' | 'inputs' | 'guardTripped'> & {
  countedSince: EpochMs
  versions: ServedVersionView[]
}

/** What the gateway says of itself. */
export type GatewayView =
  | { answers: false }
  | ({ answers: true } & Pick<GatewayObserved, 'processes' | 'startedAt' | 'problem' | 'memory' | 'journal'>)

export function gatewayView(observed: GatewayObserved | undefined): GatewayView {
  if (!observed) return { answers: false }
  const { processes, startedAt, problem, memory, journal } = observed
  return {
    ...{ answers: true, startedAt },
    ...(processes ? { processes } : {}),
    ...(problem ? { problem } : {}),
    ...(memory ? { memory } : {}),
    ...(journal ? { journal } : {}),
  }
}

type Known = {
  startedAt: EpochMs
  declared: Deployment | undefined
  conversions: ReadonlyMap<Digest, VersionConversion>
}

export function endpointView(seen: SeenEndpoint, known: Known): EndpointView {
  const { versions, requests, inputs, guardTripped } = seen
  return {
    countedSince: known.startedAt,
    versions: versions.map((version) => versionView(version, known)),
    ...(requests ? { requests } : {}),
    ...(inputs ? { inputs } : {}),
    ...(guardTripped ? { guardTripped } : {}),
  }
}

function versionView(seen: SeenVersion, known: Known): ServedVersionView {
  const { workerPid: _, ...version } = seen
  const computesReason = whyComputed(seen, known)
  return { ...version, ...(computesReason ? { computesReason } : {}) }
}

/** The gateway knows why it does not use the form that it was given; why it was given none, Git and the record do. */
function whyComputed(
  { digest, computes, computesReason }: SeenVersion,
  { declared, conversions }: Known,
): string | undefined {
  if (computesReason) return computesReason
  if (computes === 'python' && declared?.serve.convert === 'off') return 'Git says serve: { convert: off }'
  const fact = conversions.get(digest)
  return fact && (fact.outcome === 'converted') === (computes === 'onnx') ? conversionReason(fact) : undefined
}
