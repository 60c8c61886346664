import { renameSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DuckDBConnection, DuckDBDataChunk, DuckDBResult, DuckDBType, DuckDBValue } from '@duckdb/node-api'
import type { Digest } from '../../kernel/digest.ts'
import { AppError, messageOf } from '../../kernel/errors.ts'
import { graphFeeds } from '../decide/graph-feeds.ts'
import type { InputCheck } from '../gateway-state.ts'
import { inputFailure } from '../input-failure.ts'
import type { InferAnswer, InferQuestion, ModelBackend, Refusal } from '../models/model-backend.ts'
import type { Tensor } from '../tensor.ts'
import { type AnswerColumn, answerColumns, ColumnValues } from './column-values.ts'
import { formatOf, type InputFile, type InputTable, relationOf, sqlName, sqlText } from './input-files.ts'
import { type PartFacts, PartsFolder, syncFile } from './parts-folder.ts'
import { planTable, selectOf, type TableColumn, type TablePlan } from './table-plan.ts'

export type ScoreJob = {
  input: InputTable
  /** A .parquet or .csv file; `OUTPUT.parts` beside it while it is not finished, `OUTPUT.rejects.…` where rows were rejected. */
  output: string
  model: ModelBackend & { pid: number | undefined }
  modelDigest: Digest
  keep: readonly string[] | 'all' | undefined
  checks: readonly InputCheck[]
  /** Whether a row that cannot be scored ends the job. */
  onBad: 'reject' | 'fail'
  restart: boolean
  batchRows: number
  /** Rows after which a finished piece is kept. */
  partRows: number
  progress: (rows: number) => void
  signal: AbortSignal
}

export type Scored = {
  rows: number
  answered: number
  rejected: number
  /** Of rows that an earlier, interrupted run had finished. */
  resumedRows: number
  output: string
  rejects?: string
}

/** Scores a table of any size in bounded memory. @throws AppError ScoringFailed, BadRequest, Conflict, NotYetSupported */
export async function scoreTable(job: ScoreJob): Promise<Scored> {
  formatOf(job.output)
  await mkdir(dirname(job.output), { recursive: true })
  const { input, modelDigest, keep, checks, onBad } = job
  const key = {
    input: input.digest,
    files: input.files.map(({ path }) => path),
    model: modelDigest,
    keep: keep ?? null,
    checks,
    onBad,
  }
  const parts = PartsFolder.open(`${job.output}.parts`, key, job.restart)
  const resumedRows = parts.doneRows
  const { DuckDBInstance } = await import('@duckdb/node-api')
  // In order, and by chunks: rows keep their places, and memory holds no whole table.
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    memory_limit: '1GB',
    preserve_insertion_order: 'true',
  })
  const [reading, writing] = [await instance.connect(), await instance.connect()]
  try {
    const pass = new ScoringPass(job, parts, writing)
    let firstRow = 0
    for (const file of input.files) firstRow = await pass.scoreFile(reading, file, firstRow)
    await pass.end()
    return { ...(await joined(job, parts, writing)), resumedRows }
  } finally {
    reading.closeSync()
    writing.closeSync()
    instance.closeSync()
  }
}

type Reject = { row: number; reason: string; kept: DuckDBValue[] }
type Batch = {
  fromRow: number
  toRow: number
  kept: DuckDBValue[][]
  rowNumbers: number[]
  values: ColumnValues
  rejects: Reject[]
}

class ScoringPass {
  readonly #job: ScoreJob
  readonly #parts: PartsFolder
  readonly #writing: DuckDBConnection
  #keptTypes: DuckDBType[] = []
  #plan: TablePlan = { taken: [], kept: [] }
  #batch: Batch | undefined
  #part: (PartFacts & { answerTypes?: string[] }) | undefined

  constructor(job: ScoreJob, parts: PartsFolder, writing: DuckDBConnection) {
    this.#job = job
    this.#parts = parts
    this.#writing = writing
  }

