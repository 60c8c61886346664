import type { ModelFacts, TensorFacts } from '../models/model-facts.ts'
import {
  bfloatFromBits,
  type Datatype,
  elementCount,
  halfFromBits,
  type NumberArray,
  numbersOf,
  sizeOf,
  type Tensor,
} from '../tensor.ts'

export type Feeds = { tensors: Tensor[] } | { problem: string }

/**
 * Pure. The tensors of a request, laid out by the model's signature, as those that a graph takes.
 * @param tensors columns of shape [n] or [n, 1], or one matrix [n, columns]
 * @param graph one input [n, columns], or an input per column of shape [n] or [n, 1]
 * @param columns the signature's names in order; empty where it has none: then names and order are the request's
 */
export function graphFeeds(
  tensors: readonly Tensor[],
  graph: readonly TensorFacts[],
  columns: ModelFacts['inputs'],
): Feeds {
  const [matrix] = graph
  if (graph.length === 1 && matrix && matrix.shape.length === 2) return intoMatrix(tensors, matrix, columns)
  const given = tensors.length === 1 && graph.length > 1 ? sliced(tensors[0]!, columns) : tensors
  const feeds: Tensor[] = []
  for (const input of graph) {
    const tensor = given.find(({ name }) => name === input.name)
    if (!tensor) return { problem: `The column "${input.name}" is missing; the model takes ${names(graph)}.` }
    const cast = castTo(tensor, input.datatype)
    if (!cast)
      return { problem: `The column "${input.name}" is of ${tensor.datatype}; the model takes ${input.datatype}.` }
    const rows = tensor.shape[0] ?? 1
    feeds.push({ ...cast, name: input.name, shape: input.shape.length === 2 ? [rows, 1] : [rows] })
  }
  return { tensors: feeds }
}

function intoMatrix(tensors: readonly Tensor[], graph: TensorFacts, columns: ModelFacts['inputs']): Feeds {
  const [only] = tensors
  const width = graph.shape[1] ?? -1
  if (tensors.length === 1 && only && (only.shape.length === 2 || width === 1)) {
    const cast = castTo(only, graph.datatype)
    if (!cast) return { problem: `The input is of ${only.datatype}; the model takes ${graph.datatype}.` }
    const shape = only.shape.length === 2 ? only.shape : [only.shape[0] ?? 1, 1]
    if (width >= 0 && shape[1] !== width)
      return { problem: `The input has ${shape[1]} columns; the model takes ${width}.` }
    return { tensors: [{ ...cast, name: graph.name, shape }] }
  }
  const ordered =
    columns.length > 0 ? columns.map(({ name }) => tensors.find((one) => one.name === name)) : [...tensors]
  const missing = ordered.indexOf(undefined)
  if (missing >= 0)
    return { problem: `The column "${columns[missing]!.name}" is missing; the model takes ${names(columns)}.` }
  if (width >= 0 && ordered.length !== width)
    return { problem: `There are ${ordered.length} columns; the model takes ${width}.` }
  return interleaved(ordered as Tensor[], graph)
}

function interleaved(columns: readonly Tensor[], graph: TensorFacts): Feeds {
  const rows = columns[0]?.shape[0] ?? 0
  const width = columns.length
  const matrix = blank({ name: graph.name, datatype: graph.datatype, shape: [rows, width] })
  const target = numbersOf(matrix)
  for (const [at, column] of columns.entries()) {
    const cast = castTo(column, graph.datatype)
    if (!cast) return { problem: `The column "${column.name}" is of ${column.datatype}; the model takes numbers.` }
    const values = numbersOf(cast)
    for (let row = 0; row < rows; row++) target[row * width + at] = values[row]! as never
  }
  return { tensors: [matrix] }
}

/** One matrix of numbers as columns. */
function sliced(matrix: Tensor, columns: ModelFacts['inputs']): Tensor[] {
  const [rows = 0, width = 1] = matrix.shape
  if (matrix.datatype === 'BYTES') return []
  const values = numbersOf(matrix)
  return columns.slice(0, width).map(({ name }, at) => {
    const column = blank({ name, datatype: matrix.datatype, shape: [rows] })
    const target = numbersOf(column)
    for (let row = 0; row < rows; row++) target[row] = values[row * width + at]! as never
    return column
  })
}

