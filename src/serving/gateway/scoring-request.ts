import { isUtf8 } from 'node:buffer'
import { parse as parseCsv } from 'csv-parse/sync'
import { messageOf } from '../../kernel/errors.ts'
import { isObject } from '../../kernel/is-object.ts'
import { readCell } from '../../validation/index.ts'
import { type NumberRows, readNumberRows } from '../decide/number-rows.ts'
import type { InputRows, Written } from '../input-failure.ts'
import type { ScoreQuestion } from '../models/model-backend.ts'
import { parquetRows } from '../models/parquet-rows.ts'
import { formOf } from '../protocols/scoring-form.ts'
import { badRequest } from '../scoring-error.ts'

/** A request as it came (the worker gets these very bytes, so that no number loses a digit here) and its rows, for the checks. */
export type ScoringRequest = InputRows & Pick<ScoreQuestion, 'form' | 'body' | 'json' | 'numbers'>

const llmKeys = ['messages', 'prompt', 'input']
const forms = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'] as const
type Row = Record<string, unknown>
/** As Python's reader of JSON has it. Beyond, values cannot be told, compared or written down: the engine's stack ends. */
const mostLevels = 1_000

/** MLflow's scoring protocol. @throws ScoringError 415 for a content type that is not served, 400 for a malformed body */
export async function readScoringRequest(contentType: string | undefined, body: Buffer): Promise<ScoringRequest> {
  const form = formOf(contentType)
  if (form === 'parquet') return { form, body, ...(await rowsOfParquet(body)) }
  const numbers = form === 'json' ? readNumberRows(body) : undefined
  if (numbers) return new NumberRequest(body, numbers)
  const text = utf8(body)
  if (form === 'csv') return { form, body, ...rowsOfCsv(text) }
  const json = parseObject(text)
  // Chat, completion and embedding requests are the model's own matter: they have no rows.
  if (llmKeys.some((key) => key in json)) return { form, body, json, rows: [], named: true }
  const read = rowsOf(json)
  return { form, body, json, ...read, ...asWritten(body, json, read) }
}

/** A class, since each object literal with a getter would have a shape of its own, which outlives it. */
class NumberRequest implements ScoringRequest {
  readonly form = 'json'
  readonly named = false
  readonly body: Buffer
  readonly numbers: NumberRows
  readonly written: Written

  constructor(body: Buffer, numbers: NumberRows) {
    this.body = body
    this.numbers = numbers
    this.written = { body, spans: numbers.spans }
  }

  get rows(): Row[] {
    return this.numbers.lists.map(positional)
  }
}

async function rowsOfParquet(body: Buffer): Promise<InputRows> {
  const rows = await parquetRows(body).catch((error: unknown) => {
    throw badRequest(`The body cannot be read as Parquet: ${messageOf(error)}.`)
  })
  if (rows.length === 0) throw badRequest('The table holds no rows.')
  return { named: true, rows }
}

function asWritten(body: Buffer, json: Row, { named, rows }: InputRows): Pick<InputRows, 'written'> {
  const member = (['instances', 'inputs'] as const).find((one) => Array.isArray(json[one]))
  return member && !named && rows.every((row) => Array.isArray(row))
    ? { written: { body: unmarked(body), member } }
    : {}
}

/** Without the byte order mark: no other JSON begins beyond ASCII. */
const unmarked = (body: Buffer): Buffer => (body[0]! > 127 ? body.subarray(3) : body)

function utf8(body: Buffer): string {
  if (!isUtf8(body)) throw badRequest('The body is not valid UTF-8.')
  const text = body.toString('utf8')
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

function parseObject(text: string): Row {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const hint = /\b(NaN|-?Infinity)\b/.test(text) ? ' JSON has no NaN or Infinity: send null for a missing value.' : ''
    throw badRequest(`The body is not valid JSON: ${messageOf(error)}.${hint}`)
  }
  if (beginsBeyond(text, mostLevels) && nestsBeyond(value, mostLevels))
    throw badRequest(`The body nests more than ${mostLevels} lists and objects.`)
  if (!isObject(value)) throw badRequest(`The body must be a JSON object with one of ${forms.join(', ')}.`)
  return value
}

/** Whether there are so many lists and objects at all: the engine finds letters faster than anybody looks at each value. */
function beginsBeyond(text: string, most: number): boolean {
  let count = 0
  for (const letter of '[{')
    for (let at = text.indexOf(letter); at >= 0; at = text.indexOf(letter, at + 1)) if (++count > most) return true
  return false
}

