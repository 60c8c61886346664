import { bindInputs } from '../decide/bind-inputs.ts'
import { missingText, unknownText } from '../decide/graph-feeds.ts'
import { mlflowCast } from '../decide/mlflow-cast.ts'
import type { NumberRows } from '../decide/number-rows.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import type { InferAnswer, Refusal, ScoreAnswer, ScoreQuestion } from './model-backend.ts'
import type { ModelFacts, TensorFacts } from './model-facts.ts'
import { type CellTypes, MalformedBody, readScoringData, type ScoringData } from './scoring-data.ts'
import { bytesFromJson, elementTexts, firstOf, isSingle } from './tensor-json.ts'

type Parts = {
  graph: ModelFacts
  /** What MLmodel says; its columns become the graph's inputs. */
  signature: ModelFacts
  infer: (tensors: Tensor[]) => Promise<InferAnswer>
  /** Of a converted model: the output that is the whole answer, as the original gave it. */
  answer?: string
}

/** The data do not suit the signature or the graph. */
class Unsuitable extends Error {}

/**
 * MLflow's protocol in front of a graph, as MLflow's own ONNX flavour maps it: a table becomes the one input's matrix, or a column per
 * input; lists become tensors. Tables are answered by records, everything else by outputs under their names.
 */
export async function scoreOnnx(question: ScoreQuestion, parts: Parts): Promise<ScoreAnswer> {
  try {
    const data = await readScoringData(question, cellTypes(parts.signature))
    const { tensors, asRecords } = feedsOf(data, question.drop, parts)
    const binding = bindInputs(parts.graph, tensors)
    if ('problem' in binding) throw new Unsuitable(binding.problem)
    const answer = await parts.infer(binding.tensors)
    if (!answer.ok) return answer
    const only = answer.tensors.find(({ name }) => name === parts.answer)
    const predictions = only
      ? nestedText(elementTexts(only), only.shape)
      : asRecords
        ? records(answer.tensors, parts.graph)
        : outputsByName(answer.tensors, parts.graph)
    return { ok: true, body: Buffer.from(`{"predictions": ${predictions}}`) }
  } catch (error) {
    return refusalOf(error, parts)
  }
}

function refusalOf(error: unknown, { signature }: Parts): Refusal {
  if (error instanceof MalformedBody) return { ok: false, kind: 'request', message: error.message }
  const message = error instanceof Error ? error.message : String(error)
  // Without a signature MLflow meets the problem inside the model, and calls it a bad request.
  return { ok: false, kind: signature.signature === 'none' ? 'request' : 'schema', message }
}

/** What a model takes, from a request of MLflow's protocol. @throws Error where the data do not suit the signature or the graph */
export function feedsOf(
  data: ScoringData,
  drop: readonly string[],
  { graph, signature, answer }: Pick<Parts, 'graph' | 'signature' | 'answer'>,
) {
  const isConverted = answer !== undefined
  if (signature.signature === 'columns')
    return { tensors: fromColumns(columnsOf(data, signature.inputs, isConverted), graph.inputs), asRecords: true }
  if (isConverted && data.kind !== 'list') return { tensors: [unnamedTensor(data, graph.inputs[0]!)], asRecords: false }
  if (data.kind === 'table') {
    const table = without(data, drop)
    return { tensors: fromTable(table, graph.inputs), asRecords: signature.signature === 'none' }
  }
  return { tensors: fromLists(data, graph.inputs, signature.signature !== 'none'), asRecords: false }
}

type Table = ScoringData & { kind: 'table' }
type Column = { name: string; values: unknown[] }

function without(table: Table, drop: readonly string[]): Table {
  if (drop.length === 0) return table
  const kept = table.columns.flatMap((name, index) => (drop.includes(name) ? [] : [index]))
  return {
    ...table,
    columns: kept.map((index) => table.columns[index]!),
    rows: table.rows.map((row) => kept.map((index) => row[index])),
  }
}