/** The same numbers in another datatype; undefined where one of both is text and the other is not. */
export function castTo(tensor: Tensor, datatype: Datatype): Tensor | undefined {
  if (tensor.datatype === datatype) return tensor
  if (tensor.datatype === 'BYTES' || datatype === 'BYTES') return undefined
  const cast = blank({ ...tensor, datatype })
  const [values, target] = [numbersOf(tensor), numbersOf(cast)]
  const read = readNumber[tensor.datatype]
  const isLong = datatype === 'INT64' || datatype === 'UINT64'
  for (let index = 0; index < target.length; index++) {
    const value = read ? read(values[index]! as number) : Number(values[index]!)
    target[index] = (isLong ? BigInt(Math.trunc(value)) : datatype === 'BOOL' ? (value === 0 ? 0 : 1) : value) as never
  }
  return cast
}

const readNumber: Partial<Record<Datatype, (bits: number) => number>> = { FP16: halfFromBits, BF16: bfloatFromBits }

function blank(what: Omit<Tensor, 'bytes'>): Tensor & { bytes: Buffer } {
  return { ...what, bytes: Buffer.alloc(elementCount(what.shape) * sizeOf(what.datatype)) }
}

const names = (inputs: readonly TensorFacts[]): string => inputs.map(({ name }) => `"${name}"`).join(', ')

/** A graph's texts know no missing value: this one stands for it, and was proved to be answered as the original answers none. */
export const missingText = 'modelwright: missing'

/** Stands for what is no text at all, and so none of the texts that a model knows. */
export const unknownText = 'modelwright: no such category'

/** What a converted model's original refuses, by the place of the column in the graph's inputs. */
export type Refused = {
  missing: ReadonlySet<string | number>
  infinite: ReadonlySet<string | number>
  /** Beyond what a float of single precision holds. */
  large: ReadonlySet<string | number>
  /** No rows at all. */
  empty: boolean
  categories: ReadonlyMap<string, ReadonlySet<string>>
}

/** Pure. The first value (row, column) that the original would raise an error on, in words; undefined where there is none. */
export function refusedValue(
  tensors: readonly Tensor[],
  refused: Refused,
  columns: ModelFacts['inputs'],
  texts: (tensor: Tensor) => string[],
): string | undefined {
  if (refused.empty && tensors[0]?.shape[0] === 0) return 'There are no rows, which the model refuses.'
  for (const tensor of tensors) {
    if (tensor.datatype === 'BYTES' && refused.missing.has(tensor.name)) {
      const at = texts(tensor).indexOf(missingText)
      if (at >= 0) return `Column "${tensor.name}", row ${at}: the value is missing, which the model refuses.`
    }
    const known = refused.categories.get(tensor.name)
    if (known) {
      const at = texts(tensor).findIndex((text) => !known.has(text))
      if (at >= 0)
        return `Column "${tensor.name}", row ${at}: ${JSON.stringify(texts(tensor)[at])} is none of the values that the model knows.`
    }
    if (tensor.datatype !== 'FP64' && tensor.datatype !== 'FP32') continue
    const problem = refusedNumber(tensor, numbersOf(tensor), refused, columns)
    if (problem) return problem
  }
  return undefined
}

const largestSingle = 3.4028234663852886e38

function refusedNumber(
  { name, shape }: Tensor,
  values: NumberArray,
  refused: Refused,
  columns: ModelFacts['inputs'],
): string | undefined {
  if (refused.missing.size === 0 && refused.infinite.size === 0 && refused.large.size === 0) return undefined
  const width = shape.length === 2 ? (shape[1] ?? 1) : 1
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    if (Math.abs(value) <= largestSingle) continue
    const column = width > 1 || columns.length === 1 ? (columns[index % width]?.name ?? index % width) : name
    const kind = Number.isNaN(value) ? 'missing' : Number.isFinite(value) ? 'large' : 'infinite'
    if (refused[kind].has(column) || refused[kind].has(index % width))
      return `Column "${column}", row ${Math.floor(index / width)}: the value is ${kind === 'large' ? 'too large' : kind}, which the model refuses.`
  }
  return undefined
}
