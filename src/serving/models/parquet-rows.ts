import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The rows of a Parquet file that came as bytes. @throws Error as DuckDB words it */
export async function parquetRows(bytes: Buffer): Promise<Record<string, unknown>[]> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const folder = await mkdtemp(join(tmpdir(), 'modelwright-parquet-'))
  try {
    const path = join(folder, 'rows.parquet')
    await writeFile(path, bytes)
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    try {
      const reader = await connection.runAndReadAll('select * from read_parquet($path)', { path })
      return reader.getRowObjectsJS() as Record<string, unknown>[]
    } finally {
      connection.closeSync()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
