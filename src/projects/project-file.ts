import type { Bound, BoundsExpr } from '../kernel/bound.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Share } from '../kernel/units.ts'

/** modelwright.yaml as the other rooms see it: checked, with every default filled in. */
export type ProjectFile = {
  project: string
  /** The branch of the authoritative remote whose head is the desired state. */
  branch: string
  python?: PythonEnvironment
  data: Record<string, DataSource>
  steps: Record<string, Step>
  /** Pushes to other branches than `branch` run on this share of each dataset's rows, by a hash of their key. */
  sample?: Share
  models: Record<string, ModelPolicy>
  deployments: Record<EnvironmentName, Deployment>
}

export type EnvironmentName = string

/**
 * `requirements` is a path in the repository, where `conda` says so of an environment.yml; `version` a specifier as pip writes it
 * (`>= 3.11`).
 */
export type PythonEnvironment = { version?: string; requirements: string; conda?: true }

export type JsonScalar = string | number | boolean

/** One entry of a `foreach:` list: a value, or a flat map of values. */
export type Item = JsonScalar | Record<string, JsonScalar>

export type DataSource = {
  /** A file in Git, relative to the repository's root; of data at an address, its place in a step's workspace. */
  path: string
  /** Where it lies outside of Git: `https://…`, `file:///…`. */
  address?: string
  /** The name of the secret that the address asks for. */
  secret?: string
  /** The column by whose hash rows are split and sampled. */
  key?: string
  /** Rows that this environment's production saw and that were labelled since. */
  plus?: { predictions: EnvironmentName; labelled: true }
  checks: Check[]
}

export type Check = RowsCheck | ColumnCheck
export type RowsCheck = { kind: 'rows'; rows: Bound }
export type ColumnType = 'number' | 'integer' | 'string' | 'boolean'
export type ColumnCheck = {
  kind: 'column'
  column: string
  type?: ColumnType
  /** Both ends belong to the range; an end that was written as null is open. */
  range?: { min?: number; max?: number }
  values?: JsonScalar[]
  /** A bound on the share (0..1) of rows without a value. */
  missing?: Bound
  unique?: boolean
  /** A regular expression (JavaScript, flag u) that the whole value matches. */
  regex?: string
  at: 'training' | 'inference' | 'both'
}

export type Step = {
  name: string
  /** A line for sh; `${params.x}` is filled in by renderCommand. */
  run: string
  deps: Dep[]
  /** Files or folders, normalised: no `./` in front, no `/` at the end. */
  outs: string[]
  params: Record<string, JsonScalar>
  seed: number
  /** Names of environment variables that the step sees, and that are part of its key. */
  env: string[]
  /** The MLflow model that this step logs. */
  model?: string
  /** True: what the step logged to its run; a path: a JSON file that it wrote. */
  metrics: boolean | string
  /** Carried out each time, even where nothing changed. */
  always: boolean
  /** Which step of the file this one was made from by `matrix:`, with its values; `run`, `deps`, `outs` and `model` hold them already. */
  matrix?: { of: string; values: Record<string, JsonScalar> }
  /** One node per item of a JSON list that an upstream step writes: `${item}` or `${item.key}` in run and outs. */
  foreach?: { list: string; atMost: number }
  /** All must hold, or the step is skipped, and what needs it too. */
  when: Condition[]
  retries: Retries
  timeoutMs?: number
  resources: Resources
  /** Of the steps of one server that name the same word, one runs at a time. */
  mutex?: string
  /** A folder of the workspace that survives a retry and is no output. */
  checkpoints?: string
  /** Names of secrets, given as environment variables; never part of the key. */
  secrets: string[]
  /** Names of shared folders (caches of model hubs) that survive; never part of the key. */
  caches: SharedCache[]
  /** False: the step sees the whole checkout; it is never reused across commits. */
  isolated: boolean
  /** Operating system and processor are part of the key. */
  platform: boolean
  /** A notebook that is carried out instead of a command; `run` then is the command for it. */
  notebook?: string
  /** The model with which a table is scored instead of a command; `run` then is the command for it. */
  score?: string
  /** Files of parameters of which the step sees only what it names; from a dvc.yaml. */
  paramFiles?: ParamFile[]
}

/** `keys`: `lr`, `train.lr`; in `params` of the step each single value below them has the name of `prefix` and key. */
export type ParamFile = { path: string; keys: string[]; prefix: string }

/** Why an attempt ended badly: its exit status, its time limit, its memory limit, or nobody knows (power, kill -9). */
export const failureKinds = ['error', 'timeout', 'memory', 'lost'] as const
export type FailureKind = (typeof failureKinds)[number]

/** Further attempts after the first, with a pause that doubles from `waitMs` on. */
export type Retries = { times: number; waitMs: number; on: FailureKind[] }

