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
}
