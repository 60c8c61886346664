/** What planning remembers, so that nothing runs twice. */
export interface PlanningTables {
  /** Git's name of a content → ours. */
  blob_digests: { blob: string; digest: string; size: number }
  environment_locks: {
    request: string
    digest: string
    python_version: string
    requirements: string
    created_at: number
  }
  step_results: {
    key: string
    project: string
    step: string
    parts: string
    result: string
    created_at: number
    /** Who made it; null in rows of before 0024. */
    execution_id: string | null
    commit_id: string | null
  }
}
