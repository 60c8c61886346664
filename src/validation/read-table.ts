import { createReadStream } from 'node:fs'
import { extname } from 'node:path'
import { CsvError, parse } from 'csv-parse'
import { AppError, messageOf } from '../kernel/errors.ts'

/** A row of a text table; `line` is the line of the file on which it ends, counted from 1. */
export type TableRow = { line: number; cells: string[] }
export type Table = { columns: string[]; rows: AsyncIterable<TableRow> }

const delimiters: Record<string, string> = { '.csv': ',', '.tsv': '\t' }

/** Whether rows can be read from a file of that name: images, archives and models are no tables. */
export const isTable = (path: string): boolean => Object.hasOwn(delimiters, extname(path).toLowerCase())

/**
 * A CSV or TSV file with a header line, row by row. @throws AppError DataUnreadable, also while rows are read;
 * NotYetSupported for other kinds of files
 */
export async function readTable(path: string): Promise<Table> {
  const delimiter = delimiters[extname(path).toLowerCase()]
  if (delimiter === undefined)
    throw new AppError(
      'NotYetSupported',
      `Checks and profiles of ${extname(path) || 'files without an ending'} are not carried out yet: ${path}.`,
      'Keep the data as .csv or .tsv, or leave out its checks.',
    )
  const parser = createReadStream(path)
    .on('error', (error) => parser.destroy(error))
    .pipe(parse({ delimiter, bom: true, info: true, skip_empty_lines: true }))
  const records = parser[Symbol.asyncIterator]() as AsyncIterator<{ info: { lines: number }; record: string[] }>
  const header = await records.next().catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (header.done) throw unreadable(path, new Error('it is empty'))
  const columns = header.value.record
  const twice = columns.find((name, index) => columns.indexOf(name) !== index)
  if (twice !== undefined) {
    parser.destroy()
    throw unreadable(path, new Error(`its header names the column "${twice}" twice`))
  }
  return { columns, rows: rowsFrom(path, records) }
}

async function* rowsFrom(
  path: string,
  records: AsyncIterator<{ info: { lines: number }; record: string[] }>,
): AsyncGenerator<TableRow> {
  try {
    for (let next = await records.next(); !next.done; next = await records.next())
      yield { line: next.value.info.lines, cells: next.value.record }
  } catch (error) {
    throw unreadable(path, error)
  } finally {
    await records.return?.()
  }
}

function unreadable(path: string, error: unknown): AppError {
  const line = error instanceof CsvError && typeof error.lines === 'number' ? error.lines : undefined
  return new AppError(
    'DataUnreadable',
    `${path} cannot be read as a table: ${messageOf(error)}.`,
    'Mend the file; the first line names the columns, each further line has as many cells.',
    { cause: error, ...(line === undefined ? {} : { place: { file: path, line } }) },
  )
}
