/** What the server has taken in of the gateways' prediction journals. */
export interface ServingTables {
  /** One journal segment, by its name without suffix; `offset_bytes` is how much of it is in the counts. */
  serving_segments: {
    segment: string
    offset_bytes: number
    lines: number
    /** Lines that could not be read. */
    bad_lines: number
    /** `journal`: its lines are read from the segment; `parquet`: from the files in serving_parquet. */
    stored_as: string
  }
  /** Requests per version and span: a second, or a minute where it is long ago. */
  serving_counts: {
    project: string
    environment: string
    digest: string
    at: number
    answered: number
    input_refused: number
    failed: number
    /** JSON: bucket → answered requests; see latency-histogram.ts. */
    latencies: string
  }
  serving_parquet: {
    /** Relative to the predictions folder. */
    path: string
    project: string
    environment: string
    segment: string
    from_at: number
    to_at: number
    rows: number
  }
  /** Whose rows shall go from the prediction log; by a keyed hash alone. */
  serving_erasures: {
    id: string
    /** Rows up to this time go. */
    at: number
    project: string
    /** null: all of the project's. */
    environment: string | null
    subject_hash: string
    /** A column of the inputs that may name the subject, beside the key and the declared subject. */
    subject_column: string | null
    /** Removed so far. */
    rows: number
    /** `files`: tables that were there when it was asked; `journals`: what was not a table yet; `done`. */
    stage: string
  }
}
