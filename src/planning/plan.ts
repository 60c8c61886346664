import type { Digest } from '../kernel/digest.ts'
import type { CommitId, LoggedModelId, RunId } from '../kernel/ids.ts'
import type { JsonScalar, ProjectFile } from '../projects/index.ts'

/**
 * What a commit asks for: nodes with their order. Beside each step of the file there is one node for the Python environment, where
 * there is one, and, where a gate compares with the champion, one that evaluates the champion on the candidate's rows:
 * `evaluate@champion`.
 */
export type PlanNode = {
  id: string
  kind: 'environment' | 'step' | 'champion evaluation'
  /** The step of the file; `environment` for the environment's node. */
  step: string
  /** Ids of the nodes that must have ended well before. */
  after: string[]
}

export type NodeDecision =
  | { outcome: 'runs'; key: Digest; parts?: KeyParts; reasons: string[] }
  | { outcome: 'reused'; key: Digest; parts?: KeyParts; result?: StepResult; reasons: string[] }
  | { outcome: 'decided later'; after: string[]; reasons: string[] }

export type PlannedNode = PlanNode & { decision: NodeDecision }

export type Plan = { project: string; commit: CommitId; nodes: PlannedNode[] }

/** Everything that can change a step's result; its digest is the key. Two keys differ exactly where these parts do. */
export type KeyParts = {
  command: string
  /** path → content; files of Git, outputs of other steps (`path` of the out), data and models. */
  files: Record<string, string>
  /** Which of `files` are outputs of other steps: their content is a tree's digest. */
  trees: string[]
  params: Record<string, JsonScalar>
  seed: number
  environment: Digest | 'none'
  /** Declared environment variables by name, as digests: a value may be private. */
  variables: Record<string, Digest | 'unset'>
  outs: string[]
  model?: string
  metrics: boolean | string
  /** dataset → digest of the checks that stand before the step. */
  checks: Record<string, Digest>
  /** Set where a step is carried out each time: the execution. */
  once?: string
}

/** What carrying a step out gave, kept under its key. */
export type StepResult = {
  runId: RunId
  /** path of each out → tree digest; the tree's paths are relative to the workspace. */
  outs: Record<string, Digest>
  model?: { name: string; loggedModelId: LoggedModelId; tree: Digest }
  metrics: Record<string, number>
}

/** A file that a step may declare, with what stands in it. */
export type SourceFile = { digest: Digest; size: number; executable: boolean }

export type DataInput = { dataset: string; path: string; digest: Digest; size: number }

/** What an execution (or a plan before it) is made from: fixed when it starts, so that nothing moves under it. */
export type PlanContext = {
  project: string
  commit: CommitId
  file: ProjectFile
  /** Parameters set for this execution: name → value, for every step that declares the name. */
  set: Record<string, JsonScalar>
  /** The datasets as this execution sees them, production's labelled rows included. */
  data: Record<string, DataInput>
  /** model → the champion that the target environment's Git state names. */
  champions: Record<string, Champion>
  /** Steps that `always:` run are keyed by this. */
  executionId: string
}

export type Champion = { version: number; digest: Digest; tree: Digest }

/** What is known of a node that others wait for. */
export type NodeOutcome = { environment: Digest } | { result: StepResult }
