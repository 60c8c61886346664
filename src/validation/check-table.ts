import { bug } from '../kernel/errors.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { Check } from '../projects/index.ts'
import type { DataReport, FailedCheck } from './data-report.ts'
import { type ColumnTally, columnTally } from './decide/column-tally.ts'
import { rowsFailure } from './decide/rows-failure.ts'
import { readTable, type TableRow } from './read-table.ts'

export type CheckedTable = {
  path: string
  checks: readonly Check[]
  /** The column that names a row in the samples. */
  key?: string
}

/**
 * Holds a training table against its declared checks (those `at: training` or `both`), in one pass over the file.
 * @throws AppError DataUnreadable, NotYetSupported
 */
export async function checkTable({ path, checks, key }: CheckedTable): Promise<DataReport> {
  const table = await readTable(path)
  const keyIndex = key === undefined ? -1 : table.columns.indexOf(key)
  const present: { index: number; tally: ColumnTally }[] = []
  const absent: FailedCheck[] = []
  for (const check of checks) {
    if (check.kind !== 'column' || check.at === 'inference') continue
    const index = table.columns.indexOf(check.column)
    if (index >= 0) present.push({ index, tally: columnTally(check) })
    else absent.push(absentColumn(check.column, table.columns))
  }
  let rows = 0
  for await (const row of table.rows) {
    rows++
    for (const { index, tally } of present)
      tally.take(cell(row, index), row.line, keyIndex < 0 ? undefined : cell(row, keyIndex))
  }
  const failures = [
    ...checks.filter((check) => check.kind === 'rows').flatMap((check) => rowsFailure(check, rows)),
    ...absent.map((failure) => ({ ...failure, failedRows: rows, share: 1 })),
    ...present.flatMap(({ tally }) => tally.failures(rows)),
  ]
  return { rows, failures, outcome: failures.length === 0 ? 'pass' : 'fail' }
}

function absentColumn(column: string, columns: string[]): FailedCheck {
  const nearest = nearestWord(column, columns)
  const hint = nearest === undefined ? `; it has ${columns.slice(0, 30).join(', ')}` : `; did you mean "${nearest}"?`
  return {
    check: 'column',
    column,
    problem: `The table has no column "${column}"${hint}`,
    failedRows: 0,
    share: 0,
    samples: [],
  }
}

function cell(row: TableRow, index: number): string {
  const text = row.cells[index]
  if (text === undefined) throw bug(`Line ${row.line} has no cell ${index}.`)
  return text
}
