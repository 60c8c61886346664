import { describe, expect, it } from 'vitest'
import type { ModelFacts } from '../models/model-facts.ts'
import { bytesFromJson, elementTexts } from '../models/tensor-json.ts'
import type { Tensor } from '../tensor.ts'
import { imputedQuestion, imputedTensors } from './imputed-request.ts'
import { readScoringRequest } from './scoring-request.ts'

const tensor = (name: string, datatype: Tensor['datatype'], shape: number[], data: unknown[]): Tensor => ({
  ...{ name, datatype, shape },
  bytes: bytesFromJson({ name, datatype, shape }, data),
})
const column = (name: string, datatype: Tensor['datatype']): ModelFacts['inputs'][number] =>
  ({ name, datatype, shape: [-1] }) as ModelFacts['inputs'][number]
const facts = { inputs: [column('a', 'FP64'), column('b', 'INT64'), column('c', 'BYTES')] }
const textsOf = (tensors: readonly Tensor[]) =>
  Object.fromEntries(tensors.map((one) => [one.name, [one.shape, elementTexts(one).join(' ')]]))

describe('tensors in which values stand in for others', () => {
  it('have them at their places, and every other element as it came, to the last digit', () => {
    const given = [
      tensor('a', 'FP64', [3], [0.1, 200, null]),
      tensor('b', 'INT64', [3, 1], [9_007_199_254_740_993n, 2n, 3n]),
      tensor('c', 'BYTES', [3], ['x', 'yy', '']),
    ]
    const cells = [
      { row: 1, column: 'a', value: 14.5 },
      { row: 2, column: 'a', value: 14.5 },
      { row: 1, column: 'b', value: -7 },
      { row: 2, column: 'c', value: 'none' },
    ]
    const before = textsOf(given)
    expect(textsOf(imputedTensors(given, facts, cells))).toEqual({
      a: [[3], '0.1 14.5 14.5'],
      b: [[3, 1], '9007199254740993 -7 3'],
      c: [[3], '"x" "yy" "none"'],
    })
    expect(textsOf(given)).toEqual(before)
  })

  it('have a column that did not come at all, in the shape of the others', () => {
    const cells = [1, 0].map((row) => ({ row, column: 'b', value: 5 }))
    const made = imputedTensors([tensor('a', 'FP64', [2, 1], [1, 2])], facts, cells)
    expect(textsOf(made)).toEqual({ a: [[2, 1], '1 2'], b: [[2, 1], '5 5'] })
    expect(made[1]!.datatype).toBe('INT64')
  })

  it('are written in one table where all columns came as one', () => {
    const numbers = { inputs: [column('a', 'FP64'), column('b', 'FP64')] }
    const made = imputedTensors([tensor('input-0', 'FP64', [2, 2], [1, 2, 3, 400])], numbers, [
      { row: 1, column: 'b', value: 0.5 },
    ])
    expect(textsOf(made)).toEqual({ 'input-0': [[2, 2], '1 2 3 0.5'] })
  })

  it('refuse a value that the column cannot hold', () => {
    const cells = [{ row: 0, column: 'a', value: 'benign' }]
    expect(() => imputedTensors([tensor('a', 'FP64', [1], [1])], facts, cells)).toThrow(
      /"a" is of FP64, which "benign"/,
    )
  })
})

describe("a request of MLflow's protocol", () => {
  const read = (type: string, text: string) => readScoringRequest(type, Buffer.from(text))
  const json = (question: { body: Buffer }) => JSON.parse(question.body.toString()) as unknown

  it('goes on as the very bytes that came where nothing stands in for anything', async () => {
    const text = '{"dataframe_records":[{"a":9007199254740993}]}'
    const request = await read('application/json', text)
    expect(imputedQuestion(request, [])).toMatchObject({ form: 'json', body: Buffer.from(text) })
  })

  it.each([
    ['application/json', '{"dataframe_records":[{"a":1},{"a":null,"c":"x"}],"params":{"p":1}}', { params: { p: 1 } }],
    ['text/csv', 'a,c\n1,\n,x\n', {}],
  ])('of %s is told as a table with the values in it', async (type, text, more) => {
    const request = await read(type, text)
    const question = imputedQuestion(request, [
      { row: 1, column: 'a', value: 14.5 },
      { row: 0, column: 'c', value: '-' },
    ])
    expect(question.form).toBe('json')
    const data = [
      [1, '-'],
      [14.5, 'x'],
    ]
    expect(json(question)).toEqual({ dataframe_split: { columns: ['a', 'c'], data }, ...more })
  })

  it('of bare values stays one', async () => {
    const request = await read('application/json', '{"instances":[1,500]}')
    expect(json(imputedQuestion(request, [{ row: 1, column: 'a', value: 2 }]))).toEqual({ instances: [1, 2] })
  })
})
