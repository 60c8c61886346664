/** Models made again from their record, and what came of it. */
export interface ReproductionTables {
  reproductions: {
    id: string
    project: string
    model: string
    version: number
    /** Of the version's manifest. */
    digest: string
    recorded_execution: string
    commit_id: string
    /** 1: from the version's record alone; 0: at another commit. */
    from_record: number
    runs: number
    tolerance: number
    state: string
    /** JSON: role → execution. */
    passes: string
    /** JSON: model → Predictions; null until the models were asked. */
    predictions: string | null
    /** JSON: package → version, as found in the environment; null until it was looked at. */
    installed: string | null
    outcome: string | null
    /** JSON: Comparison */
    comparison: string | null
    sentence: string | null
    /** JSON: ErrorBody */
    error: string | null
    requested_by: string
    created_at: number
    ended_at: number | null
  }
}
