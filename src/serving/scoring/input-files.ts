import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { glob, readdir, stat } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestOfJson } from '../../kernel/digest.ts'
import { AppError } from '../../kernel/errors.ts'
import { missingWords } from '../../validation/index.ts'

export type TableFormat = 'parquet' | 'csv'
export type InputFile = { path: string; format: TableFormat; digest: Digest }
export type InputTable = { files: InputFile[]; digest: Digest }

const formats: Record<string, TableFormat> = { '.parquet': 'parquet', '.pq': 'parquet', '.csv': 'csv', '.tsv': 'csv' }

/**
 * The files of a table, in the order of their names: one file, all .parquet, .csv and .tsv of a folder, or what a glob matches.
 * @throws AppError NotFound, DataUnreadable
 */
export async function inputTable(what: string, cwd: string): Promise<InputTable> {
  const paths = await pathsOf(resolve(cwd, what))
  if (paths.length === 0)
    throw new AppError(
      'NotFound',
      `There is no table at ${what}.`,
      'Name a .parquet or .csv file, a folder of them, or a glob in quotes.',
    )
  const files: InputFile[] = []
  for (const path of paths) files.push({ path, format: formatOf(path), digest: await fileDigest(path) })
  const [only] = files
  return { files, digest: files.length === 1 ? only!.digest : digestOfJson(files.map(({ digest }) => digest)) }
}

async function pathsOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile()) return [path]
  if (found?.isDirectory()) {
    const names = await readdir(path, { recursive: true })
    return names
      .filter((name) => formats[extname(name).toLowerCase()] !== undefined && !/(^|\/)[._]/.test(name))
      .sort()
      .map((name) => join(path, name))
  }
  const matched: string[] = []
  for await (const one of glob(path)) matched.push(one)
  return matched.sort()
}

/** @throws AppError BadRequest */
export function formatOf(path: string): TableFormat {
  const format = formats[extname(path).toLowerCase()]
  if (format) return format
  throw new AppError('BadRequest', `${path} is no table by its name.`, 'Name it .parquet, .csv or .tsv.')
}

export async function fileDigest(path: string): Promise<Digest> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return `sha256:${hash.digest('hex')}` as Digest
}

/** A digest of all files of a folder: their names and contents. */
export async function folderDigest(folder: string): Promise<Digest> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  const facts: Record<string, string> = {}
  for (const path of files.sort()) facts[path.slice(folder.length)] = await fileDigest(path)
  return digestOfJson(facts)
}

/**
 * DuckDB's words for the table of one file.
 * @param types of columns of a CSV file, whose cells say none themselves
 */
export function relationOf({ path, format }: InputFile, types: ReadonlyMap<string, string> = new Map()): string {
  if (format === 'parquet') return `read_parquet(${sqlText(path)})`
  const named = [...types].map(([name, type]) => `${sqlText(name)}: ${sqlText(type)}`)
  // A short look shows how cells are set apart, and what they hold is known.
  const more = named.length > 0 ? `, types = {${named.join(', ')}}, sample_size = 2048` : ''
  return `read_csv(${sqlText(path)}, header = true, nullstr = [${missingWords.map(sqlText).join(', ')}]${more})`
}

export const sqlText = (value: string): string => `'${value.replaceAll("'", "''")}'`
export const sqlName = (name: string): string => `"${name.replaceAll('"', '""')}"`
