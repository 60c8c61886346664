/** Connected repositories, and where their branches stood when that was last told. */
export interface ProjectsTables {
  projects: { name: string; branch: string; created_at: number; created_by: string }
  branch_heads: { project: string; branch: string; commit_id: string; moved_at: number; actor: string }
  /** Written before Git moves a branch for a push, so that who moved it is known even if the server dies in between. */
  push_intents: {
    project: string
    branch: string
    from_commit: string | null
    to_commit: string
    actor: string
    at: number
  }
}
