import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'
import type { InputPolicy, LogPolicy, ServePolicy } from '../projects/index.ts'

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
  /** As Git says; absent: nothing but defaults. */
  serve?: ServePolicy
  inputs?: InputPolicy
  log?: LogPolicy
}

/** A version as the gateway needs it: everything is on this machine before it is named here. */
export type ServedVersion = {
  model: string
  version: number
  /** The manifest's digest: what Git names. */
  digest: Digest
  modelPath: string
  /** The folder of its ONNX form, where that is proved to answer alike: it computes the version. The Python stays, for where it cannot. */
  graphPath?: string
  pythonPath: string
  inputs: InputContract
}

export type Computes = 'onnx' | 'python'

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

/** `asleep`: not in memory, and able: a request loads it (unless it is `held`). */
export type VersionState = 'loading' | 'ready' | 'failed' | 'restarting' | 'asleep'

/**
 * Why a version is not in memory. Asleep: `idle` (nobody asked), `for others` (they needed the room), `held` (it takes the place of the
 * version that serves once it gets all the traffic: memory holds one, or Git says so). Failed, and not tried again until the desired
 * state changes: `not loaded` (the old one serves on), `too large` (for the whole budget), `no room` (beside the old one, as Git wants it).
 */
export type NotLoaded = {
  cause: 'idle' | 'for others' | 'held' | 'not loaded' | 'too large' | 'no room'
  reason: string
}

/** What the gateway says of itself at `GET /status`: read by the reconciler, never stored by the gateway. */
export type GatewayObserved = {
  revision: number
  /** Where it is several processes: how many it should be, and the numbers of those that answered; all the rest is of these together. */
  processes?: { of: number; answering: number[] }
  startedAt: EpochMs
  /** Why `desired.json` as it stands is not what is served: it cannot be read. The last good one goes on. */
  problem?: string
  /** Predictions whose record was written or had to be dropped since the start. */
  journal?: { written: number; dropped: number }
  /** Bytes that all models together may take (absent: no limit), and that they take or are promised. */
  memory?: { budget?: number; used: number }
  endpoints: {
    project: string
    environment: string
    versions: {
      digest: Digest
      version: number
      weight: Share
      state: VersionState
      /** Why it is not ready. */
      reason?: string
      /** What computes it, or would. */
      computes: Computes
      /** Why Python does, though there is an ONNX form. */
      computesReason?: string
      /** Why it is asleep, or refused, in one word. */
      cause?: NotLoaded['cause']
      /** When that came about. */
      since?: EpochMs
      /** What all of its processes, or its graph, take of the serving memory. */
      memoryBytes?: number
      workerPid?: number
      /** Its Python processes; memory in bytes, as measured last. */
      workers?: { pid: number; state: 'loading' | 'ready' | 'failed' | 'restarting'; memoryBytes?: number }[]
      /** Processes that were replaced since the start because they took more memory than they may. */
      replacedForMemory?: number
    }[]
    /** Requests that are here now, and those that were turned away since the start because too many were. */
    requests?: { inside: number; waiting: number; turnedAway: number }
    /** What was wrong with requests since the start, by kind: of those refused their first problem, of those answered each. */
    inputs?: { refused: Record<string, number>; warned: Record<string, number>; imputed: number }
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
  rows: {
    key?: string
    /** Hash of whom the row is of, where the log's policy names a subject. */
    subject?: string
    input: Record<string, unknown>
    output?: unknown
  }[]
  /** False: by the log's policy only that it was there is kept, without its rows. */
  sampled?: boolean
  /** What was wrong with an input that was answered all the same: how often, by kind. */
  warnings?: Record<string, number>
  error?: string
}
