/** Verdicts with the numbers that they were made from. */
export interface GateTables {
  gate_verdicts: {
    id: string
    project: string
    execution_id: string
    model: string
    outcome: string
    score: number
    verdict: string
    facts: string
    inputs_digest: string
    rule_version: string
    at: number
  }
}
