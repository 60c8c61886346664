import type { ModelFacts, TensorFacts } from '../models/model-facts.ts'
import type { Datatype } from '../tensor.ts'

/** A body of `/invocations` that the model's signature allows; nothing is made up where there is no signature. */
export function exampleScoring({ signature, inputs }: ModelFacts): object {
  if (signature === 'columns')
    return {
      dataframe_split: { columns: inputs.map(({ name }) => name), data: [inputs.map((one) => exampleCell(one))] },
    }
  const [only] = inputs
  if (!only) return { inputs: [[1, 2, 3]] }
  if (inputs.length === 1) return { inputs: nested(shapeOf(only), exampleElement(only.datatype)) }
  return {
    inputs: Object.fromEntries(inputs.map((one) => [one.name, nested(shapeOf(one), exampleElement(one.datatype))])),
  }
}

/** A body of `/v2/models/NAME/infer`. */
export function exampleInference({ inputs }: ModelFacts): object {
  const taken: TensorFacts[] =
    inputs.length > 0 ? inputs : [{ name: 'input-0', datatype: 'FP64', shape: [1, 3], required: true }]
  return {
    inputs: taken.map((one) => {
      const shape = shapeOf(one)
      const count = shape.reduce((product, size) => product * size, 1)
      return {
        name: one.name,
        shape,
        datatype: one.datatype,
        data: Array.from({ length: count }, () => exampleElement(one.datatype)),
      }
    }),
  }
}

const shapeOf = ({ shape }: TensorFacts): number[] => shape.map((size) => (size < 0 ? 1 : size))

const exampleElement = (datatype: Datatype): unknown =>
  datatype === 'BYTES'
    ? 'text'
    : datatype === 'BOOL'
      ? true
      : datatype.startsWith('FP') || datatype === 'BF16'
        ? 0.5
        : 1

function exampleCell({ columnType, datatype }: TensorFacts): unknown {
  if (columnType === 'datetime') return '2026-01-31T12:00:00'
  if (columnType === 'binary') return 'aGVsbG8='
  return exampleElement(datatype)
}

function nested([size, ...rest]: number[], element: unknown): unknown {
  if (size === undefined) return element
  return Array.from({ length: size }, () => nested(rest, element))
}
