import type { Generated } from 'kysely'

export interface RegistryTables {
  /** `next_version` only grows, so that the number of a deleted version is not given again. */
  registered_models: {
    id: Generated<number>
    name: string
    description: string | null
    next_version: number
    created_at: number
    updated_at: number
  }
  registered_model_tags: { model_key: number; key: string; value: string }
  model_versions: {
    model_key: number
    version: number
    created_at: number
    updated_at: number
    description: string | null
    user_id: string | null
    stage: string
    source: string
    storage_location: string
    run_id: string | null
    run_link: string | null
    status: string
    status_message: string | null
    logged_model_id: string | null
    /** `modelwright`: registered after a verdict; `client`: by user code, so not deployable unjudged. */
    origin: string
    project: string | null
    content_digest: string | null
    manifest_digest: string | null
    verdict_id: string | null
    execution_id: string | null
    deleted_at: number | null
  }
  model_version_tags: { model_key: number; version: number; key: string; value: string }
  registered_model_aliases: { model_key: number; alias: string; version: number; owned_by_git: number }
}