/** Recursion is safe here: it ends at `levels`. */
function nestsBeyond(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  if (Array.isArray(value)) {
    for (const one of value) if (typeof one === 'object' && nestsBeyond(one, levels - 1)) return true
  } else {
    const members = value as Row
    for (const name in members)
      if (typeof members[name] === 'object' && nestsBeyond(members[name], levels - 1)) return true
  }
  return false
}

function rowsOf(body: Row): InputRows {
  const found = forms.filter((form) => form in body)
  const [form] = found
  if (found.length !== 1 || !form)
    throw badRequest(
      `The body must hold exactly one of ${forms.join(', ')}; found: ${Object.keys(body).slice(0, 20).join(', ') || 'nothing'}.`,
    )
  if (body.params !== undefined && body.params !== null && !isObject(body.params))
    throw badRequest('params must be an object.')
  const read =
    form === 'dataframe_split'
      ? fromSplit(body[form])
      : form === 'inputs'
        ? fromInputs(body[form])
        : fromList(form, body[form])
  if (read.rows.length === 0) throw badRequest(`${form} holds no rows.`)
  return read
}

function fromSplit(split: unknown): InputRows {
  if (!isObject(split) || !Array.isArray(split.data))
    throw badRequest('dataframe_split must be an object with columns and data.')
  const unknown = Object.keys(split).filter((key) => !['columns', 'index', 'data'].includes(key))
  if (unknown.length > 0)
    throw badRequest(`dataframe_split has columns, index and data; found also: ${unknown.join(', ')}.`)
  const { columns, data } = split
  if (columns === undefined) return { named: false, rows: data.map(positional) }
  if (!Array.isArray(columns)) throw badRequest('dataframe_split.columns must be a list of names.')
  const names = columns.map(String)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw badRequest(`dataframe_split.columns names "${twice}" twice.`)
  return {
    named: true,
    rows: data.map((values: unknown, index) => {
      if (!Array.isArray(values) || values.length !== names.length)
        throw badRequest(
          `dataframe_split.data[${index}] has ${Array.isArray(values) ? `${values.length} values` : 'no list of values'} for ${names.length} columns.`,
        )
      return named(names, values)
    }),
  }
}

/** A loop: whole tables come through here, and Object.fromEntries takes four times as long. It alone makes a column `__proto__`. */
function named(names: readonly string[], values: readonly unknown[]): Row {
  if (names.includes('__proto__')) return Object.fromEntries(names.map((name, column) => [name, values[column]]))
  const row: Row = {}
  for (let at = 0; at < names.length; at++) row[names[at]!] = values[at]
  return row
}

function fromList(form: string, list: unknown): InputRows {
  if (!Array.isArray(list)) throw badRequest(`${form} must be a list of ${form === 'instances' ? 'rows' : 'records'}.`)
  const objects = list.filter(isObject).length
  if (objects === list.length) return { named: true, rows: list }
  if (objects > 0 || form === 'dataframe_records')
    throw badRequest(`${form}[${list.findIndex((row) => !isObject(row))}] is not a record of column names and values.`)
  return { named: false, rows: list.map(positional) }
}

/** `inputs` holds columns (name → values), or a tensor. */
function fromInputs(inputs: unknown): InputRows {
  if (Array.isArray(inputs)) return fromList('inputs', inputs)
  if (!isObject(inputs)) return { named: false, rows: [positional(inputs)] }
  const columns = Object.entries(inputs)
  const count = Math.max(1, ...columns.map(([, values]) => (Array.isArray(values) ? values.length : 1)))
  for (const [name, values] of columns)
    if (Array.isArray(values) && values.length !== count)
      throw badRequest(`inputs.${name} has ${values.length} values, other columns have ${count}.`)
  return {
    named: true,
    rows: Array.from({ length: count }, (_, row) =>
      Object.fromEntries(columns.map(([name, values]) => [name, Array.isArray(values) ? values[row] : values])),
    ),
  }
}

function rowsOfCsv(text: string): InputRows {
  try {
    // Numbers and missing values as pandas will read them, so that the checks see what the model gets.
    const rows = parseCsv(text, {
      columns: true,
      skip_empty_lines: true,
      bom: true,
      cast: (cell, { header }) => (header ? cell : readCell(cell, { type: 'number' })),
    }) as Row[]
    if (rows.length === 0) throw new Error('there is no row below the header')
    return { named: true, rows }
  } catch (error) {
    throw badRequest(`The body cannot be read as CSV with a header line: ${messageOf(error)}.`)
  }
}

/** A list is a row whose columns are called 0, 1, … as it stands: whole matrices come through here. */
const positional = (values: unknown): Row => (Array.isArray(values) ? (values as unknown as Row) : { 0: values })
