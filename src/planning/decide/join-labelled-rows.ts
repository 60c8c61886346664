/**
 * The base table with the added rows below it, in the base's columns (a column that an added row lacks stays empty; one that the
 * base lacks is left out). A key that the base, or an earlier added row, already has is not added again: the base's row wins, so that
 * a row that was held out for testing never comes back as another one.
 * @param base table with its header row; @param added table with its header row; @param key name of the key column, if there is one.
 */
export function joinLabelledRows(
  base: readonly string[][],
  added: readonly string[][],
  key: string | undefined,
): string[][] {
  const [header = [], ...rows] = base
  const [addedHeader = [], ...addedRows] = added
  const positions = header.map((column) => addedHeader.indexOf(column))
  const keyIndex = key === undefined ? -1 : header.indexOf(key)
  const seen = new Set(keyIndex < 0 ? [] : rows.map((row) => row[keyIndex]))
  const joined = [header, ...rows]
  for (const addedRow of addedRows) {
    const row = positions.map((position) => (position < 0 ? '' : (addedRow[position] ?? '')))
    const rowKey = keyIndex < 0 ? undefined : row[keyIndex]
    if (rowKey !== undefined && seen.has(rowKey)) continue
    if (rowKey !== undefined) seen.add(rowKey)
    joined.push(row)
  }
  return joined
}
