import protobuf from 'protobufjs'
import type { TensorFacts } from '../models/model-facts.ts'
import { type Datatype, halfFromBits } from '../tensor.ts'

/** What explanations read of a file of ONNX. */
export type OnnxGraph = {
  nodes: readonly GraphNode[]
  /** Constants: initializers and nodes Constant, whose values lie in the file itself. */
  constants: ReadonlyMap<string, Constant>
  inputs: readonly TensorFacts[]
  outputs: readonly string[]
}

export type GraphNode = {
  /** Its place among the file's nodes. */
  index: number
  kind: string
  inputs: readonly string[]
  outputs: readonly string[]
  attributes: ReadonlyMap<string, Attribute>
}

export type Attribute = {
  number: number
  text: string
  numbers: readonly number[]
  texts: readonly string[]
  tensor?: Constant
}
export type Constant = { shape: readonly number[]; numbers: readonly number[] }

const types = protobuf.parse(
  `
syntax = "proto3";
message Tensor {
  repeated int64 dims = 1; int32 data_type = 2; repeated float float_data = 4; repeated int32 int32_data = 5; repeated int64 int64_data = 7;
  string name = 8; bytes raw_data = 9; repeated double double_data = 10; int32 data_location = 14;
}
message Attribute {
  string name = 1; float f = 2; int64 i = 3; bytes s = 4; Tensor t = 5; repeated float floats = 7; repeated int32 ints = 8;
  repeated bytes strings = 9;
}
message WideAttribute { string name = 1; repeated int64 ints = 8; }
message Node {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; repeated bytes attribute = 5;
}
message Dim { int64 dim_value = 1; string dim_param = 2; }
message Shape { repeated Dim dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; Type type = 2; }
message Graph { repeated Node node = 1; repeated Tensor initializer = 5; repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
message Model { Graph graph = 7; }
`,
  { keepCase: true },
).root
const modelType = types.lookupType('Model')
const attributeType = types.lookupType('Attribute')
const wideType = types.lookupType('WideAttribute')
const tensorType = types.lookupType('Tensor')
const valueType = types.lookupType('ValueInfo')

type Wide = number | { toString(): string }
type TensorMessage = {
  dims: Wide[]
  data_type: number
  float_data: number[]
  int32_data: number[]
  int64_data: Wide[]
  double_data: number[]
  name: string
  raw_data: Uint8Array
  data_location: number
}
type AttributeMessage = {
  name: string
  f: number
  i: Wide
  s: Uint8Array
  t: TensorMessage | null
  floats: number[]
  ints: number[]
  strings: Uint8Array[]
}
type NodeMessage = { input: string[]; output: string[]; op_type: string; attribute: Uint8Array[] }
type ValueMessage = {
  name: string
  type?: { tensor_type?: { elem_type: number; shape?: { dim: { dim_value: Wide; dim_param: string }[] } } }
}
type ModelMessage = {
  graph: { node: NodeMessage[]; initializer: TensorMessage[]; input: ValueMessage[]; output: ValueMessage[] }
}

/** ONNX's numbers of element types. */
const datatypes: Record<number, Datatype> = {
  1: 'FP32',
  2: 'UINT8',
  3: 'INT8',
  4: 'UINT16',
  5: 'INT16',
  6: 'INT32',
  7: 'INT64',
  8: 'BYTES',
  9: 'BOOL',
  10: 'FP16',
  11: 'FP64',
  12: 'UINT32',
  13: 'UINT64',
  16: 'BF16',
}

/** @throws Error where the bytes are no protobuf, or an input is no tensor */
export function readOnnx(file: Uint8Array): OnnxGraph {
  const { graph } = modelType.decode(file) as unknown as ModelMessage
  const constants = new Map<string, Constant>()
  for (const tensor of graph.initializer) {
    const constant = constantOf(tensor)
    if (constant) constants.set(tensor.name, constant)
  }
  const nodes = graph.node.map((node, index) => nodeOf(node, index))
  for (const { kind, outputs, attributes } of nodes) {
    const value = kind === 'Constant' ? attributes.get('value')?.tensor : undefined
    if (value && outputs[0]) constants.set(outputs[0], value)
  }
  const initialised = new Set(graph.initializer.map(({ name }) => name))
  return {
    nodes,
    constants,
    inputs: graph.input.filter(({ name }) => !initialised.has(name)).map(inputOf),
    outputs: graph.output.map(({ name }) => name),
  }
}

function nodeOf({ op_type, input, output, attribute }: NodeMessage, index: number): GraphNode {
  const attributes = attribute.map((content): [string, Attribute] => {
    const one = attributeType.decode(content) as unknown as AttributeMessage
    const tensor = one.t ? constantOf(one.t) : undefined
    return [
      one.name,
      {
        number: one.f !== 0 ? one.f : whole(one.i),
        text: Buffer.from(one.s).toString('utf8'),
        numbers: one.floats.length > 0 ? one.floats : intsOf(one, content),
        texts: textsOf(one.strings),
        ...(tensor ? { tensor } : {}),
      },
    ]
  })
  return { index, kind: op_type, inputs: input, outputs: output, attributes: new Map(attributes) }
}

/** Ids and places of trees come by the hundred thousand and fit in 32 bits; labels of classes need not. */
const intsOf = ({ name, ints }: AttributeMessage, content: Uint8Array): number[] =>
  name.startsWith('classlabels') ? (wideType.decode(content) as unknown as { ints: Wide[] }).ints.map(whole) : ints

