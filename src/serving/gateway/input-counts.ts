import type { InputVerdict, ProblemCounts } from '../input-handling.ts'

/** What was wrong with an endpoint's requests since the start, by kind. */
export class InputCounts {
  /** Requests that were refused, by their first problem. */
  readonly refused: ProblemCounts = {}
  /** Problems of requests that were answered all the same. */
  readonly warned: ProblemCounts = {}
  /** Values that stood in for others. */
  imputed = 0

  count(verdict: InputVerdict): void {
    if (verdict.outcome === 'refused') add(this.refused, { [verdict.problem.kind]: 1 })
    else {
      add(this.warned, verdict.warnings)
      this.imputed += verdict.imputed.length
    }
  }
}

function add(sum: ProblemCounts, more: ProblemCounts): void {
  for (const [kind, count] of Object.entries(more) as [keyof ProblemCounts, number][])
    sum[kind] = (sum[kind] ?? 0) + count
}
