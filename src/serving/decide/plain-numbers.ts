import type { ModelFacts } from '../models/model-facts.ts'

/** Row-major doubles, little endian on every machine that Node runs on, and the size of each dimension. */
export type NumberBlock = { shape: number[]; values: Float64Array }

const otherForms = ['dataframe_split', 'dataframe_records', 'messages', 'prompt', 'input']

/** The shape of the one unnamed tensor of floats that a model takes; undefined of every other model. −1 is any size. Pure. */
export function floatTensorOf({ signature, inputs }: Pick<ModelFacts, 'signature' | 'inputs'>): number[] | undefined {
  const [only] = inputs
  const isIt = signature === 'tensors' && inputs.length === 1 && only?.unnamed && /^FP(32|64)$/.test(only.datatype)
  return isIt ? only.shape : undefined
}

/**
 * What a request of MLflow's protocol gives to such a model, where that is nothing but numbers in its shape: Python takes the block
 * as it is, instead of reading, copying and converting lists of lists. Pure.
 * @param json the request's body
 * @param wanted what `floatTensorOf` says of the model
 * @returns undefined where anything is out of the ordinary: MLflow's own functions judge and word that
 */
export function plainNumbers(
  json: Readonly<Record<string, unknown>>,
  wanted: readonly number[],
): NumberBlock | undefined {
  const data = json.inputs ?? json.instances
  if (!Array.isArray(data) || ('inputs' in json && 'instances' in json) || otherForms.some((form) => form in json))
    return undefined
  const shape = shapeOf(data, wanted.length)
  if (!shape || !wanted.every((size, at) => size < 0 || size === shape[at])) return undefined
  const values = new Float64Array(shape.reduce((product, size) => product * size, 1))
  return fill(values, 0, data, shape, 0) === values.length ? { shape, values } : undefined
}

/** By the first element of each level; undefined where they are not so many. */
function shapeOf(data: readonly unknown[], levels: number): number[] | undefined {
  const shape: number[] = []
  for (let level: unknown = data; shape.length < levels; level = level[0]) {
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
