/** What steps ask for by name, sealed by `access/`. */
export interface StepSecretTables {
  step_secrets: {
    /** Empty for a secret of the whole server. */
    project: string
    name: string
    sealed: string
    set_by: string
    set_at: number
  }
}