/** Mostly the same few words, again and again. */
function textsOf(strings: readonly Uint8Array[]): string[] {
  let last = Buffer.alloc(0)
  let text = ''
  return strings.map((bytes) => {
    if (last.equals(bytes)) return text
    last = Buffer.from(bytes)
    text = last.toString('utf8')
    return text
  })
}

const whole = (value: Wide): number => Number(String(value))

/** Undefined for texts, and for values that lie in a file of their own. */
function constantOf(tensor: TensorMessage): Constant | undefined {
  const { raw_data: raw, data_type, data_location } = tensor
  const datatype = datatypes[data_type]
  if (!datatype || datatype === 'BYTES' || datatype === 'BF16' || data_location !== 0) return undefined
  const shape = tensor.dims.map(whole)
  if (raw.length > 0) return { shape, numbers: rawNumbers(raw, datatype) }
  const listed = [tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data.map(whole)]
  const numbers = listed.find(({ length }) => length > 0) ?? []
  return { shape, numbers: datatype === 'FP16' ? numbers.map(halfFromBits) : numbers }
}

type NumberReader = (view: DataView, at: number) => number
const readers: Partial<Record<Datatype, [size: number, NumberReader]>> = {
  BOOL: [1, (view, at) => view.getUint8(at)],
  UINT8: [1, (view, at) => view.getUint8(at)],
  INT8: [1, (view, at) => view.getInt8(at)],
  UINT16: [2, (view, at) => view.getUint16(at, true)],
  INT16: [2, (view, at) => view.getInt16(at, true)],
  FP16: [2, (view, at) => halfFromBits(view.getUint16(at, true))],
  UINT32: [4, (view, at) => view.getUint32(at, true)],
  INT32: [4, (view, at) => view.getInt32(at, true)],
  FP32: [4, (view, at) => view.getFloat32(at, true)],
  INT64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  UINT64: [8, (view, at) => Number(view.getBigUint64(at, true))],
  FP64: [8, (view, at) => view.getFloat64(at, true)],
}

function rawNumbers(raw: Uint8Array, datatype: Datatype): number[] {
  const [size, read] = readers[datatype]!
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  return Array.from({ length: Math.floor(raw.length / size) }, (_, at) => read(view, at * size))
}

function inputOf({ name, type }: ValueMessage): TensorFacts {
  const tensor = type?.tensor_type
  const datatype = tensor && datatypes[tensor.elem_type]
  if (!tensor || !datatype) throw new Error(`the input "${name}" is no tensor`)
  const shape = (tensor.shape?.dim ?? []).map(({ dim_value, dim_param }) =>
    dim_param === '' ? whole(dim_value) || -1 : -1,
  )
  return { name, datatype, shape, required: true }
}

const fields = { modelGraph: 7, node: 1, initializer: 5, output: 12 }

/**
 * The file with other outputs: only those nodes and constants stay that lead to them. All that stays is copied byte by byte.
 * @param names tensors inside the graph
 */
export function withOutputs(file: Uint8Array, graph: OnnxGraph, names: readonly string[]): Uint8Array {
  const kept = ancestors(graph, names)
  const tensors = new Set([...names, ...kept.flatMap(({ inputs }) => inputs)])
  const nodes = new Set(kept.map(({ index }) => index))
  let node = 0
  const ends = names.map((name) => ({ field: fields.output, content: valueType.encode({ name }).finish() }))
  return rewritten(file, (field, content) => {
    if (field !== fields.modelGraph) return content
    return rewritten(
      content,
      (inner, part) => {
        if (inner === fields.output) return undefined
        if (inner === fields.node) return nodes.has(node++) ? part : undefined
        if (inner !== fields.initializer) return part
        const { name } = tensorType.decode(part) as unknown as TensorMessage
        return tensors.has(name) ? part : undefined
      },
      ends,
    )
  })
}

/** The nodes that lead to tensors. */
export function ancestors(graph: OnnxGraph, names: readonly string[]): GraphNode[] {
  const madeBy = new Map(graph.nodes.flatMap((node) => node.outputs.map((name): [string, GraphNode] => [name, node])))
  const found = new Set<GraphNode>()
  const open = [...names]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = madeBy.get(name)
    if (!node || found.has(node)) continue
    found.add(node)
    open.push(...node.inputs)
  }
  return [...found]
}

/** A message with some of its fields exchanged, left out (undefined), or added at its end. */
function rewritten(
  message: Uint8Array,
  change: (field: number, content: Uint8Array) => Uint8Array | undefined,
  more: readonly { field: number; content: Uint8Array }[] = [],
): Uint8Array {
  const reader = protobuf.Reader.create(message)
  const parts: Uint8Array[] = []
  const put = (field: number, content: Uint8Array) =>
    parts.push(
      protobuf.Writer.create()
        .uint32((field << 3) | 2)
        .bytes(content)
        .finish(),
    )
  while (reader.pos < reader.len) {
    const from = reader.pos
    const tag = reader.uint32()
    if ((tag & 7) === 2) {
      const content = change(tag >>> 3, reader.bytes())
      if (content) put(tag >>> 3, content)
    } else {
      reader.skipType(tag & 7)
      parts.push(message.subarray(from, reader.pos))
    }
  }
  for (const { field, content } of more) put(field, content)
  return Buffer.concat(parts)
}
