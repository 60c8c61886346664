import type { Digest } from '../kernel/digest.ts'
import type { CommitId, ExecutionId, LoggedModelId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'
import type { EnvironmentLock } from '../ports/environments.ts'
import type { Item, JsonScalar, ProjectFile } from '../projects/index.ts'

/**
 * What a commit asks for: nodes with their order. Beside each step of the file there is one node for the Python environment, where
 * there is one, one for each dataset that has to be fetched first (`data:rows`), and, where a gate compares with the champion, one that evaluates the champion on the candidate's rows:
 * `evaluate@champion`.
 */
export type PlanNode = {
  id: string
  kind: 'environment' | 'data' | 'step' | 'champion evaluation' | 'fan-out'
  /** The step of the file, or of a fan-out's item (`train@a`); for the environment and for data the node's own id. */
  step: string
  /** The item of its list that the node was made for; its group is the node of the declared name. */
  item?: Item
  /** Ids of the nodes that must have ended well before. */
  after: string[]
}

/** `origin`: of what is reused, or of the earlier result that the reasons compare with. */
export type NodeDecision =
  /** A condition of `when:` does not hold, or one of a step before it did not. */
  | { outcome: 'skipped'; reasons: string[] }
  | { outcome: 'runs'; key: Digest; parts?: KeyParts; origin?: ResultOrigin; reasons: string[] }
  | { outcome: 'reused'; key: Digest; parts?: KeyParts; result?: StepResult; origin?: ResultOrigin; reasons: string[] }
  | { outcome: 'decided later'; after: string[]; reasons: string[] }

export type PlannedNode = PlanNode & { decision: NodeDecision }

export type Plan = { project: string; commit: CommitId; nodes: PlannedNode[] }

/** Which execution of which commit made a result, and when; older records know only when. */
export type ResultOrigin = { key: Digest; at: EpochMs; executionId?: ExecutionId; commit?: CommitId }

/** Everything that can change a step's result; its digest is the key. Two keys differ exactly where these parts do (`told` apart). */
export type KeyParts = {
  /** With its parameters filled in, and blanks that mean nothing to sh taken away. */
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
  /** Set where a step is carried out each time: the execution and the node. */
  once?: string
  /** Set where the step declares that its result depends on it: `linux-x64`. */
  platform?: string
  /** Set where the step is not isolated: it sees all of this commit. */
  checkout?: CommitId
  /** Set where the step sees data, itself or through others, of which only this share is looked at. */
  sample?: Share
  /** Folders of the workspace that are on Python's path: those of editable projects. */
  pythonPath?: string[]
  /**
   * For people, and no part of the key: the command before its parameters were filled in; which files are there only
   * because which other imports them; in which files only the named parameters stand.
   */
  told?: { template: string; imported: Record<string, string>; narrowed?: string[] }
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

/** `address`: where it came from, if not from the commit; `of`: the whole, of which it is a part. */
export type DataInput = {
  dataset: string
  path: string
  digest: Digest
  size: number
  address?: string
  of?: { digest: Digest; share: Share }
}

/** What an execution (or a plan before it) is made from: fixed when it starts, so that nothing moves under it. */
export type PlanContext = {
  project: string
  commit: CommitId
  file: ProjectFile
  /** Parameters set for this execution: name → value, for every step that declares the name. */
  set: Record<string, JsonScalar>
  /** The datasets as this execution sees them, production's labelled rows included. */
  data: Record<string, DataInput>
  /** Datasets at addresses that are not known yet, with why: the execution fetches them first, and then they are among `data`. */
  awaited?: Record<string, string>
  /** model → the champion that the target environment's Git state names. */
  champions: Record<string, Champion>
  /** Steps that `always:` run are keyed by this. */
  executionId: string
  /** Steps that are carried out although a result of theirs is kept. */
  fresh?: 'all' | string[]
  /** The share of each dataset's rows that is looked at, by a hash of their key; `data` holds the digests of the samples. */
  sample?: Share
  /** The lock to build from, instead of what the requirements resolve to now: a reproduction's. */
  environment?: Digest
  /** What `when:` may ask for. */
  facts: { trigger: string; branch?: string }
}

export type Champion = { version: number; digest: Digest; tree: Digest }

/** What is known of a node that others wait for. */
/** `joined`: a fan-out whose items all ended well; their results are under their own names. */
export type NodeOutcome = { environment: Digest } | { data: Digest } | { result: StepResult } | { joined: true }

/** Among the reasons of every decision about a step that sees more than it declares. */
export const notIsolated = 'not isolated: it sees the whole checkout'

/** Why one step runs or is reused: exactly what differs, against which earlier result, and all that its key is made of. */
export type Explanation = {
  step: string
  commit: CommitId
  decision: NodeDecision
  /** The result that is reused, or the one that `changes` compare with. */
  against?: ResultOrigin
  /**
   * Why it ran in `against`, as it was told then, and since which result; where nothing can be said before other steps have run, in the
   * commit's newest execution, which is named.
   */
  ran?: { reasons: readonly string[]; since?: ResultOrigin; executionId?: ExecutionId }
  /** The execution that decided it, where no plan can: the items of a list are known once the list is there. */
  decidedIn?: ExecutionId
  changes: KeyChange[]
  /** The lock that the key names, where there is one. */
  lock?: EnvironmentLock
  /** Nodes that it waits for and that are not reused. */
  upstream: { id: string; outcome: NodeDecision['outcome']; reasons: string[] }[]
}

/** One part of a key that differs from an earlier one: `before` and `after` as people read them; neither holds a variable's value. */
export type KeyChange = { part: KeyPart; name?: string; before?: string; after?: string; text: string }

export type KeyPart =
  | 'once'
  | 'command'
  | 'file'
  | 'parameter'
  | 'seed'
  | 'python'
  | 'package'
  | 'environment'
  | 'variable'
  | 'checks'
  | 'outs'
  | 'declaration'
  | 'platform'
  | 'commit'
  | 'sample'
  | 'python path'
