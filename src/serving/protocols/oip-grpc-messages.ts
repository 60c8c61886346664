import { bytesFromJson } from '../models/tensor-json.ts'
import { badRequest, invalidInput } from '../scoring-error.ts'
import {
  bytesElements,
  type Datatype,
  datatypeNames,
  elementCount,
  isDatatype,
  joinedElements,
  numbersOf,
  type Parameters,
  sizeProblem,
  type Tensor,
} from '../tensor.ts'
import type { OipRequest } from './oip-request.ts'
import type { OipAnswer } from './oip-response.ts'
import { chosen } from './oip-response.ts'

/** A 64-bit integer as protobuf reads it: a number, or an object of two halves that writes itself. */
type Wide = number | { toString(): string }

type InferParameter = {
  bool_param?: boolean
  int64_param?: Wide
  string_param?: string
  double_param?: number
  uint64_param?: Wide
}
type ParameterMap = Record<string, InferParameter>

export type InferMessage = {
  model_name: string
  model_version: string
  id: string
  parameters: ParameterMap
  inputs: InferTensorMessage[]
  outputs: { name: string; parameters: ParameterMap }[]
  raw_input_contents: Buffer[]
}

type InferTensorMessage = {
  name: string
  datatype: string
  shape: Wide[]
  parameters: ParameterMap
  contents?: Record<string, unknown[]> | null
}

/** @throws ScoringError 400 */
export function readInferMessage(message: InferMessage): OipRequest {
  const { inputs, raw_input_contents: raw } = message
  if (inputs.length === 0) throw badRequest('The request must have at least one input.')
  if (raw.length > 0 && raw.length !== inputs.length)
    throw badRequest(`The request has ${inputs.length} inputs and ${raw.length} raw_input_contents.`)
  return {
    ...(message.id === '' ? {} : { id: message.id }),
    parameters: parametersOf(message.parameters),
    tensors: inputs.map((input, index) => tensorOf(input, raw[index])),
    ...(message.outputs.length > 0 ? { outputs: message.outputs.map(({ name }) => ({ name })) } : {}),
    binaryOutput: raw.length > 0,
  }
}

function tensorOf(input: InferTensorMessage, raw: Buffer | undefined): Tensor {
  const { name, datatype } = input
  if (!isDatatype(datatype))
    throw invalidInput(`Input "${name}" is of the datatype "${datatype}"; there are: ${datatypeNames}.`)
  const shape = input.shape.map(Number)
  if (Number.isNaN(elementCount(shape)))
    throw invalidInput(`Input "${name}": its shape must be a list of whole numbers from 0.`)
  const parameters = parametersOf(input.parameters)
  const what = { name, datatype, shape, ...(Object.keys(parameters).length > 0 ? { parameters } : {}) }
  const bytes = raw ? Buffer.from(raw) : contentBytes(what, input.contents ?? {})
  const problem = sizeProblem({ ...what, bytes })
  if (problem) throw invalidInput(`Input "${name}": ${problem}.`)
  return { ...what, bytes }
}

const contentsOf: Record<Datatype, string | undefined> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
  FP16: undefined,
  BF16: undefined,
}

function contentBytes(what: Omit<Tensor, 'bytes'>, contents: Record<string, unknown[]>): Buffer {
  const { name, datatype } = what
  const field = contentsOf[datatype]
  if (field === undefined) throw badRequest(`Input "${name}": ${datatype} travels in raw_input_contents only.`)
  const elements = contents[field] ?? []
  if (datatype === 'BYTES') return joinedElements(elements as Buffer[])
  const isWide = datatype === 'INT64' || datatype === 'UINT64'
  if (!isWide && datatype.startsWith('FP')) return floatBytes(what, elements as number[])
  return bytesFromJson(what, isWide ? elements.map((one) => BigInt(String(one))) : elements)
}

/** Unlike JSON, protobuf carries NaN and infinity. */
function floatBytes(what: Omit<Tensor, 'bytes'>, elements: readonly number[]): Buffer {
  const size = what.datatype === 'FP32' ? 4 : 8
  const bytes = Buffer.alloc(elements.length * size)
  for (const [index, element] of elements.entries())
    if (size === 4) bytes.writeFloatLE(element, index * 4)
    else bytes.writeDoubleLE(element, index * 8)
  return bytes
}

const parametersOf = (map: ParameterMap): Parameters =>
  Object.fromEntries(Object.entries(map).map(([name, value]) => [name, parameterValue(value)]))

function parameterValue({
  bool_param,
  int64_param,
  string_param,
  double_param,
  uint64_param,
}: InferParameter): unknown {
  const wide = int64_param ?? uint64_param
  return bool_param ?? string_param ?? double_param ?? (wide === undefined ? undefined : Number(wide))
}

/** Answers in the form in which the question came: raw bytes, or lists; half floats have no lists. */
export function writeInferMessage(answer: OipAnswer): object {
  const outputs = chosen(answer.tensors, answer.outputs).map(([tensor]) => tensor)
  const isRaw = answer.binaryOutput || outputs.some(({ datatype }) => contentsOf[datatype] === undefined)
  return {
    model_name: answer.model,
    model_version: answer.version,
    id: answer.id,
    outputs: outputs.map((tensor) => ({
      name: tensor.name,
      datatype: tensor.datatype,
      shape: tensor.shape,
      parameters: parameterMap(tensor.parameters ?? {}),
      ...(isRaw ? {} : { contents: listContents(tensor) }),
    })),
    raw_output_contents: isRaw ? outputs.map(({ bytes }) => bytes) : [],
  }
}

const parameterMap = (parameters: Parameters): ParameterMap =>
  Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, { string_param: String(value) }]))

function listContents(tensor: Tensor): object {
  const field = contentsOf[tensor.datatype]!
  if (tensor.datatype === 'BYTES') return { [field]: bytesElements(tensor.bytes) ?? [] }
  const numbers: Iterable<number | bigint> = numbersOf(tensor)
  const isUnsigned = tensor.datatype === 'UINT64'
  return {
    [field]: Array.from(numbers, (one) =>
      typeof one === 'bigint' ? halves(one, isUnsigned) : tensor.datatype === 'BOOL' ? one !== 0 : one,
    ),
  }
}

/** A 64-bit integer in the form that protobufjs writes without loss. */
const halves = (value: bigint, unsigned: boolean): { low: number; high: number; unsigned: boolean } => ({
  low: Number(BigInt.asIntN(32, value)),
  high: Number(BigInt.asIntN(32, value >> 32n)),
  unsigned,
})
