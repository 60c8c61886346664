import { type FeatureProfile, profileColumn } from '../math/feature-profile.ts'
import { readCell } from './decide/check-value.ts'
import { readTable } from './read-table.ts'

export type ProfiledTable = {
  path: string
  /** Chooses the samples that the profiles keep. */
  seed: number
  /** Columns to profile; all where it is absent. */
  columns?: readonly string[]
}

export type TableProfile = { rows: number; columns: Record<string, FeatureProfile> }

/**
 * The reference that production is compared with: one profile per column. A column is numeric where all of its values are
 * numbers. The columns are held in memory while they are profiled. @throws AppError DataUnreadable, NotYetSupported
 */
export async function profileTable({ path, seed, columns }: ProfiledTable): Promise<TableProfile> {
  const table = await readTable(path)
  const wanted = table.columns.map((name, index) => ({ name, index, values: [] as (number | string | null)[] }))
  const kept = columns ? wanted.filter(({ name }) => columns.includes(name)) : wanted
  let rows = 0
  for await (const { cells } of table.rows) {
    rows++
    for (const { index, values } of kept)
      values.push(readCell(cells[index]!, { type: 'number' }) as number | string | null)
  }
  return { rows, columns: Object.fromEntries(kept.map(({ name, values }) => [name, profileColumn(values, { seed })])) }
}