  /** @returns the row after its last one, counted over all files */
  async scoreFile(reading: DuckDBConnection, file: InputFile, firstRow: number): Promise<number> {
    const { doneRows } = this.#parts
    if (file.format === 'parquet' && doneRows > firstRow) {
      const rows = Number((await reading.runAndReadAll(`SELECT count(*) FROM ${relationOf(file)}`)).getRows()[0]![0])
      if (firstRow + rows <= doneRows) return firstRow + rows
    }
    let result = await this.#open(reading, file, false)
    let asText = false
    let row = firstRow
    for (;;) {
      const chunk = await fetched(result, file, asText)
      this.#job.signal.throwIfAborted()
      if (chunk === 'unlike') {
        // A cell that is no number ends DuckDB's fast reading: from here on cells are read as texts and cast one by one.
        asText = true
        result = await this.#skipped(await this.#open(reading, file, true), file, row - firstRow)
        continue
      }
      if (!chunk) return row
      const from = row
      row += chunk.rowCount
      // Parts end where chunks do.
      if (row > doneRows) await this.#take(chunk, from)
    }
  }

  async #skipped(result: DuckDBResult, file: InputFile, rows: number): Promise<DuckDBResult> {
    for (let left = rows; left > 0; ) {
      const chunk = await fetched(result, file, true)
      if (!chunk || chunk === 'unlike' || chunk.rowCount > left)
        throw unreadable(file, new Error('its rows cannot be counted'))
      left -= chunk.rowCount
    }
    return result
  }

  async end(): Promise<void> {
    await this.#answerBatch()
    await this.#closePart()
  }

  /** @param asText the columns of a CSV file that the model takes are read as they stand, too */
  async #open(reading: DuckDBConnection, file: InputFile, asText: boolean): Promise<DuckDBResult> {
    const plan = planTable(this.#job.model.facts, await columnsOf(reading, file, relationOf(file)), this.#job.keep)
    if (this.#plan.taken.length > 0 && JSON.stringify(plan.kept) !== JSON.stringify(this.#plan.kept))
      throw new AppError(
        'BadRequest',
        `${file.path} has other columns than the files before it.`,
        'Name the ones to keep with --keep.',
      )
    await this.#answerBatch()
    this.#plan = plan
    // What is only kept stays as it is written: 007 is no 7.
    const wanted = new Map([
      ...plan.kept.map((name) => [name, 'VARCHAR'] as const),
      ...plan.taken.map(({ name, sqlType }) => [name, asText ? 'VARCHAR' : sqlType] as const),
    ])
    const relation = relationOf(file, file.format === 'csv' ? wanted : undefined)
    const types =
      file.format === 'csv'
        ? wanted
        : new Map((await columnsOf(reading, file, relation)).map(({ name, type }) => [name, type]))
    const result = await reading.stream(selectOf(plan, relation, types)).catch((error: unknown) => {
      if (!asText && isUnlike(file, error)) return undefined
      throw unreadable(file, error)
    })
    if (!result) return this.#open(reading, file, true)
    this.#keptTypes = result.columnTypes().slice(0, plan.kept.length)
    return result
  }

  async #take(chunk: DuckDBDataChunk, fromRow: number): Promise<void> {
    const { kept, taken } = this.#plan
    this.#batch ??= {
      fromRow,
      toRow: fromRow,
      kept: kept.map(() => []),
      rowNumbers: [],
      values: new ColumnValues(taken, this.#job.batchRows + chunk.rowCount),
      rejects: [],
    }
    const batch = this.#batch
    const reasons = this.#reasonsOf(chunk)
    const keptValues = kept.map((_, index) => chunk.getColumnValues(index))
    for (let row = 0; row < chunk.rowCount; row++) {
      const reason = reasons[row]
      if (reason) batch.rejects.push({ row: fromRow + row, reason, kept: keptValues.map((values) => values[row]!) })
      else {
        batch.rowNumbers.push(fromRow + row)
        for (const [index, values] of keptValues.entries()) batch.kept[index]!.push(values[row]!)
      }
    }
    batch.values.take(chunk, kept.length, reasons.some(Boolean) ? (row) => Boolean(reasons[row]) : undefined)
    batch.toRow = fromRow + chunk.rowCount
    if (batch.toRow - batch.fromRow >= this.#job.batchRows) await this.#answerBatch()
  }

  /** By what cannot be cast, then by the declared checks. */
  #reasonsOf(chunk: DuckDBDataChunk): (string | null)[] {
    const { kept, taken } = this.#plan
    const reasons = chunk.getColumnValues(kept.length + taken.length) as (string | null)[]
    const names = [...kept, ...taken.map(({ name }) => name)]
    const checked = this.#job.checks.flatMap((check) => {
      const index = names.indexOf(check.column)
      return index < 0 ? [] : [{ check, values: chunk.getColumnValues(index) }]
    })
    if (checked.length === 0) return reasons
    const contract = { columns: [], checks: checked.map(({ check }) => check) }
    return reasons.map((reason, row) => {
      if (reason) return reason
      const record = Object.fromEntries(checked.map(({ check, values }) => [check.column, plainValue(values[row]!)]))
      return inputFailure(contract, { rows: [record], named: true })?.replace(', row 0:', ':') ?? null
    })
  }

  async #answerBatch(): Promise<void> {
    const batch = this.#batch
    this.#batch = undefined
    if (!batch) return
    const { values, kept } = batch
    const answered = await this.#answers(values, 0, values.rows, batch)
    for (const { from, columns } of answered) await this.#write(batch, from, columns, kept)
    await this.#reject(batch)
    this.#job.progress(batch.toRow)
    if (this.#part && batch.toRow - this.#part.fromRow >= this.#job.partRows) await this.#closePart()
  }

  /** A batch that the model refuses is halved until the rows are found that are to blame. */
  async #answers(
    values: ColumnValues,
    from: number,
    to: number,
    batch: Batch,
  ): Promise<{ from: number; columns: AnswerColumn[] }[]> {
    if (from === to) return []
    const answer = await this.#ask(values.tensors(from, to))
    if (answer.ok) return [{ from, columns: answerColumns(answer.tensors, to - from) }]
    if (!mayBeRows(answer) || this.#job.signal.aborted) throw modelFailed(answer.message)
    if (to - from === 1) {
      const row = batch.rowNumbers[from]!
      batch.rejects.push({
        row,
        reason: answer.message.replace(/, row \d+/, ''),
        kept: batch.kept.map((column) => column[from]!),
      })
      if (batch.rejects.length > 1_000 && (this.#part?.answered ?? 0) === 0 && this.#parts.doneRows === 0)
        throw modelFailed(answer.message)
      return []
    }
    const middle = (from + to) >> 1
    return [...(await this.#answers(values, from, middle, batch)), ...(await this.#answers(values, middle, to, batch))]
  }

  #ask(tensors: Tensor[]): Promise<InferAnswer> {
    const { model } = this.#job
    const question = questionOf(model, tensors)
    if ('problem' in question) return Promise.resolve({ ok: false, kind: 'schema', message: question.problem })
    return model.infer(question, this.#job.signal)
  }

  async #write(batch: Batch, from: number, columns: AnswerColumn[], kept: DuckDBValue[][]): Promise<void> {
    const part = await this.#openPart(batch.fromRow, columns)
    const appender = await this.#writing.createAppender('part')
    const { DuckDBDataChunk } = await import('@duckdb/node-api')
    const types = Array.from({ length: appender.columnCount }, (_, index) => appender.columnType(index))
    const count = columns[0]?.values.length ?? 0
    for (let at = 0; at < count; at += chunkRows) {
      const end = Math.min(at + chunkRows, count)
      const chunk = DuckDBDataChunk.create(types, end - at)
      for (const [index, values] of kept.entries()) chunk.setColumnValues(index, values.slice(from + at, from + end))
      const rest = this.#plan.kept.length === 0 ? [batch.rowNumbers.slice(from, from + count).map(BigInt)] : []
      for (const [index, values] of [...rest, ...columns.map((one) => one.values)].entries())
        chunk.setColumnValues(kept.length + index, values.slice(at, end) as DuckDBValue[])
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
    part.answered += count
  }

  async #reject(batch: Batch): Promise<void> {
    const part = await this.#openPart(batch.fromRow)
    part.toRow = batch.toRow
    if (batch.rejects.length === 0) return
    const first = batch.rejects.sort((a, b) => a.row - b.row)[0]!
    if (this.#job.onBad === 'fail')
      throw new AppError(
        'ScoringFailed',
        `Row ${first.row} cannot be scored. ${first.reason}`,
        'Mend the row, or leave it out with --on-bad reject.',
      )
    const appender = await this.#writing.createAppender('rejects')
    const { DuckDBDataChunk } = await import('@duckdb/node-api')
    const types = Array.from({ length: appender.columnCount }, (_, index) => appender.columnType(index))
    for (let at = 0; at < batch.rejects.length; at += chunkRows) {
      const some = batch.rejects.slice(at, at + chunkRows)
      const chunk = DuckDBDataChunk.create(types, some.length)
      chunk.setColumnValues(
        0,
        some.map(({ row }) => BigInt(row)),
      )
      chunk.setColumnValues(
        1,
        some.map(({ reason }) => reason),
      )
      for (const index of this.#plan.kept.keys())
        chunk.setColumnValues(
          2 + index,
          some.map(({ kept }) => kept[index]!),
        )
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
    part.rejected += batch.rejects.length
  }

  async #openPart(fromRow: number, answer?: AnswerColumn[]): Promise<PartFacts> {
    if (!this.#part) {
      this.#part = { fromRow, toRow: fromRow, answered: 0, rejected: 0 }
      await this.#writing.run(
        `CREATE OR REPLACE TABLE rejects ("row" BIGINT, "reason" VARCHAR${this.#keptColumns(', ')})`,
      )
    }
    if (answer && !this.#part.answerTypes) {
      const twice = answer.find(({ name }) => this.#plan.kept.includes(name))
      if (twice)
        throw new AppError(
          'BadRequest',
          `The kept column "${twice.name}" has the name of a column of the answer.`,
          'Leave it out of --keep, or rename it.',
        )
      this.#part.answerTypes = answer.map(({ sqlType }) => sqlType)
      const kept = this.#plan.kept.length === 0 ? '"row" BIGINT' : this.#keptColumns('')
      await this.#writing.run(
        `CREATE OR REPLACE TABLE part (${kept}, ${answer.map(({ name, sqlType }) => `${sqlName(name)} ${sqlType}`).join(', ')})`,
      )
    }
    return this.#part
  }

  #keptColumns(before: string): string {
    const columns = this.#plan.kept.map((name, index) => `${sqlName(name)} ${this.#keptTypes[index]}`)
    return columns.length === 0 ? '' : before + columns.join(', ')
  }

  async #closePart(): Promise<void> {
    const part = this.#part
    this.#part = undefined
    if (!part || part.toRow === part.fromRow) return
    const { answerTypes, ...facts } = part
    for (const [table, count] of [
      ['part', facts.answered],
      ['rejects', facts.rejected],
    ] as const)
      if (count > 0)
        await this.#writing.run(
          `COPY ${table} TO ${sqlText(this.#parts.file(table, facts))} (FORMAT parquet, COMPRESSION zstd)`,
        )
    await this.#writing.run('DROP TABLE IF EXISTS part')
    await this.#parts.finish(facts)
  }
}

/** DuckDB's chunks hold as many rows. */
const chunkRows = 2048

async function columnsOf(reading: DuckDBConnection, file: InputFile, relation: string): Promise<TableColumn[]> {
  const result = await reading.runAndReadAll(`DESCRIBE SELECT * FROM ${relation}`).catch((error: unknown) => {
    throw unreadable(file, error)
  })
  return result.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }))
}

