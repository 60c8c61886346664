export interface LabelTables {
  /** The truth about a prediction's row, as last told. What the prediction said stays in the prediction log. */
  labels: {
    /** The request's id, without the row. */
    prediction_id: string
    row_index: number
    project: string
    environment: string
    model: string
    version: number
    digest: string
    /** JSON: string, number or boolean. */
    value: string
    actor: string
    /** When this value came: a replaced one counts as new. */
    at: number
    predicted_at: number
  }
}
