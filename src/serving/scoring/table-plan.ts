import { AppError } from '../../kernel/errors.ts'
import { nearestWord } from '../../kernel/nearest-word.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import type { Datatype } from '../tensor.ts'
import { sqlName, sqlText } from './input-files.ts'

export type TableColumn = { name: string; type: string }

/** A column that the model takes, as it is read. */
export type TakenColumn = { name: string; datatype: Datatype; sqlType: string; mayBeMissing: boolean }

export type TablePlan = {
  taken: TakenColumn[]
  /** Columns that are written beside the predictions. */
  kept: string[]
}

/**
 * Pure. Which columns of a table the model takes, and which are kept.
 * @param keep names, or undefined for all that the model does not take
 * @throws AppError BadRequest, NotYetSupported
 */
export function planTable(
  facts: Pick<ModelFacts, 'signature' | 'inputs'>,
  table: readonly TableColumn[],
  keep: readonly string[] | 'all' | undefined,
): TablePlan {
  const names = table.map(({ name }) => name)
  if (Array.isArray(keep)) for (const name of keep) mustHave(names, name, 'to be kept')
  const taken = takenColumns(facts, table, Array.isArray(keep) ? keep : [])
  const isTaken = new Set(taken.map(({ name }) => name))
  const kept = keep === 'all' ? names : Array.isArray(keep) ? [...keep] : names.filter((name) => !isTaken.has(name))
  return { taken, kept }
}

function takenColumns(
  { signature, inputs }: Pick<ModelFacts, 'signature' | 'inputs'>,
  table: readonly TableColumn[],
  kept: readonly string[],
): TakenColumn[] {
  const names = table.map(({ name }) => name)
  const rest = table.filter(({ name }) => !kept.includes(name))
  if (signature === 'columns')
    return inputs.flatMap((input) => {
      if (!input.required && !names.includes(input.name)) return []
      mustHave(names, input.name, 'which the model takes')
      return [bySignature(input.name, input.columnType ?? 'any')]
    })
  if (signature === 'none') return rest.map(byTable)
  const [only] = inputs
  if (inputs.length === 1 && only && !names.includes(only.name)) {
    const width = only.shape[1] ?? 1
    const columns = rest.filter(({ type }) => only.datatype === 'BYTES' || isNumber(type))
    if (only.shape.length > 2 || (width >= 0 && columns.length !== width))
      throw new AppError(
        'BadRequest',
        `The model takes ${width < 0 ? 'a matrix' : `${width} columns`} without names; the table has ${columns.length} of numbers that are not kept.`,
        'Name the others with --keep, so that exactly the columns of the model are left, in its order.',
      )
    return columns.map(({ name }) => byDatatype(name, only.datatype))
  }
  return inputs.map((input) => {
    mustHave(names, input.name, 'which the model takes')
    return byDatatype(input.name, input.datatype)
  })
}

function mustHave(names: readonly string[], name: string, what: string): void {
  if (names.includes(name)) return
  const nearest = nearestWord(name, [...names])
  throw new AppError(
    'BadRequest',
    `The table has no column "${name}", ${what}; it has ${names.slice(0, 30).join(', ')}.`,
    nearest === undefined ? 'Give the table its column.' : `Was "${nearest}" meant?`,
  )
}

const plain: Record<string, [sqlType: string, datatype: Datatype, mayBeMissing: boolean]> = {
  boolean: ['BOOLEAN', 'BOOL', false],
  integer: ['INTEGER', 'INT32', false],
  long: ['BIGINT', 'INT64', false],
  float: ['FLOAT', 'FP32', true],
  double: ['DOUBLE', 'FP64', true],
  string: ['VARCHAR', 'BYTES', false],
  datetime: ['VARCHAR', 'BYTES', false],
}

function bySignature(name: string, columnType: string): TakenColumn {
  const found = plain[columnType]
  if (!found)
    throw new AppError(
      'NotYetSupported',
      `The column "${name}" of the model's signature is of ${columnType}; tables are scored with columns of ${Object.keys(plain).join(', ')}.`,
      'Ask such a model through `modelwright serve`.',
    )
  const [sqlType, datatype, mayBeMissing] = found
  return { name, sqlType, datatype, mayBeMissing }
}

const sqlOfDatatype: Partial<Record<Datatype, string>> = {
  BYTES: 'VARCHAR',
  BOOL: 'BOOLEAN',
  FP32: 'FLOAT',
  FP64: 'DOUBLE',
  INT32: 'INTEGER',
  INT64: 'BIGINT',
}

function byDatatype(name: string, datatype: Datatype): TakenColumn {
  const sqlType = sqlOfDatatype[datatype] ?? (datatype.includes('INT') ? 'BIGINT' : 'DOUBLE')
  const own = sqlOfDatatype[datatype] ? datatype : datatype.includes('INT') ? 'INT64' : 'FP64'
  return { name, sqlType, datatype: own, mayBeMissing: own.startsWith('FP') }
}

const isNumber = (type: string): boolean => /INT|DOUBLE|FLOAT|DECIMAL|BOOLEAN/.test(type)

/** Without a signature the table says what the columns are, as it does for pandas. */
function byTable({ name, type }: TableColumn): TakenColumn {
  if (type === 'BOOLEAN') return byDatatype(name, 'BOOL')
  if (/^U?(TINY|SMALL|BIG|)INT|^U?INTEGER/.test(type)) return byDatatype(name, 'INT64')
  return byDatatype(name, isNumber(type) ? 'FP64' : 'BYTES')
}

/** `SELECT` of the kept columns, then of the taken ones as the model wants them, then of why the row cannot be scored. */
export function selectOf({ taken, kept }: TablePlan, relation: string, types: ReadonlyMap<string, string>): string {
  const casts = taken.map(({ name, sqlType }) =>
    types.get(name) === sqlType ? sqlName(name) : `try_cast(${sqlName(name)} AS ${sqlType})`,
  )
  // A missing number is NaN, so that whole columns can be copied without a look at each value.
  const values = taken.map(({ mayBeMissing, sqlType }, index) =>
    mayBeMissing ? `coalesce(${casts[index]}, 'nan'::${sqlType})` : casts[index]!,
  )
  const reasons = taken.flatMap((column, index) => reasonsOf(column, casts[index]!, types.get(column.name)))
  const reason = reasons.length === 0 ? 'NULL::VARCHAR' : `CASE ${reasons.join(' ')} END`
  return `SELECT ${[...kept.map(sqlName), ...values, reason].join(', ')} FROM ${relation}`
}

function reasonsOf({ name, sqlType, mayBeMissing }: TakenColumn, cast: string, type: string | undefined): string[] {
  const column = sqlName(name)
  const said = `Column "${name}": `
  const missing = `WHEN ${column} IS NULL THEN ${sqlText(`${said}the value is missing.`)}`
  const wrong = `WHEN ${column} IS NOT NULL AND ${cast} IS NULL THEN ${sqlText(said)} || left(${column}::VARCHAR, 60) || ${sqlText(` is no ${sqlType.toLowerCase()}.`)}`
  return [...(mayBeMissing ? [] : [missing]), ...(type === sqlType ? [] : [wrong])]
}
