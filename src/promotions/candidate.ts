import type { GateOutcome } from '../gates/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { ExecutionId } from '../kernel/ids.ts'
import type { Standing } from './decide/promote.ts'
import type { ModelVersionManifest } from './manifest.ts'

/** What an execution made and a gate judged: everything that a version's manifest says, and whether it may go anywhere. */
export type Candidate = {
  standing: Standing
  verdict: { id: string; outcome: GateOutcome; digest: Digest }
  origin: Omit<ModelVersionManifest, 'schema' | 'verdict' | 'createdAt'>
}

/** The facts of a judged candidate; undefined where the execution logged no such model. */
export type CandidateOf = (executionId: ExecutionId, model: string) => Promise<Candidate | undefined>