/** Weights for scheduling, and limits where the machine can hold them. */
export type Resources = { cpu: number; memoryBytes?: number; gpu: number }

export const sharedCaches = ['huggingface', 'torch', 'nltk', 'keras', 'pip'] as const
export type SharedCache = (typeof sharedCaches)[number]

/** `prepare.rows >= 100`, `branch == main`, `trigger != push`, `params.depth == 3`. */
export type Condition =
  | { kind: 'metric'; text: string; step: string; metric: string; bound: Bound }
  | { kind: 'fact'; text: string; fact: 'branch' | 'trigger' | `params.${string}`; equals: boolean; value: string }

export type Dep = { kind: 'path'; path: string } | { kind: 'data'; name: string } | { kind: 'model'; name: string }

export type ModelPolicy = { gate?: GateDeclaration; promote: Record<EnvironmentName, PromoteRule> }

export type GateDeclaration = {
  objectives: ObjectiveDeclaration[]
  /** Shares of the reachable score from which the whole passes or warns. */
  total: { pass: Share; warn: Share }
  /** What a gate of nothing but comparisons says of a first candidate, for which there is no champion. */
  first: 'ask' | 'allow'
}

export type ObjectiveDeclaration = {
  /** As written: `evaluate.auc`. */
  metric: string
  step: string
  name: string
  /** Absent: the objective informs and does not count. */
  pass?: BoundsExpr
  warn?: BoundsExpr
  weight: number
  key: boolean
}

export type PromoteRule = 'automatic' | 'pull-request' | { approval: string }

export type Deployment = {
  model: string
  /** For people; absent until something was promoted. */
  version?: number
  /** What counts: the digest of the version's manifest. */
  digest?: Digest
  rollout: Rollout
  monitor: Monitor
  retrain: Retrain
  serve: ServePolicy
  inputs: InputPolicy
  log: LogPolicy
}

/** How the gateway carries an endpoint; what is left out is the gateway's own choice. */
export type ServePolicy = {
  /** Requests that are computed at once, and that may wait besides; more are told to come again. */
  concurrency?: number
  queue?: number
  /** Python processes of one version. */
  workers?: number
  /** One more of them, loaded and warmed, that takes over when another dies. */
  spare?: boolean
  /** Whether the model's code may use the network (false). */
  network?: boolean
  /** Of one Python process; beyond it, it is replaced. */
  memoryBytes?: number
  /** How long a client is kept waiting in all. */
  deadlineMs?: number
  /** How one version follows another: loaded beside it (surge), in its place (hold), or as memory allows (auto, where nothing is said). */
  swap?: 'auto' | 'surge' | 'hold'
  /** Whether a version that can be converted is computed as ONNX, once both are proved to answer alike (auto, where nothing is said). */
  convert?: 'auto' | 'off'
  /** After so long without a request the model is unloaded until the next one; absent: never. */
  idleMs?: number
}

/** What becomes of a row that breaks a declared check at inference. `impute`: the value that stands in, by column. */
export type InputPolicy = { onFailure: 'reject' | 'warn' | 'impute'; impute: Record<string, JsonScalar> }

/** What the prediction log keeps of an endpoint's requests; they are all counted. */
export type LogPolicy = {
  /** Of the requests this share is kept whole. */
  sample: Share
  /** Columns that are kept; absent: all. */
  fields?: string[]
  /** Columns of which only a keyed hash is kept. */
  hash: string[]
  /** How long; absent: for ever. */
  keepMs?: number
  /** The column that says whom a row is of: by it a person's rows are erased. */
  subject?: string
}

export type Rollout = {
  /** Shares of traffic, rising, the last one 1. */
  canary: Share[]
  everyMs: number
  /** Requests that the canary must have answered before a step is decided. */
  minRequests: number
  abort: { errorRate?: Bound; inputFailureRate?: Bound }
}

export const driftMeasures = ['psi', 'ks', 'chi2', 'missing'] as const
export type DriftMeasure = (typeof driftMeasures)[number]

export type Monitor = {
  drift: Partial<Record<DriftMeasure, Bound>>
  labels?: { withinMs: number }
  /** The predictions that are compared with the reference: the last so many, or those of the last span. */
  window?: { predictions: number } | { ms: number }
}

export type RetrainTrigger =
  | { kind: 'drift' }
  | { kind: 'metric'; metric: string; bound: Bound }
  | { kind: 'schedule'; text: string; cron: string }

export type Retrain = { on: RetrainTrigger[]; atMost: { count: number; perMs: number }; cooldownMs: number }

/** Something wrong in the file; `not-yet` is right, but not carried out by this version. Line and column count from 1. */
export type Problem = { kind: 'invalid' | 'not-yet'; line: number; column: number; text: string }