/** The signature's columns in its order, cast as it says; others are dropped. */
function columnsOf(data: ScoringData, wanted: readonly TensorFacts[], isConverted: boolean): Column[] {
  const given = givenColumns(data, wanted, isConverted)
  const lengths = new Set(wanted.map(({ name }) => given.get(name)?.length).filter((length) => length !== undefined))
  if (lengths.size > 1) throw new Unsuitable(`The columns differ in length: ${[...lengths].join(', ')} rows.`)
  return wanted.flatMap(({ name, columnType = 'any', required }) => {
    const values = given.get(name)
    if (!values) {
      // What may be left out by the signature the model of a library misses all the same.
      if (!required && isConverted) throw new MalformedBody(`The column "${name}" is missing, which the model refuses.`)
      if (!required) return []
      throw new Unsuitable(
        `Model is missing inputs ['${name}']: the request has the columns ${[...given.keys()].join(', ')}.`,
      )
    }
    return {
      name,
      values: values.map((value, row) => {
        if (isConverted && columnType === 'string' && !isObject(value)) return knownText(value)
        const cast = mlflowCast(columnType, value)
        if (cast !== undefined) return cast
        const problem = `Column "${name}", row ${row}: ${JSON.stringify(value)} is no ${columnType}.`
        // MLflow casts while it reads the body: what cannot be cast is malformed to it; that a list is no column it sees later.
        throw data.kind === 'named' && Array.isArray(value) && columnType !== 'boolean'
          ? new Unsuitable(problem)
          : new MalformedBody(problem)
      }),
    }
  })
}

export const cellTypes = ({ inputs }: ModelFacts): CellTypes =>
  new Map(
    inputs.flatMap(({ name, columnType }): [string, 'string' | 'boolean' | 'whole'][] => {
      if (columnType === 'string' || columnType === 'boolean') return [[name, columnType]]
      return columnType === 'integer' || columnType === 'long' ? [[name, 'whole']] : []
    }),
  )

/** A number is none of a model's texts, not even of those that it is written like: MLflow leaves numbers in columns of texts. */
const knownText = (value: unknown): string =>
  value === null ? missingText : typeof value === 'string' ? value : unknownText

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

function givenColumns(
  data: ScoringData,
  wanted: readonly TensorFacts[],
  isConverted: boolean,
): Map<string, readonly unknown[]> {
  if (data.kind === 'table') {
    const names = data.columns.length === 1 && wanted[0]?.unnamed ? [wanted[0].name] : data.columns
    const given = new Map<string, readonly unknown[]>()
    for (const [index, name] of names.entries()) {
      if (!given.has(name))
        given.set(
          name,
          data.rows.map((row) => row[index]),
        )
      // Of CSV the first counts: pandas calls the next one "NAME.1".
      else if (data.form !== 'csv' && wanted.some((one) => one.name === name))
        throw new Unsuitable(`The request has two columns "${name}".`)
    }
    return given
  }
  if (data.kind === 'named')
    return new Map(
      Object.entries(data.values).map(([name, values]) => [name, Array.isArray(values) ? values : [values]]),
    )
  const values = Array.isArray(data.values) ? data.values : [data.values]
  if (wanted.length === 1 && isConverted && (values !== data.values || values.some(Array.isArray)))
    throw new Unsuitable('The model takes one column: a list of values.')
  if (wanted.length === 1) return new Map([[wanted[0]!.name, values.flat(1)]])
  return new Map(Array.from({ length: widthOf(values) }, (_, at) => [String(at), values.map((row) => rowAt(row, at))]))
}

const widthOf = (values: readonly unknown[]): number => (Array.isArray(values[0]) ? values[0].length : 1)
const rowAt = (row: unknown, at: number): unknown => (Array.isArray(row) ? row[at] : row)

function fromColumns(columns: readonly Column[], inputs: readonly TensorFacts[]): Tensor[] {
  const [only] = inputs
  const rows = columns[0]?.values.length ?? 0
  if (inputs.length === 1 && only) {
    if (only.shape.length === 1 && columns.length === 1) return [columnTensor(only, columns[0]!.values)]
    const values = Array.from({ length: rows }, (_, row) => columns.map((column) => column.values[row])).flat()
    return [cellsTensor(only, [rows, columns.length], values)]
  }
  return inputs.map((input) => {
    const column = columns.find(({ name }) => name === input.name)
    if (!column) throw new Unsuitable(`The graph's input "${input.name}" is none of the signature's columns.`)
    return columnTensor(input, column.values)
  })
}

