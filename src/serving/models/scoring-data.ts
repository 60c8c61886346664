import { parse as parseCsv } from 'csv-parse/sync'
import { messageOf } from '../../kernel/errors.ts'
import { isObject } from '../../kernel/is-object.ts'
import { readCell } from '../../validation/index.ts'
import { type NumberRows, readNumberRows } from '../decide/number-rows.ts'
import type { ScoreQuestion } from './model-backend.ts'
import { parquetRows } from './parquet-rows.ts'

/** A request of MLflow's protocol, read: a table, one nested list, or named ones. */
export type ScoringData =
  | { kind: 'table'; form: TableForm; columns: readonly string[]; rows: readonly (readonly unknown[])[] }
  | { kind: 'list'; values: unknown; numbers?: NumberRows }
  | { kind: 'named'; form: 'inputs' | 'instances' | 'chat'; values: Record<string, unknown> }

/** Where it stood: MLflow casts `dataframe_…` by the signature, the others not. */
export type TableForm = 'dataframe' | 'inputs' | 'csv' | 'parquet'

type Row = Record<string, unknown>

const forms = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'] as const

const llmForms = ['messages', 'prompt', 'input'] as const

/** What is wrong with a body, in words for its sender. */
export class MalformedBody extends Error {}

/** What the cells of CSV are read as; numbers where nothing is said. */
export type CellTypes = ReadonlyMap<string, CellType>
type CellType = 'string' | 'boolean' | 'whole'

/** @throws MalformedBody */
export async function readScoringData(
  { form, body, json, numbers }: Pick<ScoreQuestion, 'form' | 'body' | 'json' | 'numbers'>,
  types: CellTypes = new Map(),
): Promise<ScoringData> {
  if (form === 'csv') return csvTable(body, types)
  if (form === 'parquet') {
    const records = await parquetRows(body).catch((error: unknown) => {
      throw new MalformedBody(`The body cannot be read as Parquet: ${messageOf(error)}.`)
    })
    return tableOf(records, 'parquet')
  }
  if (json) return jsonData(json)
  const plain = numbers ?? readNumberRows(body)
  return plain ? new NumberList(plain) : jsonData(readJson(body))
}

/** A class: each object literal with a getter has a shape of its own, which keeps what the getter knows until all of the heap is swept. */
class NumberList {
  readonly kind = 'list'
  readonly numbers: NumberRows

  constructor(numbers: NumberRows) {
    this.numbers = numbers
  }

  get values(): unknown {
    return this.numbers.lists
  }
}

function csvTable(body: Buffer, types: CellTypes): ScoringData {
  const names: string[] = []
  try {
    const cells = parseCsv(body.toString('utf8'), {
      skip_empty_lines: true,
      bom: true,
      cast: (cell, { records, index }) => {
        if (records > 0) return typedCell(cell, types.get(names[index]!))
        names.push(cell)
        return cell
      },
    }) as unknown[][]
    const [columns, ...rows] = cells
    if (!columns) throw new Error('it is empty')
    return { kind: 'table', form: 'csv', columns: columns as string[], rows }
  } catch (error) {
    throw new MalformedBody(`The body cannot be read as CSV with a header line: ${messageOf(error)}.`)
  }
}

/** As pandas reads it. */
function typedCell(cell: string, type: CellType | undefined): unknown {
  const value = readCell(cell, { type: type === 'string' || type === 'boolean' ? type : 'number' })
  if (type === 'whole' && typeof value === 'number' && !Number.isInteger(value))
    throw new Error(`"${cell}" is no whole number`)
  if (type === 'boolean' && typeof value !== 'boolean') throw new Error(`"${cell}" is no boolean`)
  return value
}

function readJson(body: Buffer): unknown {
  try {
    return parsed(body.toString('utf8'))
  } catch (error) {
    throw new MalformedBody(`The body is not valid JSON: ${messageOf(error).slice(0, 200)}.`)
  }
}

function jsonData(written: unknown): ScoringData {
  if (!isObject(written))
    throw new MalformedBody(`The body must be a JSON object with exactly one of ${forms.join(', ')}.`)
  // What chat models take is for the model to refuse, as MLflow leaves it to it.
  if (llmForms.some((one) => one in written)) return { kind: 'named', form: 'chat', values: written }
  const [form, second] = forms.filter((one) => one in written)
  if (!form || second)
    throw new MalformedBody(
      `The body must hold exactly one of ${forms.join(', ')}; found: ${Object.keys(written).slice(0, 20).join(', ') || 'none'}.`,
    )
  return readForm[form](written[form])
}

/** Python writes, and reads, NaN and Infinity in JSON, which has no word for them. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const plain = text.replaceAll(/"(?:[^"\\]|\\.)*"|\bNaN\b|\bInfinity\b/g, (found) =>
      found === 'NaN' ? 'null' : found === 'Infinity' ? '1e999' : found,
    )
    if (plain === text) throw error
    return JSON.parse(plain)
  }
}

const readForm: Record<(typeof forms)[number], (data: unknown) => ScoringData> = {
  dataframe_split: (split) => {
    if (!isObject(split) || !Array.isArray(split.data))
      throw new MalformedBody('dataframe_split must be an object with columns and data.')
    const surplus = Object.keys(split).filter((key) => !['columns', 'index', 'data'].includes(key))
    if (surplus.length > 0)
      throw new MalformedBody(`dataframe_split has columns, index and data; found also: ${surplus.join(', ')}.`)
    if (Array.isArray(split.index) && split.index.length !== split.data.length)
      throw new MalformedBody(
        `dataframe_split.index has ${split.index.length} values for ${split.data.length} rows of data.`,
      )
    const rows = split.data.map((row: unknown) => (Array.isArray(row) ? row : [row]))
    const width = rows[0]?.length ?? 0
    const columns = Array.isArray(split.columns) ? split.columns.map(String) : range(width).map(String)
    const uneven = rows.findIndex((row) => row.length !== columns.length)
    if (uneven >= 0)
      throw new MalformedBody(
        `dataframe_split.data[${uneven}] has ${rows[uneven]!.length} values for ${columns.length} columns.`,
      )
    return { kind: 'table', form: 'dataframe', columns, rows }
  },
  dataframe_records: (records) => {
    if (!Array.isArray(records) || !records.every(isObject))
      throw new MalformedBody('dataframe_records must be a list of records of column names and values.')
    return tableOf(records, 'dataframe')
  },
  instances: (instances) => {
    if (!Array.isArray(instances)) throw new MalformedBody('instances must be a list.')
    if (!instances.every(isObject)) return { kind: 'list', values: instances }
    const names = [...new Set(instances.flatMap((one) => Object.keys(one)))]
    return {
      kind: 'named',
      form: 'instances',
      values: Object.fromEntries(names.map((name) => [name, instances.map((one) => one[name] ?? null)])),
    }
  },
  inputs: (inputs) => {
    if (Array.isArray(inputs) && inputs.length > 0 && inputs.every(isObject)) return tableOf(inputs, 'inputs')
    return isObject(inputs) ? { kind: 'named', form: 'inputs', values: inputs } : { kind: 'list', values: inputs }
  },
}

function tableOf(records: readonly Row[], form: TableForm): ScoringData {
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))]
  return { kind: 'table', form, columns, rows: records.map((record) => columns.map((name) => record[name] ?? null)) }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
