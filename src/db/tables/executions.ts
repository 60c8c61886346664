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
    /** The execution whose unfinished part this one carries out. */
    resumes: string | null
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
    /** A further attempt waits until then. */
    not_before: number | null
    /** Why the last attempt ended badly. */
    failure: string | null
    /** The item of a `foreach:` that this node is for, as JSON. */
    item: string | null
    /** The decision as lists show it: JSON without the parts of the key. */
    shown: string | null
  }
}