/** The next chunk; undefined at the end; `unlike` where a cell of a CSV file is not of the type that its column is read as. */
async function fetched(
  result: DuckDBResult,
  file: InputFile,
  asText: boolean,
): Promise<DuckDBDataChunk | undefined | 'unlike'> {
  try {
    const chunk = await result.fetchChunk()
    return chunk && chunk.rowCount > 0 ? chunk : undefined
  } catch (error) {
    if (!asText && file.format === 'csv' && /Conversion Error|could not convert/i.test(messageOf(error)))
      return 'unlike'
    throw unreadable(file, error)
  }
}

const isUnlike = ({ format }: InputFile, error: unknown): boolean =>
  format === 'csv' && messageOf(error).startsWith('Conversion Error')

const unreadable = (file: InputFile, cause: unknown): AppError =>
  new AppError(
    'DataUnreadable',
    `${file.path} cannot be read as a table: ${messageOf(cause)}`,
    'Mend the file, or leave it out.',
    { cause },
  )

const mayBeRows = ({ kind }: Refusal): boolean => kind === 'request' || kind === 'schema' || kind === 'model'

const modelFailed = (message: string): AppError =>
  new AppError(
    'ScoringFailed',
    `The model does not answer: ${message}`,
    'What was finished is kept: the same command goes on from there.',
  )

