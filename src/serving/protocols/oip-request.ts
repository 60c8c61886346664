import { messageOf } from '../../kernel/errors.ts'
import { isObject } from '../../kernel/is-object.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { bytesFromJson, needsExactIntegers } from '../models/tensor-json.ts'
import { badRequest, invalidInput } from '../scoring-error.ts'
import {
  type Datatype,
  datatypeNames,
  elementCount,
  isDatatype,
  joinedElements,
  type Parameters,
  sizeOf,
  sizeProblem,
  type Tensor,
} from '../tensor.ts'

/** An inference request, whichever form it came in. */
export type OipRequest = {
  id?: string
  parameters: Parameters
  tensors: Tensor[]
  /** Undefined: all outputs. */
  outputs?: RequestedOutput[]
  /** Outputs that do not say otherwise travel in binary. */
  binaryOutput: boolean
}

export type RequestedOutput = { name: string; binary?: boolean }

type Row = Record<string, unknown>

/**
 * JSON, with binary tensors behind it where the header `Inference-Header-Content-Length` says where the JSON ends. Only that header
 * decides: clients send whatever Content-Type their library likes.
 * @throws ScoringError 400
 */
export function readOipRequest(body: Buffer, jsonLength: string | undefined, facts: ModelFacts): OipRequest {
  if (jsonLength === undefined) return requestOf(parseJson(body), undefined)
  const length = /^\d{1,15}$/.test(jsonLength) ? Number(jsonLength) : Number.NaN
  if (!(length <= body.length))
    throw badRequest(`Inference-Header-Content-Length is "${jsonLength}"; the body has ${body.length} bytes.`)
  if (length === 0) return rawRequest(body, facts)
  return requestOf(parseJson(body.subarray(0, length)), body.subarray(length))
}

function parseJson(json: Buffer): { written: Row; text: string } {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(json)
  } catch {
    throw badRequest('The request is not valid UTF-8.')
  }
  try {
    const written: unknown = JSON.parse(text)
    if (isObject(written)) return { written, text }
  } catch (error) {
    const hint = /\b(NaN|-?Infinity)\b/.test(text) ? ' JSON has no NaN or Infinity; binary tensors have.' : ''
    throw badRequest(`The request is not valid JSON: ${messageOf(error).slice(0, 200)}.${hint}`)
  }
  throw badRequest('The request must be a JSON object with "inputs".')
}

function requestOf({ written, text }: { written: Row; text: string }, binary: Buffer | undefined): OipRequest {
  const { id } = written
  if (id !== undefined && id !== null && typeof id !== 'string') throw badRequest('"id" must be a string.')
  const parameters = parametersOf(written.parameters, 'The request')
  const outputs = outputsOf(written.outputs)
  return {
    ...(typeof id === 'string' && id !== '' ? { id } : {}),
    parameters,
    tensors: tensorsOf(written, text, binary),
    ...(outputs ? { outputs } : {}),
    binaryOutput: parameters.binary_data_output === true,
  }
}

function outputsOf(written: unknown): RequestedOutput[] | undefined {
  if (written === undefined || written === null) return undefined
  if (!Array.isArray(written)) throw badRequest('"outputs" must be a list.')
  if (written.length === 0) return undefined
  return written.map((output: unknown) => {
    if (!isObject(output) || typeof output.name !== 'string')
      throw badRequest('Each of "outputs" must be an object with a "name".')
    const parameters = parametersOf(output.parameters, `Output "${output.name}"`)
    return {
      name: output.name,
      ...(typeof parameters.binary_data === 'boolean' ? { binary: parameters.binary_data } : {}),
    }
  })
}

const notServed = ['shared_memory_region', 'classification', 'sequence_id']

function parametersOf(written: unknown, of: string): Parameters {
  if (written === undefined || written === null) return {}
  if (!isObject(written)) throw badRequest(`${of}: "parameters" must be an object.`)
  const refused = notServed.find((name) => written[name] !== undefined && written[name] !== 0 && written[name] !== '')
  if (refused) throw badRequest(`${of}: the parameter "${refused}" is of an extension that is not served here.`)
  return written
}

function tensorsOf(written: Row, text: string, binary: Buffer | undefined): Tensor[] {
  if (!Array.isArray(written.inputs) || written.inputs.length === 0)
    throw badRequest('The request must have a list "inputs" with at least one tensor.')
  let inputs: unknown[] = written.inputs
  // JSON.parse rounds integers beyond 2^53: they are read again, digit by digit.
  if (inputs.some(isRounded)) inputs = exactInputs(text)
  const reader = { binary, at: 0 }
  const tensors = inputs.map((input) => tensorOf(input, reader))
  if (binary && reader.at < binary.length)
    throw badRequest(
      `${binary.length} bytes follow the JSON; the inputs' binary_data_size account for ${reader.at} of them.`,
    )
  return tensors
}

