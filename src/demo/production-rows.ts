import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'

/** A real biopsy that production will see: what the model is asked, and the diagnosis that is known later. */
export type ProductionRow = { key: string; inputs: Record<string, string | number>; diagnosis: string }

export type ProductionRows = { usual: ProductionRow[]; coarse: ProductionRow[]; mixed: ProductionRow[] }

/** The files that the example's make_data.py wrote. */
export async function readProductionRows(folder: string): Promise<ProductionRows> {
  const [usual, coarse, mixed] = await Promise.all(
    ['usual', 'coarse', 'mixed'].map(async (name) => rowsOf(await readFile(join(folder, `${name}.csv`), 'utf8'))),
  )
  return { usual: usual!, coarse: coarse!, mixed: mixed! }
}

function rowsOf(text: string): ProductionRow[] {
  return (parse(text, { columns: true }) as Record<string, string>[]).map(({ diagnosis, sample_id, ...columns }) => {
    const numbers = Object.entries(columns).map(([name, value]) => [name, Number(value)])
    return { key: sample_id!, inputs: { sample_id: sample_id!, ...Object.fromEntries(numbers) }, diagnosis: diagnosis! }
  })
}
