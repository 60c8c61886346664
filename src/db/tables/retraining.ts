import type { Generated } from 'kysely'

export interface RetrainingTables {
  /** Why something was or was not started; an unchanged one is not written again. */
  retraining_decisions: {
    /** In the order written, whatever the clock does. */
    id: Generated<number>
    project: string
    environment: string
    at: number
    cause: string
    /** JSON: Trigger */
    trigger: string
    /** JSON: RetrainFacts */
    inputs: string
    inputs_digest: string
    rule_version: string
    outcome: string
    /** JSON: string[] */
    reasons: string
  }
  /** What was decided to be started, written before anything happens; one per cause, ever. */
  retrainings: {
    id: string
    project: string
    environment: string
    cause: string
    /** JSON: Trigger */
    trigger: string
    requested_by: string
    decided_at: number
    state: string
    /** JSON: { dataset, digest, rows }[]; null until they are frozen. */
    frozen: string | null
    execution_id: string | null
    started_at: number | null
    /** JSON: ErrorBody */
    error: string | null
  }
  /** From when on a schedule counts: a due time before it was first seen was nobody's. */
  retraining_schedules: { project: string; environment: string; cron: string; since: number }
}