/** A graph that wants [n, 1] gets it from a column, which MLflow leaves to the model's author. */
const columnTensor = (input: TensorFacts, values: readonly unknown[]): Tensor =>
  cellsTensor(input, input.shape.length === 2 && input.shape[1] === 1 ? [values.length, 1] : [values.length], values)

/** Cells of a table, row major, as MLflow casts them. It takes infinity, and NaN for what is missing, in columns of floats. */
function cellsTensor({ name, datatype }: TensorFacts, shape: number[], cells: readonly unknown[]): Tensor {
  const isFloat = datatype === 'FP64' || datatype === 'FP32'
  if (isFloat && cells.every((cell) => cell === null || typeof cell === 'number')) {
    const values = cells.map((cell) => cell ?? Number.NaN) as number[]
    const numbers = datatype === 'FP64' ? Float64Array.from(values) : Float32Array.from(values)
    return { name, datatype, shape, bytes: Buffer.from(numbers.buffer) }
  }
  const isWhole = datatype.startsWith('INT') || datatype.startsWith('UINT')
  return { name, datatype, shape, bytes: bytesFromJson({ name, datatype, shape }, isWhole ? truncated(cells) : cells) }
}

/** A table for a model whose signature is one array without a name: as MLflow makes an array of it, or does not. */
function unnamedTensor(data: ScoringData & { kind: 'table' | 'named' }, input: TensorFacts): Tensor {
  if (data.kind === 'named')
    throw new (data.form === 'inputs' ? MalformedBody : Unsuitable)('The model takes one array without a name.')
  const { form, columns, rows } = data
  if (form === 'inputs' || (form !== 'dataframe' && (rows.length === 0 || input.datatype !== 'FP64')))
    throw new Unsuitable(`The model takes one array of ${input.datatype}; a table is none.`)
  const type = input.datatype.startsWith('FP') ? 'double' : 'long'
  const cells = rows.flat().map((value, at) => {
    const cast = mlflowCast(type, value)
    if (cast !== undefined) return cast
    const where = `Column "${columns[at % columns.length]}", row ${Math.floor(at / columns.length)}`
    throw new (form === 'dataframe' && !Array.isArray(value) ? MalformedBody : Unsuitable)(
      `${where}: ${JSON.stringify(value)} is no number.`,
    )
  })
  return cellsTensor(input, [rows.length, columns.length], cells)
}

function fromTable({ columns, rows }: Table, inputs: readonly TensorFacts[]): Tensor[] {
  const [only] = inputs
  if (inputs.length === 1 && only) return [tensorOf(only, only.shape.length === 1 ? rows.flat() : rows, true)]
  return inputs.map((input) => {
    const at = columns.indexOf(input.name)
    if (at < 0) throw new Unsuitable(`The column "${input.name}" is missing; the request has ${columns.join(', ')}.`)
    return columnTensor(
      input,
      rows.map((row) => row[at]),
    )
  })
}

function fromLists(
  data: ScoringData & { kind: 'list' | 'named' },
  inputs: readonly TensorFacts[],
  casts: boolean,
): Tensor[] {
  if (data.kind === 'list') {
    if (inputs.length !== 1)
      throw new Unsuitable(
        `One list cannot be mapped to the model's inputs ${inputs.map(({ name }) => name).join(', ')}; name them.`,
      )
    return [numbersTensor(inputs[0]!, data.numbers) ?? tensorOf(inputs[0]!, data.values, casts)]
  }
  const surplus = Object.keys(data.values).find((name) => !inputs.some((input) => input.name === name))
  if (surplus !== undefined)
    throw new Unsuitable(
      `The model has no input "${surplus}"; it takes ${inputs.map(({ name }) => `"${name}"`).join(', ')}.`,
    )
  return inputs.map((input) => {
    const values = data.values[input.name]
    if (values === undefined) throw new Unsuitable(`Model is missing inputs ['${input.name}'].`)
    return tensorOf(input, values, casts)
  })
}

