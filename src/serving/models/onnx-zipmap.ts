import protobuf from 'protobufjs'

/**
 * skl2onnx ends a classifier in a ZipMap by default: a list of maps from class to probability, which no protocol carries and ONNX
 * Runtime's binding cannot read. What goes into it is a plain tensor [rows, classes]; so the graph is made to answer that, and the
 * classes are told beside it.
 *
 * Of the file only what must change is read (field numbers of onnx.proto); all else is copied byte by byte.
 */
export type WithoutZipMaps = { graph: Buffer; labels: Map<string, string[]> }

const field = { modelGraph: 7, graphNode: 1, graphOutput: 12 }
const float = 1

const types = protobuf.parse(
  `
syntax = "proto3";
message Attribute { string name = 1; repeated int64 ints = 8; repeated bytes strings = 9; }
message Node {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; repeated Attribute attribute = 5;
  string domain = 7;
}
message Dim { int64 dim_value = 1; string dim_param = 2; }
message Shape { repeated Dim dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; Type type = 2; }
`,
  { keepCase: true },
).root
const nodeType = types.lookupType('Node')
const valueType = types.lookupType('ValueInfo')

type Node = {
  input: string[]
  output: string[]
  op_type: string
  attribute: { name: string; ints: { toString(): string }[]; strings: Uint8Array[] }[]
}

/** Undefined where the graph has none. @throws Error where the bytes are no protobuf */
export function withoutZipMaps(model: Uint8Array): WithoutZipMaps | undefined {
  const labels = new Map<string, string[]>()
  const graph = rewritten(model, (number, content) =>
    number === field.modelGraph ? rewritten(content, (inner, part) => withoutZipMap(inner, part, labels)) : content,
  )
  return labels.size > 0 ? { graph, labels } : undefined
}

/** Nodes stand before outputs in what ONNX's own library writes, and in every file that it reads and writes again. */
function withoutZipMap(number: number, content: Uint8Array, labels: Map<string, string[]>): Uint8Array {
  if (number === field.graphNode) {
    const node = nodeType.decode(content) as unknown as Node
    if (node.op_type !== 'ZipMap') return content
    labels.set(node.output[0]!, classesOf(node))
    return nodeType.encode({ input: node.input, output: node.output, op_type: 'Identity' }).finish()
  }
  if (number !== field.graphOutput) return content
  const { name } = valueType.decode(content) as unknown as { name: string }
  const classes = labels.get(name)
  if (!classes) return content
  const shape = { dim: [{ dim_param: 'rows' }, { dim_value: classes.length }] }
  return valueType.encode({ name, type: { tensor_type: { elem_type: float, shape } } }).finish()
}

function classesOf({ attribute }: Node): string[] {
  for (const { name, ints, strings } of attribute) {
    if (name === 'classlabels_int64s') return ints.map(String)
    if (name === 'classlabels_strings') return strings.map((text) => Buffer.from(text).toString('utf8'))
  }
  return []
}

/** A message with some of its fields' contents exchanged. */
function rewritten(message: Uint8Array, change: (field: number, content: Uint8Array) => Uint8Array): Buffer {
  const reader = protobuf.Reader.create(message)
  const parts: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const from = reader.pos
    const tag = reader.uint32()
    const isContent = (tag & 7) === 2
    if (isContent) {
      const content = reader.bytes()
      parts.push(
        protobuf.Writer.create()
          .uint32(tag)
          .bytes(change(tag >>> 3, content))
          .finish(),
      )
    } else {
      reader.skipType(tag & 7)
      parts.push(message.subarray(from, reader.pos))
    }
  }
  return Buffer.concat(parts)
}