type BinaryReader = { binary: Buffer | undefined; at: number }

function tensorOf(input: unknown, reader: BinaryReader): Tensor {
  if (!isObject(input) || typeof input.name !== 'string')
    throw badRequest('Each of "inputs" must be an object with name, shape, datatype and data.')
  const { name, shape, datatype } = input
  if (!isDatatype(datatype))
    throw invalidInput(`Input "${name}" is of the datatype ${JSON.stringify(datatype)}; there are: ${datatypeNames}.`)
  if (!Array.isArray(shape) || Number.isNaN(elementCount(shape)))
    throw invalidInput(`Input "${name}": its shape must be a list of whole numbers from 0.`)
  const parameters = parametersOf(input.parameters, `Input "${name}"`)
  const what = { name, datatype, shape: shape as number[], ...(input.parameters ? { parameters } : {}) }
  const size = parameters.binary_data_size
  if (size === undefined) return { ...what, bytes: bytesFromJson(what, input.data) }
  if (input.data !== undefined) throw badRequest(`Input "${name}" has both data and binary_data_size.`)
  const bytes = nextBytes(name, size, reader)
  const problem = sizeProblem({ ...what, bytes })
  if (problem) throw invalidInput(`Input "${name}": ${problem}.`)
  return { ...what, bytes }
}

function nextBytes(name: string, size: unknown, reader: BinaryReader): Buffer {
  if (!Number.isSafeInteger(size) || (size as number) < 0)
    throw badRequest(`Input "${name}": binary_data_size must be a number of bytes.`)
  const { binary, at } = reader
  if (!binary)
    throw badRequest(
      `Input "${name}" has a binary_data_size, but the header Inference-Header-Content-Length is missing, which says where binary data begin.`,
    )
  const end = at + (size as number)
  if (end > binary.length)
    throw badRequest(
      `Input "${name}" says binary_data_size ${size}; ${binary.length - at} bytes are left of the request.`,
    )
  reader.at = end
  return binary.subarray(at, end)
}

/** The whole body is the one input's content: of one shape only, so at most one size may be open besides that of the batch, which is 1. */
function rawRequest(body: Buffer, { inputs }: ModelFacts): OipRequest {
  const [only] = inputs
  if (inputs.length !== 1 || !only)
    throw badRequest(`A raw binary request needs a model with one input; this one has ${inputs.length}.`)
  const shape = rawShape(only, body.length)
  const bytes = only.datatype === 'BYTES' ? joinedElements([body]) : body
  const tensor: Tensor = { name: only.name, datatype: only.datatype, shape, bytes }
  const problem = sizeProblem(tensor)
  if (problem) throw invalidInput(`The raw binary request is no "${only.name}": ${problem}.`)
  return { parameters: {}, tensors: [tensor], binaryOutput: true }
}

function rawShape({ name, datatype, shape }: { name: string; datatype: Datatype; shape: number[] }, bytes: number) {
  if (datatype === 'BYTES') return shape.map(() => 1)
  const open = shape.filter((size) => size < 0).length
  const fixed = open > 1 && shape[0]! < 0 ? shape.with(0, 1) : shape
  const openAt = fixed.findIndex((size) => size < 0)
  if (fixed.filter((size) => size < 0).length > 1)
    throw badRequest(`A raw binary request cannot say the shape of "${name}": several of its sizes are open.`)
  if (openAt < 0) return fixed
  const rest = elementCount(fixed.with(openAt, 1)) * sizeOf(datatype)
  return fixed.with(openAt, rest > 0 ? Math.floor(bytes / rest) : 0)
}

function isRounded(input: unknown): boolean {
  if (!isObject(input) || !isDatatype(input.datatype) || !needsExactIntegers(input.datatype)) return false
  return Array.isArray(input.data) && input.data.flat(8).some((one) => typeof one === 'number' && !isExact(one))
}

const isExact = (value: number): boolean => Number.isSafeInteger(value) || !Number.isInteger(value)

type ReviverWithSource = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown

function exactInputs(text: string): unknown[] {
  const exactly: ReviverWithSource = (_, value, { source }) =>
    typeof value === 'number' && !isExact(value) && source && /^-?\d+$/.test(source) ? BigInt(source) : value
  return (JSON.parse(text, exactly as (key: string, value: unknown) => unknown) as { inputs: unknown[] }).inputs
}
