import { compares, targetOf } from '../../kernel/bound.ts'
import type { RowsCheck } from '../../projects/index.ts'
import type { FailedCheck } from '../data-report.ts'

/** Holds a table's count of rows against its bound: none or one failure. */
export function rowsFailure({ rows: bound }: RowsCheck, rows: number): FailedCheck[] {
  if (compares(rows, bound.comparator, targetOf(bound, undefined))) return []
  return [
    {
      check: 'rows',
      problem: `The table has ${rows} rows; the check wants ${bound.text}`,
      failedRows: 0,
      share: 0,
      samples: [],
    },
  ]
}
