import type { ModelFacts, TensorFacts } from '../models/model-facts.ts'
import { type Datatype, shown, type Tensor } from '../tensor.ts'

/**
 * How the tensors of a request become the model's input:
 * `columns`: each tensor is a column; `matrix`: one tensor holds all columns in the signature's order; `tensors`: each is given
 * under its name; `one`: a single array without a name; `free`: the model has no signature, it takes what comes.
 */
export type Layout = 'columns' | 'matrix' | 'tensors' | 'one' | 'free'

export type Binding = { layout: Layout; tensors: Tensor[] } | { problem: string }

/**
 * Pure. Holds a request's tensors against what the model takes.
 * A column takes every datatype whose values it holds without loss; a tensor only its own, as MLflow and ONNX Runtime do.
 */
export function bindInputs(facts: Pick<ModelFacts, 'signature' | 'inputs'>, tensors: readonly Tensor[]): Binding {
  if (tensors.length === 0) return { problem: 'The request has no inputs.' }
  const twice = tensors.find((one, index) => tensors.findIndex(({ name }) => name === one.name) !== index)
  if (twice) return { problem: `The input "${twice.name}" is given twice.` }
  if (facts.signature === 'none') return { layout: 'free', tensors: [...tensors] }
  return facts.signature === 'columns' ? bindColumns(facts.inputs, tensors) : bindTensors(facts.inputs, tensors)
}

function bindColumns(columns: readonly TensorFacts[], tensors: readonly Tensor[]): Binding {
  const [only] = tensors
  if (tensors.length === 1 && only && isMatrixOf(columns, only)) {
    const wrong = columns.find((column) => !holds(column.datatype, only.datatype))
    return wrong ? { problem: wrongDatatype(only, wrong) } : { layout: 'matrix', tensors: [only] }
  }
  if (columns.length === 1 && columns[0]!.unnamed && tensors.length === 1)
    return bound(columns, [{ ...only!, name: columns[0]!.name }], columnProblem, 'columns')
  const binding = bound(columns, tensors, columnProblem, 'columns')
  if ('problem' in binding) return binding
  const rows = tensors[0]!.shape[0]
  const uneven = tensors.find((tensor) => tensor.shape[0] !== rows)
  return uneven
    ? {
        problem: `The inputs have different numbers of rows: "${tensors[0]!.name}" ${rows}, "${uneven.name}" ${uneven.shape[0]}.`,
      }
    : binding
}

/** Several columns of one datatype are often sent as one table of numbers, under a name of the client's own. */
const isMatrixOf = (columns: readonly TensorFacts[], { name, shape }: Tensor): boolean =>
  columns.length > 1 && shape.length === 2 && shape[1] === columns.length && !columns.some((one) => one.name === name)

function bindTensors(wanted: readonly TensorFacts[], tensors: readonly Tensor[]): Binding {
  const [only] = wanted
  if (wanted.length === 1 && only?.unnamed)
    return tensors.length === 1
      ? bound(wanted, [{ ...tensors[0]!, name: only.name }], tensorProblem, 'one')
      : { problem: `The model takes one tensor; the request holds ${tensors.length}.` }
  return bound(wanted, tensors, tensorProblem, 'tensors')
}

function bound(
  wanted: readonly TensorFacts[],
  tensors: readonly Tensor[],
  problemOf: (wanted: TensorFacts, tensor: Tensor) => string | undefined,
  layout: Layout,
): Binding {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  const names = wanted.map(({ name }) => `"${name}"`).join(', ')
  for (const one of wanted)
    if (one.required && !byName.has(one.name))
      return { problem: `The input "${one.name}" is missing; the model takes ${names}.` }
  for (const tensor of tensors) {
    const one = wanted.find(({ name }) => name === tensor.name)
    if (!one) return { problem: `The model has no input "${tensor.name}"; it takes ${names}.` }
    const problem = problemOf(one, tensor)
    if (problem) return { problem }
  }
  return { layout, tensors: wanted.flatMap(({ name }) => byName.get(name) ?? []) }
}

function columnProblem(column: TensorFacts, tensor: Tensor): string | undefined {
  if (!holds(column.datatype, tensor.datatype)) return wrongDatatype(tensor, column)
  const { shape } = tensor
  if (shape.length === 1 || (shape.length === 2 && shape[1] === 1)) return undefined
  return `The input "${column.name}" is one column of shape [n] or [n, 1]; the request's has the shape ${shown(shape)}.`
}

function tensorProblem(wanted: TensorFacts, tensor: Tensor): string | undefined {
  if (tensor.datatype !== wanted.datatype) return wrongDatatype(tensor, wanted)
  const fits =
    tensor.shape.length === wanted.shape.length &&
    wanted.shape.every((size, index) => size < 0 || size === tensor.shape[index])
  return fits
    ? undefined
    : `The input "${wanted.name}" has the shape ${shown(wanted.shape)} (-1 is any size); the request's has ${shown(tensor.shape)}.`
}

const wrongDatatype = (tensor: Tensor, wanted: TensorFacts): string =>
  `The input "${wanted.name}" is of ${wanted.datatype}; the request's is ${tensor.datatype}.`

const small: Datatype[] = ['INT8', 'INT16', 'UINT8', 'UINT16']
const withoutLoss: Partial<Record<Datatype, readonly Datatype[]>> = {
  FP64: ['FP32', 'FP16', 'BF16', ...small, 'INT32', 'UINT32', 'INT64', 'UINT64'],
  FP32: ['FP16', 'BF16', ...small],
  INT64: [...small, 'INT32', 'UINT32'],
  INT32: small,
}

/** Whether a column holds every value of the other datatype; NumPy's rule of safe casts. */
const holds = (column: Datatype, given: Datatype): boolean =>
  column === given || (withoutLoss[column]?.includes(given) ?? false)
