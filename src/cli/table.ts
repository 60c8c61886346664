import { stripVTControlCharacters } from 'node:util'

export type Column = { head: string; align?: 'left' | 'right' }

/** Aligned lines under a head; a table without rows is no line at all. Colour codes take no width. */
export function table(columns: readonly (string | Column)[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const heads = columns.map((column) => (typeof column === 'string' ? column : column.head))
  const aligns = columns.map((column) => (typeof column === 'string' ? 'left' : (column.align ?? 'left')))
  return aligned([heads, ...rows], aligns)
}

/** Rows with their cells below each other, two spaces between; the last cell is not filled up. */
export function aligned(rows: readonly (readonly string[])[], aligns: readonly ('left' | 'right')[] = []): string[] {
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell))
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const filling = ' '.repeat(widths[column]! - widthOf(cell))
        return aligns[column] === 'right' ? filling + cell : cell + filling
      })
      .join('  ')
      .trimEnd(),
  )
}

/** Columns that a terminal takes: colour codes none, wide East Asian characters two, marks on the letter before none. */
export function widthOf(text: string): number {
  let width = 0
  for (const letter of stripVTControlCharacters(text)) {
    if (/\p{Mark}/u.test(letter)) continue
    width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(
      letter,
    )
      ? 2
      : 1
  }
  return width
}

/** Cut to so many terminal columns, with an ellipsis where something is gone. Only for text without colour. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  for (const letter of text) {
    if (widthOf(kept + letter) > columns - 1) break
    kept += letter
  }
  return `${kept}…`
}
