import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'

/**
 * What the gateway shall serve: `gateway/desired.json`, replaced atomically by the server, read by the gateway, which goes on
 * with the last one while the server is down. `revision` grows with every change.
 */
export type GatewayDesired = { revision: number; endpoints: EndpointDesired[] }

/** One deployment: `/endpoints/PROJECT/ENVIRONMENT/invocations`; a bare `/invocations` where it is the only one. */
export type EndpointDesired = {
  project: string
  environment: string
  model: string
  /** Weights add up to 1 unless there are none. A version with weight 0 is loaded and kept warm. */
  versions: { target: ServedVersion; weight: Share }[]
  /** Bounds within which the running rollout's newcomer must stay; the gateway itself may lower a weight to 0, never raise one. */
  guard?: { newcomer: Digest; minRequests: number; maxErrorRate?: Share; maxInputFailureRate?: Share }
}

/** A version as the gateway needs it: everything is on this machine before it is named here. */
export type ServedVersion = {
  model: string
  version: number
  /** The manifest's digest: what Git names. */
  digest: Digest
  modelPath: string
  pythonPath: string
  inputs: InputContract
}

/** What an input row must look like: from the model's signature and the checks that the project declares. */
export type InputContract = {
  /** Columns that the model takes, in order; none where the model has no signature. */
  columns: { name: string; type: string; required: boolean }[]
  /** Column checks that hold at inference. */
  checks: InputCheck[]
  /** A column that names the row's subject or sample; logged, not given to the model unless it is one of its columns. */
  key?: string
}

export type InputCheck = {
  column: string
  type?: 'number' | 'integer' | 'string' | 'boolean'
  range?: [number | null, number | null]
  values?: (string | number | boolean)[]
  /** JavaScript, flag u; the whole value must match. */
  regex?: string
  /** False where a null is an input failure. */
  mayBeMissing: boolean
}

/** What the gateway says of itself at `GET /status`: read by the reconciler, never stored by the gateway. */
export type GatewayObserved = {
  revision: number
  startedAt: EpochMs
  /** Why `desired.json` as it stands is not what is served: it cannot be read. The last good one goes on. */
  problem?: string
  /** Predictions whose record was written or had to be dropped since the start. */
  journal?: { written: number; dropped: number }
  endpoints: {
    project: string
    environment: string
    versions: {
      digest: Digest
      version: number
      weight: Share
      state: 'loading' | 'ready' | 'failed' | 'restarting'
      /** Why it is not ready. */
      reason?: string
      workerPid?: number
    }[]
    /** Set when the guard lowered the newcomer to 0, with the numbers. */
    guardTripped?: {
      newcomer: Digest
      at: EpochMs
      reason: string
      requests: number
      errors: number
      inputFailures: number
    }
  }[]
}

/** One line of the gateway's journal: what was asked of which version, and what came of it. */
export type PredictionRecord = {
  id: string
  at: EpochMs
  project: string
  environment: string
  model: string
  version: number
  digest: Digest
  outcome: 'answered' | 'input refused' | 'failed'
  latencyMs: number
  /** One entry per row of the request; rows of one request share its id with `:0`, `:1`, … appended where there are several. */
  rows: { key?: string; input: Record<string, unknown>; output?: unknown }[]
  error?: string
}
