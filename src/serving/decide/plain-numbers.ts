import { isObject } from '../../kernel/is-object.ts'
import type { ModelFacts } from '../models/model-facts.ts'

/** What a model takes that takes floats alone: one unnamed tensor of this shape (−1 is any size), or a table of these columns of doubles. */
export type FloatInput = { shape: readonly number[] } | { columns: readonly string[] }

/** Row-major doubles (little endian on every machine that Node runs on), the size of each dimension and, of a table, the columns as they lie. */
export type NumberBlock = { shape: number[]; columns?: string[]; values: Float64Array }

/** Undefined of a model that takes anything else. Pure. */
export function floatInputOf({ signature, inputs }: Pick<ModelFacts, 'signature' | 'inputs'>): FloatInput | undefined {
  const [first] = inputs
  if (!first) return undefined
  if (signature === 'tensors')
    return inputs.length === 1 && first.unnamed && /^FP(32|64)$/.test(first.datatype)
      ? { shape: first.shape }
      : undefined
  const isTable =
    signature === 'columns' && inputs.every(({ columnType, unnamed }) => columnType === 'double' && !unnamed)
  return isTable ? { columns: inputs.map(({ name }) => name) } : undefined
}

const forms = ['dataframe_split', 'dataframe_records', 'inputs', 'instances', 'messages', 'prompt', 'input']

/**
 * What a request of MLflow's protocol gives to such a model, where that is nothing but numbers in its shape: Python takes the block
 * as it is, instead of reading, copying and converting lists of lists. Pure.
 * @param json the request's body
 * @param wanted what `floatInputOf` says of the model
 * @returns undefined where anything is out of the ordinary: MLflow's own functions judge and word that
 */
export function plainNumbers(json: Readonly<Record<string, unknown>>, wanted: FloatInput): NumberBlock | undefined {
  const [form, another] = forms.filter((one) => one in json)
  if (form === undefined || another !== undefined) return undefined
  if ('shape' in wanted) return ['inputs', 'instances'].includes(form) ? block(json[form], wanted.shape) : undefined
  if (form === 'dataframe_split') return ofSplit(json[form], wanted.columns)
  return form === 'dataframe_records' ? ofRecords(json[form], wanted.columns) : undefined
}

/** With exactly the columns that the model takes, in any order. */
function ofSplit(split: unknown, wanted: readonly string[]): NumberBlock | undefined {
  if (!isObject(split) || Object.keys(split).length !== 2 || !Array.isArray(split.columns)) return undefined
  const columns: unknown[] = split.columns
  if (columns.length !== wanted.length || !wanted.every((name) => columns.includes(name))) return undefined
  const numbers = block(split.data, [-1, wanted.length])
  return numbers && { ...numbers, columns: columns as string[] }
}

function ofRecords(records: unknown, wanted: readonly string[]): NumberBlock | undefined {
  if (!Array.isArray(records)) return undefined
  const rows: unknown[] = records.map((record: unknown) =>
    isObject(record) && Object.keys(record).length === wanted.length ? wanted.map((name) => record[name]) : undefined,
  )
  const numbers = block(rows, [-1, wanted.length])
  return numbers && { ...numbers, columns: [...wanted] }
}

function block(data: unknown, wanted: readonly number[]): NumberBlock | undefined {
  const shape = shapeOf(data, wanted.length)
  if (!shape || !isOfShape(shape, wanted)) return undefined
  const values = new Float64Array(shape.reduce((product, size) => product * size, 1))
  return fill(values, 0, data, shape, 0) === values.length ? { shape, values } : undefined
}

/** @param wanted −1 is any size */
export const isOfShape = (shape: readonly number[], wanted: readonly number[]): boolean =>
  shape.length === wanted.length && wanted.every((size, at) => size < 0 || size === shape[at])

/** By the first element of each level; undefined where they are not so many. */
function shapeOf(data: unknown, levels: number): number[] | undefined {
  const shape: number[] = []
  for (let level = data; shape.length < levels; level = level[0]) {
    if (!Array.isArray(level) || level.length === 0) return undefined
    shape.push(level.length)
  }
  return shape
}

/** @returns where the next element goes; NaN: here is no list of numbers of that shape */
function fill(values: Float64Array, from: number, list: unknown, shape: readonly number[], level: number): number {
  if (!Array.isArray(list) || list.length !== shape[level]) return Number.NaN
  let at = from
  if (level < shape.length - 1) {
    for (const one of list) at = fill(values, at, one, shape, level + 1)
    return at
  }
  for (const one of list) {
    if (typeof one !== 'number') return Number.NaN
    values[at++] = one
  }
  return at
}
