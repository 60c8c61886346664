import { expect, it } from 'vitest'
import type { ModelFacts } from './model-facts.ts'
import { cellTypes, feedsOf } from './onnx-scoring.ts'
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

// pandas reads a column of whole numbers so; in JSON MLflow casts 1.5 into 1.
it('refuses fractions in a column of whole numbers of CSV, and takes whole ones however they are written', async () => {
  const types = cellTypes({ inputs: [{ ...input('a'), columnType: 'long' }, input('b')] } as unknown as ModelFacts)
  const rows = async (csv: string) => {
    const data = await readScoringData({ form: 'csv', body: Buffer.from(csv) }, types)
    return data.kind === 'table' ? data.rows : data
  }
  expect(await rows('a,b\n1.0,1.5\n1e3,2\n')).toEqual([
    [1, 1.5],
    [1000, 2],
  ])
  await expect(rows('a,b\n1.5,2\n')).rejects.toThrow('"1.5" is no whole number')
})

it('takes rows of numbers alone for whatever the other reader takes them, or refuses them as it does', async () => {
  const read = async (body: string, datatype: string, signed: boolean): Promise<unknown> => {
    const graph = { signature: 'tensors', inputs: [{ name: 'x', datatype, shape: [-1, 2], required: true }] }
    const facts = graph as unknown as ModelFacts
    const own = signed ? facts : ({ ...facts, signature: 'none' } as ModelFacts)
    try {
      const data = await readScoringData({ form: 'json', body: Buffer.from(body) })
      return feedsOf(data, [], { graph: facts, signature: own }).tensors
    } catch (error) {
      return (error as Error).message
    }
  }
  // A line break is nothing to a reader of JSON, and too much for the other.
  for (const datatype of ['FP64', 'FP32', 'FP16', 'INT64', 'UINT8', 'BOOL', 'BYTES'])
    for (const rows of ['[[1,2]]', '[[1.5,-0],[3,4]]', '[[1e300,2]]', '[[3.4028235677973367e38,0]]', '[[300,-1]]'])
      for (const signed of [true, false])
        expect(await read(`{"inputs":${rows}}`, datatype, signed), `${datatype} ${rows}`).toEqual(
          await read(`{"inputs":\n${rows}}`, datatype, signed),
        )
})
