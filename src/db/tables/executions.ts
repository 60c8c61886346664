/** Passes through pipelines and their nodes. */
export interface ExecutionTables {
  executions: {
    id: string
    project: string
    commit_id: string
    trigger: string
    /** 1 where a version made by it may be promoted; a snapshot's never may. */
    deployable: number
    only_step: string | null
    /** The context as JSON without the file: what was fixed when it started. */
    fixed: string
    state: string
    reason: string | null
    /** One execution per cause: a cause that comes again starts none. */
    cause: string
    requested_by: string
    created_at: number
    started_at: number | null
    ended_at: number | null
  }
  execution_nodes: {
    execution_id: string
    node: string
    kind: string
    step: string
    position: number
    after: string
    state: string
    decision: string | null
    run_id: string | null
    attempt: number
    result: string | null
    error: string | null
    started_at: number | null
    ended_at: number | null
  }
}
