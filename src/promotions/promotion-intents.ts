import type { Digest } from '../kernel/digest.ts'
import { type CommitId, newId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { ProjectFile } from '../projects/index.ts'
import type { Candidate } from './candidate.ts'
import { commitMessage } from './commit-message.ts'
import type { PromotionDecision, PromotionFacts } from './decide/promote.ts'
import type { Promotion } from './promotion.ts'

/** The authoritative branch as it stands: what it declares is what a promotion replaces. */
export type Head = { commit: CommitId; file: ProjectFile }

/** What was decided for one environment, with all that it was decided from. */
export type Decided = {
  project: string
  candidate: Candidate
  facts: PromotionFacts
  decision: PromotionDecision
  head: Head
  at: EpochMs
}

export type AbortedVersion = Place & {
  model: string
  version: number
  digest: Digest
  reason: string
  /** What to set the environment back to; undefined: nothing served before. */
  back: { version: number; digest: Digest } | undefined
}

/** The intent that a decision other than `nothing` asks for. */
export function intentOf({ project, candidate, facts, decision, head, at }: Decided): Promotion {
  const { model, version, digest } = facts.candidate
  const { environment } = decision
  const replaces = head.file.deployments[environment]?.digest
  const promotion: Omit<Promotion, 'message'> = {
    id: newId(at),
    project,
    environment,
    model,
    version,
    digest,
    kind: 'promotion',
    state: 'intended',
    destination: decision.outcome === 'commit to branch' ? 'branch' : 'proposal',
    ...(decision.approver ? { approver: decision.approver } : {}),
    ...(replaces ? { replaces } : {}),
    executionId: candidate.origin.execution,
    verdictId: candidate.verdict.id,
    verdictOutcome: candidate.verdict.outcome,
    reasons: decision.reasons,
    proposalBranch: `modelwright/promote-${environment}-${version}`,
    base: head.commit,
    intendedAt: at,
    createdAt: at,
    updatedAt: at,
  }
  return { ...promotion, message: commitMessage(promotion) }
}

/** The proposal that sets an environment back to what served before the aborted version; `base`: the branch's head. */
export function revertOf(
  aborted: AbortedVersion,
  back: { version: number; digest: Digest },
  base: CommitId,
  at: EpochMs,
): Promotion {
  const promotion: Omit<Promotion, 'message'> = {
    id: newId(at),
    project: aborted.project,
    environment: aborted.environment,
    model: aborted.model,
    version: back.version,
    digest: back.digest,
    kind: 'revert',
    state: 'intended',
    destination: 'proposal',
    replaces: aborted.digest,
    reasons: [`the rollout of version ${aborted.version} was aborted: ${aborted.reason}`],
    proposalBranch: `modelwright/revert-${aborted.environment}-${aborted.version}`,
    base,
    intendedAt: at,
    createdAt: at,
    updatedAt: at,
  }
  return { ...promotion, message: commitMessage(promotion) }
}
