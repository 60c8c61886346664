export interface EvaluationTables {
  evaluation_datasets: {
    dataset_id: string
    name: string
    /** JSON, as clients read it; null until there are records. */
    schema: string | null
    profile: string | null
    digest: string
    created_at: number
    updated_at: number
    created_by: string | null
    updated_by: string | null
  }
  evaluation_dataset_tags: { dataset_id: string; key: string; value: string | null }
  evaluation_dataset_experiments: { dataset_id: string; experiment_id: string; linked_at: number }
  /** `inputs`, `outputs`, `expectations`, `tags` and `source` are JSON texts, kept as they were sent. */
  evaluation_dataset_records: {
    record_id: string
    dataset_id: string
    input_hash: string
    inputs: string
    outputs: string | null
    expectations: string | null
    tags: string
    source: string | null
    source_id: string | null
    source_type: string | null
    created_at: number
    updated_at: number
    created_by: string | null
    updated_by: string | null
  }
  scorers: { scorer_id: string; experiment_id: number; name: string }
  scorer_versions: { scorer_id: string; version: number; serialized: string; created_at: number }
  scorer_online_configs: {
    scorer_id: string
    config_id: string
    experiment_id: number
    sample_rate: number
    filter: string | null
  }
  issues: {
    issue_id: string
    experiment_id: number
    name: string
    description: string
    status: string
    severity: string | null
    /** JSON lists of texts. */
    root_causes: string | null
    categories: string | null
    source_run_id: string | null
    created_at: number
    updated_at: number
    created_by: string | null
  }
  label_schemas: {
    schema_id: string
    experiment_id: number
    name: string
    type: string
    instruction: string | null
    enable_comment: number
    input_kind: string
    /** JSON; its fields follow from `input_kind`. */
    input: string
    created_at: number
    updated_at: number
    created_by: string | null
    is_default: number
  }
  /** `name_key` is the name in small letters: names differ by more than their case. */
  review_queues: {
    queue_id: string
    experiment_id: number
    name: string
    name_key: string
    type: string
    created_by: string | null
    created_at: number
    updated_at: number
  }
  review_queue_users: { queue_id: string; user_id: string }
  review_queue_schemas: { queue_id: string; schema_id: string }
  /** Items are traces. */
  review_queue_items: {
    queue_id: string
    item_id: string
    status: string
    completed_by: string | null
    completed_at: number | null
    created_at: number
    updated_at: number
  }
}