/** Numbers as they stand; undefined where the datatype does not take them so. */
function numbersTensor({ name, datatype }: TensorFacts, numbers: NumberRows | undefined): Tensor | undefined {
  if (!numbers || !(datatype === 'FP64' || (datatype === 'FP32' && numbers.values.every(isSingle)))) return undefined
  const values = datatype === 'FP64' ? numbers.values : new Float32Array(numbers.values)
  return { name, datatype, shape: numbers.shape, bytes: Buffer.from(values.buffer) }
}

/** @param casts where a signature stands, MLflow casts 1.5 into a whole number; without one it is refused */
function tensorOf({ name, datatype }: TensorFacts, nested: unknown, casts: boolean): Tensor {
  const shape: number[] = []
  for (let level = nested; Array.isArray(level) && shape.length < 33; level = firstOf(level)) shape.push(level.length)
  const isInteger = datatype.startsWith('INT') || datatype.startsWith('UINT')
  const data = casts && isInteger ? truncated(nested) : nested
  const what = { name, datatype, shape }
  return { ...what, bytes: bytesFromJson(what, shape.length === 0 ? [data] : data) }
}

const truncated = (nested: unknown): unknown =>
  Array.isArray(nested) ? nested.map(truncated) : typeof nested === 'number' ? Math.trunc(nested) : nested

/** A record per row. MLflow flattens each output into a column; where they differ in length, which MLflow refuses, a row keeps its list. */
function records(tensors: readonly Tensor[], graph: ModelFacts): string {
  const all = tensors.map((tensor) => mapTexts(tensor, graph) ?? elementTexts(tensor))
  const isEven = new Set(all.map(({ length }) => length)).size === 1
  const columns = all.map((texts, at) => (isEven ? texts : rowTexts(texts, tensors[at]!.shape[0] ?? 1)))
  const names = tensors.map(({ name }) => JSON.stringify(name))
  const rows = columns[0]!.map((_, row) => `{${names.map((name, at) => `${name}: ${columns[at]![row]}`).join(', ')}}`)
  return `[${rows.join(', ')}]`
}

function rowTexts(texts: readonly string[], rows: number): string[] {
  const width = rows > 0 ? texts.length / rows : 0
  return Array.from({ length: rows }, (_, row) => {
    const own = texts.slice(row * width, (row + 1) * width)
    return own.length === 1 ? own[0]! : `[${own.join(', ')}]`
  })
}

/** Probabilities under their classes, a map per row; undefined where the graph names no classes. */
function mapTexts(tensor: Tensor, { outputs }: ModelFacts): string[] | undefined {
  const labels = outputs.find(({ name }) => name === tensor.name)?.labels
  if (!labels) return undefined
  const texts = elementTexts(tensor)
  return Array.from({ length: tensor.shape[0] ?? 0 }, (_, row) => {
    const entries = labels.map((label, at) => `${JSON.stringify(label)}: ${texts[row * labels.length + at]}`)
    return `{${entries.join(', ')}}`
  })
}

function outputsByName(tensors: readonly Tensor[], graph: ModelFacts): string {
  const named = tensors.map((tensor) => {
    const maps = mapTexts(tensor, graph)
    const text = maps ? `[${maps.join(', ')}]` : nestedText(elementTexts(tensor), tensor.shape)
    return `${JSON.stringify(tensor.name)}: ${text}`
  })
  return `{${named.join(', ')}}`
}

function nestedText(texts: readonly string[], shape: readonly number[]): string {
  if (shape.length === 0) return texts[0] ?? 'null'
  if (shape.length === 1) return `[${texts.join(', ')}]`
  const [count = 0, ...rest] = shape
  const size = elementCount(rest)
  const parts = Array.from({ length: count }, (_, at) => nestedText(texts.slice(at * size, (at + 1) * size), rest))
  return `[${parts.join(', ')}]`
}
