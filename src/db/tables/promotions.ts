import type { Generated } from 'kysely'

/** The way from a verdict to a commit of desired state. Each JSON column says so in its name's comment. */
export interface PromotionTables {
  /** What became a version by a verdict; one row per content, so that equal content never becomes a second version. */
  judged_versions: {
    digest: string
    project: string
    model: string
    version: number
    content_digest: string
    execution_id: string
    verdict_id: string
    verdict_outcome: string
    created_at: number
  }
  promotions: {
    id: string
    project: string
    environment: string
    model: string
    version: number
    digest: string
    kind: string
    state: string
    /** Where the due commit goes: `branch` or `proposal`. */
    destination: string
    approver: string | null
    replaces: string | null
    execution_id: string | null
    verdict_id: string | null
    verdict_outcome: string | null
    /** JSON: string[] */
    reasons: string
    proposal_branch: string
    base: string
    message: string
    intended_at: number
    commit_id: string | null
    decided_by: string | null
    note: string | null
    created_at: number
    updated_at: number
  }
  promotion_decisions: {
    verdict_id: string
    environment: string
    project: string
    inputs: string
    inputs_digest: string
    rule_version: string
    outcome: string
    /** JSON: string[] */
    reasons: string
    promotion_id: string | null
    at: number
  }
  /** Versions that an environment does not take again by itself. `lifted_at` is set when a person said otherwise. */
  promotion_bars: {
    project: string
    environment: string
    digest: string
    cause: string
    reason: string
    at: number
    lifted_at: number | null
    lifted_by: string | null
  }
  /** What Git declared for each environment, change by change. */
  desired_states: {
    id: Generated<number>
    project: string
    environment: string
    model: string | null
    version: number | null
    digest: string | null
    commit_id: string
    actor: string
    origin: string
    at: number
  }
}
