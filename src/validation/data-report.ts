import type { Share } from '../kernel/units.ts'

export type FailedCheck = {
  check: 'rows' | 'column' | 'type' | 'range' | 'values' | 'regex' | 'missing' | 'unique'
  column?: string
  /** What was found and what is allowed, as one sentence. */
  problem: string
  failedRows: number
  /** Of all rows. */
  share: Share
  /** The first few offending rows. */
  samples: { line: number; key?: string; value: string | null }[]
}

export type DataReport = { rows: number; failures: FailedCheck[]; outcome: 'pass' | 'fail' }
