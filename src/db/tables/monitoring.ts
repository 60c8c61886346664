import type { Generated } from 'kysely'

export interface MonitoringTables {
  /** One look at a window of predictions: facts, rule, outcome. */
  drift_reports: {
    /** In the order written, whatever the clock does. */
    seq: Generated<number>
    id: string
    project: string
    environment: string
    model: string
    version: number
    digest: string
    at: number
    /** Bounds of the window: times of its first and last request row. */
    window_from: number
    window_to: number
    /** Id of the last row seen: ids sort by time, so what is greater is new. */
    last_prediction: string
    /** Rows in the window; of these answered, refused by the input checks, failed. */
    rows: number
    answered: number
    input_failures: number
    errors: number
    /** What the labels said then: how many, and the latest arrival; with last_prediction it tells whether anything is new. */
    labels: number
    labelled_at: number
    inputs_digest: string
    rule_version: string
    outcome: string
    /** JSON: what the comparison used beside the rows: bounds and least number of rows. */
    bounds: string
    /** JSON: FeatureReport[] */
    features: string
    /** JSON: string[] */
    reasons: string
    /** JSON: QualityReport, or null where nothing is labelled. */
    quality: string | null
  }
  /** An episode: from the report that saw it first to the one that saw its end. */
  alerts: {
    id: string
    project: string
    environment: string
    model: string
    version: number
    digest: string
    kind: string
    /** Of quality: the bound that is broken, as the file says it; of drift: empty. */
    subject: string
    /** JSON: string[] */
    features: string
    /** JSON: string[] */
    reasons: string
    opened_at: number
    opened_report: string
    /** Start of the window of the report that opened it. */
    window_from: number
    updated_at: number
    last_report: string
    /** Id of the last row of the latest window that was beyond a bound: what comes after it may tell the end. */
    last_beyond: string
    closed_at: number | null
    closed_because: string | null
  }
}
