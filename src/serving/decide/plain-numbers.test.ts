import { describe, expect, it } from 'vitest'
import type { TensorFacts } from '../models/model-facts.ts'
import { floatInputOf, plainNumbers } from './plain-numbers.ts'

const tensor: TensorFacts = { name: 'input-0', datatype: 'FP64', shape: [-1, 2], required: true, unnamed: true }

const column = (name: string, more: Partial<TensorFacts> = {}): TensorFacts => ({
  ...{ name, datatype: 'FP64', shape: [-1], required: true, columnType: 'double' },
  ...more,
})

describe('floatInputOf', () => {
  it('is the shape of the only tensor where that has no name and holds floats', () => {
    expect(floatInputOf({ signature: 'tensors', inputs: [tensor] })).toEqual({ shape: [-1, 2] })
    const single: TensorFacts = { ...tensor, datatype: 'FP32' }
    expect(floatInputOf({ signature: 'tensors', inputs: [single] })).toEqual({ shape: [-1, 2] })
  })

  it('is the columns where all are doubles', () => {
    const inputs = [column('a'), column('b', { required: false })]
    expect(floatInputOf({ signature: 'columns', inputs })).toEqual({ columns: ['a', 'b'] })
  })

  it.each([
    ['columns', [tensor]],
    ['columns', [column('a', { columnType: 'float', datatype: 'FP32' })]],
    ['columns', [column('a'), column('b', { columnType: 'long', datatype: 'INT64' })]],
    ['columns', [column('input-0', { unnamed: true })]],
    ['none', []],
    ['tensors', [tensor, { ...tensor, name: 'b' }]],
    ['tensors', [{ ...tensor, datatype: 'INT64' }]],
    ['tensors', [{ ...tensor, datatype: 'FP16' }]],
    ['tensors', [{ ...tensor, unnamed: false }]],
  ] as const)('is nothing for a signature of %s: %j', (signature, inputs) => {
    expect(floatInputOf({ signature, inputs: [...inputs] })).toBeUndefined()
  })
})

describe('plainNumbers', () => {
  it('lays rows of numbers out one after the other, whichever of the two names they have', () => {
    const rows = [
      [1, 2.5],
      [-3, 4e300],
      [0, 7],
    ]
    for (const json of [{ inputs: rows }, { instances: rows, params: {}, other: 'x' }]) {
      const block = plainNumbers(json, { shape: [-1, 2] })
      expect([block?.shape, [...block!.values]]).toEqual([[3, 2], rows.flat()])
    }
    expect(plainNumbers({ inputs: [1, 2] }, { shape: [-1] })).toEqual({ shape: [2], values: Float64Array.of(1, 2) })
    const cube = [[[1], [2]]]
    expect(plainNumbers({ inputs: cube }, { shape: [1, -1, 1] })).toEqual({
      shape: [1, 2, 1],
      values: Float64Array.of(1, 2),
    })
  })

  it('lays a table out as its columns stand, and records as the model names them', () => {
    const data = [
      [1, 2],
      [3, 4],
    ]
    expect(plainNumbers({ dataframe_split: { columns: ['b', 'a'], data } }, { columns: ['a', 'b'] })).toEqual({
      ...{ shape: [2, 2], columns: ['b', 'a'], values: Float64Array.of(1, 2, 3, 4) },
    })
    const records = [
      { b: 1, a: 2 },
      { a: 4, b: 3 },
    ]
    expect(plainNumbers({ dataframe_records: records }, { columns: ['a', 'b'] })).toEqual({
      ...{ shape: [2, 2], columns: ['a', 'b'], values: Float64Array.of(2, 1, 4, 3) },
    })
  })

  it.each([
    { dataframe_split: { columns: ['a', 'b'], data: [[1, 2]], index: [7] } },
    { dataframe_split: { columns: ['a', 'b'], data: [[1, null]] } },
    { dataframe_split: { columns: ['a', 'b'], data: [[1, 2, 3]] } },
    { dataframe_split: { columns: ['a', 'b'], data: [] } },
    { dataframe_split: { columns: ['a', 'a'], data: [[1, 2]] } },
    { dataframe_split: { columns: ['a', 'b', 'c'], data: [[1, 2, 3]] } },
    { dataframe_split: { columns: ['a'], data: [[1]] } },
    { dataframe_split: { data: [[1, 2]] } },
    { dataframe_split: { columns: 'ab', data: [[1, 2]] } },
    { dataframe_split: null },
    { dataframe_records: [{ a: 1, b: 2 }, { a: 1 }] },
    { dataframe_records: [{ a: 1, b: 2, c: 3 }] },
    { dataframe_records: [{ a: 1, c: 2 }] },
    { dataframe_records: [{ a: 1, b: '2' }] },
    { dataframe_records: [] },
    { dataframe_records: [[1, 2]] },
    { dataframe_records: { a: 1, b: 2 } },
    { inputs: [[1, 2]] },
    { instances: [{ a: 1, b: 2 }] },
  ])('leaves the table %j to MLflow', (json) => {
    expect(plainNumbers(json, { columns: ['a', 'b'] })).toBeUndefined()
  })

  it.each([
    { dataframe_split: { columns: [0, 1], data: [[1, 2]] } },
    { inputs: [[1, 2, 3]] },
    { inputs: [[1, 2], [3]] },
    { inputs: [[1], [2, 3]] },
    { inputs: [[1, 2], 3] },
    { inputs: [[1, null]] },
    { inputs: [[1, true]] },
    { inputs: [[1, '2']] },
    { inputs: [[1, [2]]] },
    { inputs: [1, 2] },
    { inputs: [] },
    { inputs: [[]] },
    { inputs: { a: [1, 2] } },
    { inputs: [[1, 2]], instances: [[1, 2]] },
    { inputs: [[1, 2]], instances: null },
    { inputs: [[1, 2]], dataframe_split: {} },
    { inputs: [[1, 2]], messages: [] },
    { input: [[1, 2]] },
    {},
  ])('leaves %j to MLflow', (json) => {
    expect(plainNumbers(json, { shape: [-1, 2] })).toBeUndefined()
  })
})
