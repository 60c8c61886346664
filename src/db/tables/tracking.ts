import type { Generated } from 'kysely'

export interface TrackingTables {
  experiments: {
    id: Generated<number>
    name: string
    artifact_location: string
    lifecycle_stage: string
    created_at: number
    updated_at: number
  }
  experiment_tags: { experiment_id: number; key: string; value: string }
  /** `run_key` is the integer that rows of params, tags and metrics carry instead of the long id. */
  runs: {
    run_key: Generated<number>
    run_id: string
    experiment_id: number
    name: string
    status: string
    user_id: string
    started_at: number
    ended_at: number | null
    lifecycle_stage: string
    deleted_at: number | null
    artifact_uri: string
    /** The run of the step whose code created this one. */
    owner_run_id: string | null
  }
  run_params: { run_key: number; experiment_id: number; key: string; value: string }
  run_tags: { run_key: number; experiment_id: number; key: string; value: string }
  /** One row per run and metric: the latest point, and the integer that its points carry. */
  metric_series: {
    id: Generated<number>
    run_key: number
    experiment_id: number
    key: string
    value: number
    is_nan: number
    step: number
    timestamp: number
    /** Of the first batch; while the series is dense, of its first point. */
    first_step: Generated<number>
    first_timestamp: Generated<number>
    /** 1: exactly one point for each step from the first to the latest. */
    is_dense: Generated<number>
    /** 1: in the order of steps the timestamps never go back. */
    is_ordered: Generated<number>
  }
  metric_points: { series_id: number; step: number; timestamp: number; value: number; is_nan: number }
  /** Points that have arrived and are not yet in their place among `metric_points`. */
  metric_arrivals: {
    id: Generated<number>
    series_id: number
    step: number
    timestamp: number
    value: number
    is_nan: number
  }
  input_datasets: {
    id: Generated<number>
    experiment_id: number
    name: string
    digest: string
    source_type: string
    source: string
    schema: string | null
    profile: string | null
  }
  run_inputs: { run_key: number; dataset_id: number }
  run_input_tags: { run_key: number; dataset_id: number; key: string; value: string }
  /** Logged models that a run read (`input`) or wrote (`output`). */
  run_models: { run_key: number; model_id: string; direction: string; step: number }
  logged_models: {
    model_id: string
    experiment_id: number
    name: string
    artifact_uri: string
    created_at: number
    updated_at: number
    status: string
    status_message: string | null
    model_type: string | null
    source_run_id: string | null
    lifecycle_stage: string
    deleted_at: number | null
  }
  logged_model_params: { model_id: string; key: string; value: string }
  logged_model_tags: { model_id: string; key: string; value: string }
  logged_model_metrics: {
    model_id: string
    run_id: string
    key: string
    timestamp: number
    step: number
    value: number
    is_nan: number
    dataset_name: string | null
    dataset_digest: string | null
  }
}
