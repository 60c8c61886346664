import { expect, it } from 'vitest'
import type { ModelFacts } from './model-facts.ts'
import { feedsOf } from './onnx-scoring.ts'
import { readScoringData } from './scoring-data.ts'

const input = (name: string) => ({ name, datatype: 'FP64', shape: [-1], columnType: 'double', required: true })
const signature = { signature: 'columns', inputs: [input('a'), input('b')] } as unknown as ModelFacts

async function fed(body: string, form: 'json' | 'csv' = 'json'): Promise<Record<string, number[]>> {
  const data = await readScoringData({ form, body: Buffer.from(body) }, new Map())
  const { tensors } = feedsOf(data, [], { graph: signature, signature, answer: 'output-0' })
  return Object.fromEntries(
    tensors.map(({ name, bytes }) => [name, [...new Float64Array(new Uint8Array(bytes).buffer)]]),
  )
}
const split = (columns: string[], data: unknown[][], index?: number[]) =>
  JSON.stringify({ dataframe_split: { columns, data, index } })

// What MLflow's scoring server was seen to answer, but for the index: pandas makes as many rows of one as it has entries.
it('refuses a column of the model that came twice, and takes others that did', async () => {
  await expect(fed(split(['a', 'a', 'b'], [[1, 2, 3]]))).rejects.toThrow('two columns "a"')
  expect(await fed(split(['a', 'b', 'c', 'c'], [[1, 2, 3, 4]]))).toEqual({ a: [1], b: [2] })
  expect(await fed('a,a,b\n1,2,3\n', 'csv')).toEqual({ a: [1], b: [3] })
})

it('refuses an index of another length than the rows', async () => {
  expect(await fed(split(['a', 'b'], [[1, 2]], [7]))).toEqual({ a: [1], b: [2] })
  for (const index of [[], [7, 8]])
    await expect(fed(split(['a', 'b'], [[1, 2]], index))).rejects.toThrow('values for 1 rows of data')
})

it('refuses numbers that only JavaScript reads in texts', async () => {
  expect(await fed(split(['a', 'b'], [[' 1e2 ', '-3']]))).toEqual({ a: [100], b: [-3] })
  await expect(fed(split(['a', 'b'], [['0x3', '1']]))).rejects.toThrow('"0x3" is no double')
})
