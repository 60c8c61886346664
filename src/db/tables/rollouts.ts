import type { Generated } from 'kysely'

/** What serves where, and how it came there. */
export interface RolloutTables {
  rollouts: {
    id: string
    project: string
    environment: string
    model: string
    /** The newcomer. */
    digest: string
    version: number
    /** What served before; null where nothing did. */
    old_digest: string | null
    old_version: number | null
    /** The commit at whose head this was read. */
    commit_id: string
    state: string
    step: number
    /** JSON: the steps and bounds as the file said when it began. */
    plan: string
    /** Why it goes straight to 100 %. */
    straight: string | null
    /** What was last decided, and why. */
    reason: string | null
    stall_cause: string | null
    step_since: number
    /** Set by a person, taken by the next look: `continue` or `abort`. */
    request: string | null
    requested_by: string | null
    created_at: number
    updated_at: number
  }
  rollout_decisions: {
    id: Generated<number>
    rollout_id: string
    at: number
    inputs: string
    inputs_digest: string
    rule_version: string
    state_before: string
    outcome: string
    /** JSON: string[] */
    reasons: string
  }
  /** One per environment: what serves, by the rollouts' account, and what was last seen of it. */
  deployments: {
    project: string
    environment: string
    serving_digest: string | null
    serving_version: number | null
    serving_model: string | null
    observed: string
    observed_reason: string | null
    observed_since: number
  }
  /** What each environment served at some time: such a version comes back without a canary. */
  served_versions: { project: string; environment: string; digest: string; version: number; served_at: number }
  /** What came of the last try to compute a version as ONNX. */
  version_conversions: {
    digest: string
    /** Digest of what converts: another one may convert what this one refused. */
    converter: string
    outcome: string
    /** Why it was not converted. */
    reason: string | null
    /** JSON: what was proved of both forms. */
    proof: string | null
    /** Of the files of the ONNX form, as they were written. */
    form_digest: string | null
    at: number
  }
  gateway_revisions: { id: number; revision: number; content: string; written_at: number }
}
