import { joinedElements, type Tensor } from '../tensor.ts'

/** How the values were found; part of the API. */
export type Method = {
  /**
   * `tree path-dependent`, `tree interventional`, `linear`: exact, of the model's own sum before its link;
   * `all coalitions`: exact, by asking the model; `sampled orders`: by asking it, estimated.
   */
  name: 'tree path-dependent' | 'tree interventional' | 'linear' | 'all coalitions' | 'sampled orders'
  /** What the values add up to: the sum before a link (margins, log-odds), or what the model answers. */
  of: 'raw score' | 'prediction'
  /** Rows of the input example that stand for what is usual; 0 where none was needed. */
  backgroundRows: number
  /** Questions that the model was asked per row. */
  questions?: number
}

/** For each row: base + the sum of its features' values = what is explained. */
export type Explanation = {
  rows: number
  features: readonly string[]
  /** The names of what is explained, where it is several numbers per row (classes). */
  outputs: readonly string[] | undefined
  /** [rows × outputs] */
  base: Float64Array
  /** [rows × features × outputs] */
  values: Float64Array
  method: Method
}

export const widthOf = ({ outputs }: Pick<Explanation, 'outputs'>): number => outputs?.length ?? 1

/** As outputs of the Open Inference Protocol: `explanations` [rows, features(, outputs)], `base_values` [rows(, outputs)] and the names. */
export function explanationTensors(explanation: Explanation): Tensor[] {
  const { rows, features, outputs, base, values, method } = explanation
  const last = outputs ? [outputs.length] : []
  const tensors: Tensor[] = [
    { ...numbers('explanations', [rows, features.length, ...last], values), parameters: methodFacts(method) },
    numbers('base_values', [rows, ...last], base),
    texts('explanation_features', features),
  ]
  return outputs ? [...tensors, texts('explanation_outputs', outputs)] : tensors
}

const numbers = (name: string, shape: number[], values: Float64Array): Tensor => ({
  name,
  datatype: 'FP64',
  shape,
  bytes: Buffer.from(values.buffer, values.byteOffset, values.byteLength),
})

const texts = (name: string, values: readonly string[]): Tensor => ({
  name,
  datatype: 'BYTES',
  shape: [values.length],
  bytes: joinedElements(values.map((value) => Buffer.from(value))),
})

const methodFacts = ({ name, of, backgroundRows, questions }: Method) => ({
  method: name,
  of,
  background_rows: backgroundRows,
  ...(questions === undefined ? {} : { questions }),
})

/** Put into an answer of MLflow's protocol, whose last sign is the brace that ends it. */
export function withExplanations(answer: Buffer, explanation: Explanation): Buffer {
  const end = answer.lastIndexOf('}')
  const more = JSON.stringify({ explanations: rowsOf(explanation), explained_by: methodFacts(explanation.method) })
  return Buffer.concat([answer.subarray(0, end), Buffer.from(`, ${more.slice(1)}`)])
}

function rowsOf(explanation: Explanation): object[] {
  const { rows, features, outputs, base, values } = explanation
  const width = widthOf(explanation)
  const told = (from: Float64Array, at: number) =>
    outputs ? Object.fromEntries(outputs.map((name, output) => [name, from[at * width + output]])) : from[at]
  return Array.from({ length: rows }, (_, row) => ({
    base: told(base, row),
    values: Object.fromEntries(features.map((name, feature) => [name, told(values, row * features.length + feature)])),
  }))
}
