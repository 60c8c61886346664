export interface TraceTables {
  /** Token counts and costs stand beside the metadata that they come from, so that they can be summed. */
  traces: {
    trace_id: string
    experiment_id: number
    started_at: number
    duration_ms: number | null
    state: string
    name: string | null
    session_id: string | null
    client_request_id: string | null
    request_preview: string | null
    response_preview: string | null
    input_tokens: number | null
    output_tokens: number | null
    total_tokens: number | null
    cache_read_input_tokens: number | null
    cache_creation_input_tokens: number | null
    input_cost: number | null
    output_cost: number | null
    total_cost: number | null
  }
  trace_tags: { trace_id: string; key: string; value: string }
  trace_metadata: { trace_id: string; key: string; value: string }
  /** Nanoseconds are decimal texts: they are larger than a double's integers. */
  trace_spans: {
    trace_id: string
    span_id: string
    experiment_id: number
    parent_span_id: string | null
    name: string
    type: string | null
    status: string
    start_ns: string
    start_ms: number
    duration_ms: number | null
    /** The span as MLflow writes it into a file: JSON, with each attribute's value as JSON in a text. */
    content: string
    model_name: string | null
    model_provider: string | null
    /** What `mlflow.chat.tokenUsage` and `mlflow.llm.cost` hold, so that a trace's sums need no content. */
    usage: string | null
    cost: string | null
    input_cost: number | null
    output_cost: number | null
    total_cost: number | null
  }
  trace_assessments: {
    assessment_id: string
    trace_id: string
    name: string
    kind: string
    /** JSON. */
    value: string
    error: string | null
    /** What averages count: a number, or 1 and 0 for true, false, yes and no. */
    number_value: number | null
    is_number: number
    source_type: string
    source_id: string | null
    span_id: string | null
    rationale: string | null
    metadata: string | null
    overrides: string | null
    valid: number
    created_at: number
    updated_at: number
  }
  /** Runs and prompt versions (`name/version`) that a trace was linked to. */
  trace_links: { trace_id: string; kind: string; target: string }
}
