import { existsSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Digest } from '../kernel/digest.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { SubjectCells } from './decide/erased.ts'
import { type PredictionRow, withNames } from './prediction-row.ts'
import type { ParquetFile } from './serving-store.ts'

const hourMs = 3_600_000
const filesAtOnce = 500

/** Whose rows: `column` of the inputs may name the subject too; it holds no double quote. */
type Whose = { until: EpochMs; column?: string; isSubject: (cells: SubjectCells) => boolean }
type Erased = { removed: number; isEmpty: boolean }

/**
 * The prediction log as Parquet: `PROJECT/ENVIRONMENT/YYYY-MM-DD-HH-SEGMENT.parquet` (UTC), one row per input row, columns
 * id, at_ms, project, environment, model, version, digest, outcome, latency_ms, key, input and output (JSON text), error, subject, warnings
 * (JSON text). Files of earlier versions lack the last two.
 */
export class PredictionParquet {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** A closed journal segment → files, each complete when its name appears. The same segment always gives the same names. */
  async write(segment: string, journalPath: string): Promise<ParquetFile[]> {
    return withDuckDb(async (duck) => {
      await duck.run(`CREATE TEMP TABLE journal AS ${selectRows(journalPath)}`)
      const groups = await duck.runAndReadAll(
        `SELECT project, environment, at_ms // ${hourMs} AS hour, min(at_ms) AS from_at, max(at_ms) AS to_at, count(*) AS rows
         FROM journal GROUP BY ALL ORDER BY ALL`,
      )
      const files: ParquetFile[] = []
      for (const group of groups.getRowObjectsJS()) files.push(await this.#writeGroup(duck, segment, group))
      return files
    })
  }

  /** The newest rows first. */
  async read(
    paths: string[],
    wanted: {
      fromMs: EpochMs
      toMs: EpochMs
      digest?: Digest | undefined
      prediction?: string
      predictions?: string[]
      limit: number
    },
  ): Promise<PredictionRow[]> {
    // One that is just being removed is gone before its record is.
    const there = paths.filter((path) => existsSync(join(this.#folder, path)))
    if (there.length === 0) return []
    const conditions = [`at_ms BETWEEN ${Math.trunc(wanted.fromMs)} AND ${Math.trunc(wanted.toMs)}`]
    if (wanted.digest !== undefined) conditions.push(`digest = ${text(wanted.digest)}`)
    if (wanted.prediction !== undefined)
      conditions.push(`(id = ${text(wanted.prediction)} OR starts_with(id, ${text(`${wanted.prediction}:`)}))`)
    if (wanted.predictions !== undefined)
      conditions.push(`split_part(id, ':', 1) IN (${wanted.predictions.map(text).join(', ')})`)
    return withDuckDb(async (duck) => {
      const found = await duck.runAndReadAll(
        `SELECT * FROM read_parquet([${there.map((path) => text(join(this.#folder, path))).join(', ')}], union_by_name = true)
         WHERE ${conditions.join(' AND ')} ORDER BY at_ms DESC, id DESC LIMIT ${Math.trunc(wanted.limit)}`,
      )
      return found.getRowObjectsJS().map((row) => rowOf(row as Record<string, string | number | bigint | null>))
    })
  }

  /**
   * Writes files anew without the rows of a subject up to a time; one of which none is left goes. Each is whole at every moment: the new
   * one takes the place of the old by its name. Files are looked through many at once, and most name nobody.
   * @returns for each file that held some how many rows went, and whether any are left
   */
  async erase(paths: readonly string[], whose: Whose): Promise<Map<string, Erased>> {
    const erased = new Map<string, Erased>()
    const there = paths.filter((path) => existsSync(join(this.#folder, path)))
    for (let from = 0; from < there.length; from += filesAtOnce)
      await withDuckDb(async (duck) => {
        const pathOf = new Map(there.slice(from, from + filesAtOnce).map((path) => [join(this.#folder, path), path]))
        const all = `[${[...pathOf.keys()].map(text).join(', ')}]`
        const found = await duck.runAndReadAll(
          `SELECT DISTINCT filename, ${cellNames} FROM (${withCells(all, whose)}) WHERE at_ms <= ${Math.trunc(whose.until)}`,
        )
        const its = found.getRowObjectsJS().filter((row) => whose.isSubject(cellsOf(row)))
        for (const [target, rows] of Map.groupBy(its, ({ filename }) => String(filename)))
          erased.set(pathOf.get(target)!, await eraseFrom(duck, target, rows, whose))
      })
    return erased
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.#folder, path), { force: true })
  }

  async #writeGroup(duck: DuckDBConnection, segment: string, group: Record<string, unknown>): Promise<ParquetFile> {
    const { project, environment } = group as Place
    const hour = Number(group.hour)
    const path = join(folderName(project), folderName(environment), `${hourName(hour)}-${segment}.parquet`)
    const target = join(this.#folder, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    await duck.run(
      `COPY (SELECT * FROM journal WHERE project = ${text(project)} AND environment = ${text(environment)} AND at_ms // ${hourMs} = ${hour}
             ORDER BY at_ms, id) TO ${text(`${target}.tmp`)} (FORMAT parquet, COMPRESSION zstd)`,
    )
    await syncFile(`${target}.tmp`)
    await rename(`${target}.tmp`, target)
    const [fromAt, toAt, rows] = [group.from_at, group.to_at, group.rows].map(Number) as [number, number, number]
    return { path, project, environment, fromAt, toAt, rows }
  }
}

/**
 * `at` is a keyword of DuckDB's SQL, hence at_ms.
 * Torn lines are left out; they were counted as unreadable when the journal was taken in.
 */
const selectRows = (journalPath: string): string => `
  WITH requests AS (
    SELECT *, unnest(range(len(rows))) AS i FROM read_json(${text(journalPath)},
      format = 'newline_delimited', ignore_errors = true, maximum_object_size = 67108864,
      columns = {id: 'VARCHAR', "at": 'BIGINT', project: 'VARCHAR', environment: 'VARCHAR', model: 'VARCHAR', version: 'BIGINT',
                 digest: 'VARCHAR', outcome: 'VARCHAR', latencyMs: 'DOUBLE', error: 'VARCHAR',
                 warnings: 'JSON', rows: 'STRUCT("key" VARCHAR, "subject" VARCHAR, "input" JSON, "output" JSON)[]'})
    WHERE id IS NOT NULL)
  SELECT CASE WHEN len(rows) = 1 THEN id ELSE id || ':' || i END AS id, "at" AS at_ms, project, environment, model, version, digest,
    outcome, latencyMs AS latency_ms, rows[i + 1]."key" AS "key", rows[i + 1]."input"::VARCHAR AS input,
    rows[i + 1]."output"::VARCHAR AS output, error, rows[i + 1]."subject" AS subject, warnings::VARCHAR AS warnings
  FROM requests`

function rowOf(row: Record<string, string | number | bigint | null>): PredictionRow {
  return {
    id: String(row.id),
    at: Number(row.at_ms),
    project: String(row.project),
    environment: String(row.environment),
    model: String(row.model),
    version: Number(row.version),
    digest: String(row.digest) as Digest,
    outcome: row.outcome as PredictionRow['outcome'],
    latencyMs: Number(row.latency_ms),
    ...(row.key === null ? {} : { key: String(row.key) }),
    input: withNames(JSON.parse(String(row.input)) as Record<string, unknown> | unknown[]),
    // An answer of null (a NaN, say) and no answer are the same in SQL.
    ...(row.outcome === 'answered'
      ? { output: row.output === null ? null : (JSON.parse(String(row.output)) as unknown) }
      : {}),
    ...(row.error === null ? {} : { error: String(row.error) }),
    ...(isNothing(row.subject) ? {} : { subject: String(row.subject) }),
    ...(isNothing(row.warnings) ? {} : { warnings: JSON.parse(String(row.warnings)) as Record<string, number> }),
  }
}

function cellsOf(row: Record<string, unknown>): SubjectCells {
  const cell = (value: unknown) => (isNothing(value) ? undefined : String(value))
  return { key: cell(row.cell_key), subject: cell(row.cell_subject), value: cell(row.cell_value) }
}

/** A temporary table of the file's rows, marked; then the file anew without those that go. */
async function eraseFrom(
  duck: DuckDBConnection,
  target: string,
  named: readonly Record<string, unknown>[],
  whose: Whose,
): Promise<Erased> {
  const same = named.map(({ filename: _, ...cells }) =>
    Object.entries(cells)
      .map(([cell, value]) => `${cell} IS NOT DISTINCT FROM ${isNothing(value) ? 'NULL' : text(String(value))}`)
      .join(' AND '),
  )
  await duck.run(
    `CREATE OR REPLACE TEMP TABLE marked AS
     SELECT *, at_ms <= ${Math.trunc(whose.until)} AND ((${same.join(') OR (')})) AS goes
     FROM (${withCells(`[${text(target)}]`, whose)})`,
  )
  const counted = await duck.runAndReadAll('SELECT goes, count(*) AS rows FROM marked GROUP BY goes')
  const countOf = (goes: boolean) => Number(counted.getRowObjectsJS().find((row) => row.goes === goes)?.rows ?? 0)
  const isEmpty = countOf(false) === 0
  if (isEmpty) await rm(target)
  else {
    await duck.run(
      `COPY (SELECT * EXCLUDE (goes, filename, ${cellNames}) FROM marked WHERE NOT goes ORDER BY at_ms, id)
       TO ${text(`${target}.tmp`)} (FORMAT parquet, COMPRESSION zstd)`,
    )
    await syncFile(`${target}.tmp`)
    await rename(`${target}.tmp`, target)
  }
  return { removed: countOf(true), isEmpty }
}

const cellNames = 'cell_key, cell_subject, cell_value'

/** The rows of files, each with what may name its subject. Files of earlier versions have no column `subject`. */
const withCells = (files: string, { column }: Whose): string => `
  SELECT *, "key" AS cell_key, subject AS cell_subject,
    ${column === undefined ? 'NULL::VARCHAR' : `json_extract_string(input, ${text(`$."${column}"`)})`} AS cell_value
  FROM (SELECT * FROM read_parquet(${files}, union_by_name = true, filename = true)
        UNION ALL BY NAME SELECT NULL::VARCHAR AS subject WHERE false)`

const isNothing = (value: unknown): boolean => value === null || value === undefined

/** DuckDB takes tens of megabytes: it is loaded when the first table is needed, and closed after each use. */
async function withDuckDb<T>(work: (duck: DuckDBConnection) => Promise<T>): Promise<T> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '512MB' } satisfies Record<
    string,
    string
  >)
  const connection = await instance.connect()
  try {
    return await work(connection)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.sync().finally(() => file.close())
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** Names are checked where they enter; here they only must not become another folder. */
const folderName = (name: string): string => (/^\.+$/.test(name) ? `_${name}` : encodeURIComponent(name))

const hourName = (hour: number): string => new Date(hour * hourMs).toISOString().slice(0, 13).replace('T', '-')
