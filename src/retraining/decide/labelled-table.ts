import type { LabelledRow } from '../../labels/index.ts'

/**
 * Labelled predictions as rows of a dataset, header first: inputs by name, the label in its column, in the key's column the row's key
 * (the prediction's id where it had none). Columns that predictions do not know stay empty. In the order of prediction, so that the
 * same rows always give the same table.
 */
export function labelledTable(
  rows: readonly LabelledRow[],
  columns: { header: readonly string[]; key: string | undefined; label: string },
): string[][] {
  const ordered = [...rows].sort(
    (a, b) =>
      a.at - b.at || (a.predictionId < b.predictionId ? -1 : a.predictionId > b.predictionId ? 1 : a.row - b.row),
  )
  const cells = (row: LabelledRow): string[] =>
    columns.header.map((column) => {
      if (column === columns.label) return cellText(row.label)
      if (column === columns.key) return keyOf(row, column)
      return cellText(row.input[column])
    })
  return [[...columns.header], ...ordered.map(cells)]
}

function keyOf(row: LabelledRow, column: string): string {
  const key = row.key ?? cellText(row.input[column])
  return key === '' ? `${row.predictionId}:${row.row}` : key
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
