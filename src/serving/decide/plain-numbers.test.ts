import { describe, expect, it } from 'vitest'
import type { TensorFacts } from '../models/model-facts.ts'
import { floatTensorOf, plainNumbers } from './plain-numbers.ts'

const tensor: TensorFacts = { name: 'input-0', datatype: 'FP64', shape: [-1, 2], required: true, unnamed: true }

describe('floatTensorOf', () => {
  it('is the shape of the only tensor where that has no name and holds floats', () => {
    expect(floatTensorOf({ signature: 'tensors', inputs: [tensor] })).toEqual([-1, 2])
    expect(floatTensorOf({ signature: 'tensors', inputs: [{ ...tensor, datatype: 'FP32' }] })).toEqual([-1, 2])
  })

  it.each([
    ['columns', [tensor]],
    ['none', []],
    ['tensors', [tensor, { ...tensor, name: 'b' }]],
    ['tensors', [{ ...tensor, datatype: 'INT64' }]],
    ['tensors', [{ ...tensor, datatype: 'FP16' }]],
    ['tensors', [{ ...tensor, unnamed: false }]],
  ] as const)('is nothing for a signature of %s: %j', (signature, inputs) => {
    expect(floatTensorOf({ signature, inputs: [...inputs] })).toBeUndefined()
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
      const block = plainNumbers(json, [-1, 2])
      expect([block?.shape, [...block!.values]]).toEqual([[3, 2], rows.flat()])
    }
    expect(plainNumbers({ inputs: [1, 2] }, [-1])).toEqual({ shape: [2], values: Float64Array.of(1, 2) })
    const cube = [[[1], [2]]]
    expect(plainNumbers({ inputs: cube }, [1, -1, 1])).toEqual({ shape: [1, 2, 1], values: Float64Array.of(1, 2) })
  })

  it.each([
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
    expect(plainNumbers(json, [-1, 2])).toBeUndefined()
  })
})
