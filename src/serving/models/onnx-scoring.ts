import { bindInputs } from '../decide/bind-inputs.ts'
import { mlflowCast } from '../decide/mlflow-cast.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import type { InferAnswer, Refusal, ScoreAnswer, ScoreQuestion } from './model-backend.ts'
import type { ModelFacts, TensorFacts } from './model-facts.ts'
import { MalformedBody, readScoringData, type ScoringData } from './scoring-data.ts'
import { bytesFromJson, elementTexts } from './tensor-json.ts'

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
    const data = await readScoringData(question)
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

function feedsOf(data: ScoringData, drop: readonly string[], { graph, signature }: Parts) {
  if (signature.signature === 'columns')
    return { tensors: fromColumns(columnsOf(data, signature.inputs), graph.inputs), asRecords: true }
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
function columnsOf(data: ScoringData, wanted: readonly TensorFacts[]): Column[] {
  const given = givenColumns(data, wanted)
  return wanted.flatMap(({ name, columnType = 'any', required }) => {
    const values = given.get(name)
    if (!values) {
      if (!required) return []
      throw new Unsuitable(
        `Model is missing inputs ['${name}']: the request has the columns ${[...given.keys()].join(', ')}.`,
      )
    }
    return {
      name,
      values: values.map((value, row) => {
        const cast = mlflowCast(columnType, value)
        if (cast === undefined)
          throw new Unsuitable(`Column "${name}", row ${row}: ${JSON.stringify(value)} is no ${columnType}.`)
        return cast
      }),
    }
  })
}

function givenColumns(data: ScoringData, wanted: readonly TensorFacts[]): Map<string, readonly unknown[]> {
  if (data.kind === 'table') {
    const names = data.columns.length === 1 && wanted[0]?.unnamed ? [wanted[0].name] : data.columns
    return new Map(names.map((name, index) => [name, data.rows.map((row) => row[index])]))
  }
  if (data.kind === 'named')
    return new Map(
      Object.entries(data.values).map(([name, values]) => [name, Array.isArray(values) ? values : [values]]),
    )
  const values = Array.isArray(data.values) ? data.values : [data.values]
  if (wanted.length === 1) return new Map([[wanted[0]!.name, values.flat(1)]])
  return new Map(Array.from({ length: widthOf(values) }, (_, at) => [String(at), values.map((row) => rowAt(row, at))]))
}

const widthOf = (values: readonly unknown[]): number => (Array.isArray(values[0]) ? values[0].length : 1)
const rowAt = (row: unknown, at: number): unknown => (Array.isArray(row) ? row[at] : row)

function fromColumns(columns: readonly Column[], inputs: readonly TensorFacts[]): Tensor[] {
  const [only] = inputs
  const rows = columns[0]?.values.length ?? 0
  if (inputs.length === 1 && only) {
    const matrix = Array.from({ length: rows }, (_, row) => columns.map(({ values }) => values[row]))
    return [tensorOf(only, columns.length === 1 && only.shape.length === 1 ? matrix.flat() : matrix, true)]
  }
  return inputs.map((input) => {
    const column = columns.find(({ name }) => name === input.name)
    if (!column) throw new Unsuitable(`The graph's input "${input.name}" is none of the signature's columns.`)
    return columnTensor(input, column.values)
  })
}

/** A graph that wants [n, 1] gets it from a column, which MLflow leaves to the model's author. */
const columnTensor = (input: TensorFacts, values: readonly unknown[]): Tensor =>
  tensorOf(input, input.shape.length === 2 && input.shape[1] === 1 ? values.map((value) => [value]) : values, true)

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
    return [tensorOf(inputs[0]!, data.values, casts)]
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

/** @param casts where a signature stands, MLflow casts 1.5 into a whole number; without one it is refused */
function tensorOf({ name, datatype }: TensorFacts, nested: unknown, casts: boolean): Tensor {
  const shape: number[] = []
  for (let level = nested; Array.isArray(level) && shape.length < 33; level = level[0]) shape.push(level.length)
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
