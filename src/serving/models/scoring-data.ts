import { parse as parseCsv } from 'csv-parse/sync'
import { messageOf } from '../../kernel/errors.ts'
import { readCell } from '../../validation/index.ts'
import type { ScoreQuestion } from './model-backend.ts'
import { parquetRows } from './parquet-rows.ts'

/** A request of MLflow's protocol, read: a table, one nested list, or named ones. */
export type ScoringData =
  | { kind: 'table'; columns: readonly string[]; rows: readonly (readonly unknown[])[] }
  | { kind: 'list'; values: unknown }
  | { kind: 'named'; values: Record<string, unknown> }

type Row = Record<string, unknown>

const forms = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'] as const

/** What is wrong with a body, in words for its sender. */
export class MalformedBody extends Error {}

/** @throws MalformedBody */
export async function readScoringData({ form, body }: Pick<ScoreQuestion, 'form' | 'body'>): Promise<ScoringData> {
  if (form === 'csv') return csvTable(body)
  if (form === 'parquet') {
    const records = await parquetRows(body).catch((error: unknown) => {
      throw new MalformedBody(`The body cannot be read as Parquet: ${messageOf(error)}.`)
    })
    return tableOf(records)
  }
  return jsonData(body)
}

function csvTable(body: Buffer): ScoringData {
  try {
    const cells = parseCsv(body.toString('utf8'), {
      skip_empty_lines: true,
      bom: true,
      // Numbers and missing values as pandas reads them.
      cast: (cell, { lines }) => (lines === 1 ? cell : readCell(cell, { type: 'number' })),
    }) as unknown[][]
    const [columns, ...rows] = cells
    if (!columns) throw new Error('it is empty')
    return { kind: 'table', columns: columns as string[], rows }
  } catch (error) {
    throw new MalformedBody(`The body cannot be read as CSV with a header line: ${messageOf(error)}.`)
  }
}

function jsonData(body: Buffer): ScoringData {
  let written: unknown
  try {
    written = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new MalformedBody(`The body is not valid JSON: ${messageOf(error).slice(0, 200)}.`)
  }
  if (!isObject(written))
    throw new MalformedBody(`The body must be a JSON object with exactly one of ${forms.join(', ')}.`)
  const [form, second] = forms.filter((one) => one in written)
  if (!form || second)
    throw new MalformedBody(
      `The body must hold exactly one of ${forms.join(', ')}; found: ${Object.keys(written).slice(0, 20).join(', ') || 'none'}.`,
    )
  return readForm[form](written[form])
}

const readForm: Record<(typeof forms)[number], (data: unknown) => ScoringData> = {
  dataframe_split: (split) => {
    if (!isObject(split) || !Array.isArray(split.data))
      throw new MalformedBody('dataframe_split must be an object with columns and data.')
    const surplus = Object.keys(split).filter((key) => !['columns', 'index', 'data'].includes(key))
    if (surplus.length > 0)
      throw new MalformedBody(`dataframe_split has columns, index and data; found also: ${surplus.join(', ')}.`)
    const rows = split.data.map((row: unknown) => (Array.isArray(row) ? row : [row]))
    const width = rows[0]?.length ?? 0
    const columns = Array.isArray(split.columns) ? split.columns.map(String) : range(width).map(String)
    const uneven = rows.findIndex((row) => row.length !== columns.length)
    if (uneven >= 0)
      throw new MalformedBody(
        `dataframe_split.data[${uneven}] has ${rows[uneven]!.length} values for ${columns.length} columns.`,
      )
    return { kind: 'table', columns, rows }
  },
  dataframe_records: (records) => {
    if (!Array.isArray(records) || !records.every(isObject))
      throw new MalformedBody('dataframe_records must be a list of records of column names and values.')
    return tableOf(records)
  },
  instances: (instances) => {
    if (!Array.isArray(instances)) throw new MalformedBody('instances must be a list.')
    if (!instances.every(isObject)) return { kind: 'list', values: instances }
    const names = [...new Set(instances.flatMap((one) => Object.keys(one)))]
    return {
      kind: 'named',
      values: Object.fromEntries(names.map((name) => [name, instances.map((one) => one[name] ?? null)])),
    }
  },
  inputs: (inputs) => {
    if (Array.isArray(inputs) && inputs.length > 0 && inputs.every(isObject)) return tableOf(inputs)
    return isObject(inputs) ? { kind: 'named', values: inputs } : { kind: 'list', values: inputs }
  },
}

function tableOf(records: readonly Row[]): ScoringData {
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))]
  return { kind: 'table', columns, rows: records.map((record) => columns.map((name) => record[name] ?? null)) }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

const isObject = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)