/** As the model's signature lays them out. */
function questionOf({ facts }: ModelBackend, tensors: Tensor[]): InferQuestion | { problem: string } {
  const parameters = {}
  if (facts.signature === 'columns') return { layout: 'columns', tensors, parameters }
  if (facts.signature === 'none') return { layout: 'free', tensors, parameters: { content_type: 'pd' } }
  const feeds = graphFeeds(tensors, facts.inputs, [])
  return 'problem' in feeds
    ? feeds
    : { layout: facts.inputs[0]?.unnamed ? 'one' : 'tensors', tensors: feeds.tensors, parameters }
}

const plainValue = (value: DuckDBValue): unknown => (typeof value === 'bigint' ? Number(value) : value)

/** The parts as one file under its name, which appears whole. */
async function joined(
  job: ScoreJob,
  parts: PartsFolder,
  writing: DuckDBConnection,
): Promise<Omit<Scored, 'resumedRows'>> {
  const sum = (key: 'answered' | 'rejected') => parts.parts.reduce((total, part) => total + part[key], 0)
  const [answered, rejected] = [sum('answered'), sum('rejected')]
  const list = (kind: 'part' | 'rejects', key: 'answered' | 'rejected') =>
    parts.parts.filter((part) => part[key] > 0).map((part) => parts.file(kind, part))
  if (answered > 0) await joinInto(job.output, list('part', 'answered'), writing)
  const rejects = job.output.replace(/(\.\w+)$/, '.rejects$1')
  if (rejected > 0) await joinInto(rejects, list('rejects', 'rejected'), writing)
  if (answered === 0)
    throw new AppError(
      'ScoringFailed',
      rejected === 0 ? 'The table has no rows.' : `None of the ${rejected} rows can be scored; ${rejects} says why.`,
      'See that the table has the columns of the model, of their types.',
    )
  const rows = parts.doneRows
  parts.remove()
  return { rows, answered, rejected, output: job.output, ...(rejected > 0 ? { rejects } : {}) }
}

async function joinInto(path: string, files: readonly string[], writing: DuckDBConnection): Promise<void> {
  const beside = `${path}.partial`
  const format = formatOf(path)
  if (format === 'parquet' && files.length === 1) renameSync(files[0]!, beside)
  else {
    const how =
      format === 'parquet'
        ? 'FORMAT parquet, COMPRESSION zstd'
        : `FORMAT csv, HEADER${path.endsWith('.tsv') ? ", DELIMITER '\\t'" : ''}`
    await writing.run(
      `COPY (SELECT * FROM read_parquet([${files.map(sqlText).join(', ')}])) TO ${sqlText(beside)} (${how})`,
    )
  }
  await syncFile(beside)
  renameSync(beside, path)
}
