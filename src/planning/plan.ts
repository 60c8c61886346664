import type { Digest } from '../kernel/digest.ts'
import type { CommitId, LoggedModelId, RunId } from '../kernel/ids.ts'

/**
 * A box of the plan. Beside each step of the file there is, where a gate compares with the champion, one more box that evaluates
 * the champion on the candidate's rows: `evaluate@champion`.
 */
export type PlanNode = {
  id: string
  step: string
  kind: 'step' | 'champion evaluation'
  /** Ids of the boxes whose outcome this one takes. */
  after: string[]
  decision: NodeDecision
}

export type NodeDecision =
  | { outcome: 'runs'; key: Digest; parts: KeyParts; reasons: string[] }
  | { outcome: 'reused'; key: Digest; parts: KeyParts; result: StepResult; reasons: string[] }
  | { outcome: 'decided later'; after: string[]; reasons: string[] }

/** Everything that can change a step's result; its digest is the key. Two keys differ exactly where these parts do. */
export type KeyParts = {
  command: string
  /** path → content digest, for code and data that lie in Git or come from other steps. */
  files: Record<string, Digest>
  params: Record<string, string | number | boolean | null>
  seed: number
  environment: Digest | 'none'
  variables: Record<string, string>
  outs: string[]
  model?: string
}

/** What carrying a step out gave, kept under its key. */
export type StepResult = {
  key: Digest
  runId: RunId
  /** path of each out → tree digest. */
  outs: Record<string, Digest>
  model?: { name: string; loggedModelId: LoggedModelId; tree: Digest }
  metrics: Record<string, number>
}

export type Plan = { commit: CommitId; nodes: PlanNode[] }
