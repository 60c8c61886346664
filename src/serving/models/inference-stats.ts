import type { EpochMs } from '../../kernel/time.ts'
import type { InferenceCounts } from '../decide/merge-gateways.ts'

/** What one model version answered since it was loaded; times in ms. */
export class InferenceStats implements InferenceCounts {
  lastInference: EpochMs = 0
  inferences = 0
  executions = 0
  readonly success = { count: 0, ms: 0 }
  readonly fail = { count: 0, ms: 0 }
  readonly compute = { count: 0, ms: 0 }

  count(ok: boolean, facts: { ms: number; computeMs: number; rows: number; at: EpochMs }): void {
    const kind = ok ? this.success : this.fail
    kind.count++
    kind.ms += facts.ms
    if (!ok) return
    this.lastInference = facts.at
    this.inferences += facts.rows
    this.executions++
    this.compute.count++
    this.compute.ms += facts.computeMs
  }
}
