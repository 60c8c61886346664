import type { TensorFacts } from '../models/model-facts.ts'

/** One row for each input of a graph, as nested lists. */
export type ExampleFeeds = Record<string, unknown[]>

/** A row to ask with: the model's own input example where it has one, else numbers and texts made up. */
export function exampleFeeds(inputs: readonly TensorFacts[], example: unknown): ExampleFeeds {
  const split = (example as { dataframe_split?: { columns?: string[]; data?: unknown[][] } } | undefined)
    ?.dataframe_split
  const row = split?.data?.[0]
  return Object.fromEntries(
    inputs.map(({ name, datatype, shape }) => {
      const made = datatype === 'BYTES' ? 'text' : datatype === 'BOOL' ? true : 1
      const at = split?.columns?.indexOf(name) ?? -1
      if (row && at >= 0) return [name, shape.length === 2 ? [[row[at]]] : [row[at]]]
      const width = Math.max(1, shape[1] ?? 1)
      if (row && inputs.length === 1 && row.length === width) return [name, shape.length === 2 ? [row] : row]
      return [name, shape.length === 2 ? [Array.from({ length: width }, () => made)] : [made]]
    }),
  )
}

export const pythonExample = (
  feeds: ExampleFeeds,
): string => `"""Asks the model beside this file. Needs: pip install onnxruntime numpy"""

import json
import os

import numpy
import onnxruntime

ROW = json.loads(r'''${JSON.stringify(feeds)}''')
TYPES = {
    "tensor(double)": "float64", "tensor(float)": "float32", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(bool)": "bool", "tensor(string)": "object",
}  # fmt: skip

here = os.path.dirname(os.path.abspath(__file__))
session = onnxruntime.InferenceSession(os.path.join(here, "model.onnx"))
inputs = {one.name: numpy.array(ROW[one.name], TYPES[one.type]) for one in session.get_inputs()}
for output, values in zip(session.get_outputs(), session.run(None, inputs)):
    print(output.name, json.dumps(values.tolist()))
`

export const typescriptExample = (
  feeds: ExampleFeeds,
): string => `// Asks the model beside this file. Needs: npm install onnxruntime-node
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const row: Record<string, unknown[]> = ${JSON.stringify(feeds)}

const session = await InferenceSession.create(fileURLToPath(new URL('model.onnx', import.meta.url)))
const inputs = session.inputMetadata.map((input) => {
  if (!input.isTensor) throw new Error(\`\${input.name} is no tensor\`)
  const values = row[input.name]!.flat()
  const dims = Array.isArray(row[input.name]![0]) ? [1, values.length] : [values.length]
  const data = input.type === 'int64' ? values.map((value) => BigInt(value as number)) : values
  return [input.name, new Tensor(input.type as 'float64', data as number[], dims)]
})
const outputs = await session.run(Object.fromEntries(inputs))
for (const name of session.outputNames)
  console.log(name, JSON.stringify([...outputs[name]!.data].map((value) => (typeof value === 'bigint' ? Number(value) : value))))
`
