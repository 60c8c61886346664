import { describe, expect, it } from 'vitest'
import type { TensorFacts } from '../models/model-facts.ts'
import type { Datatype, Tensor } from '../tensor.ts'
import { bindInputs } from './bind-inputs.ts'

const tensor = (name: string, datatype: Datatype, shape: number[]): Tensor => ({
  name,
  datatype,
  shape,
  bytes: Buffer.alloc(0),
})
const wanted = (name: string, datatype: Datatype, shape: number[], more: Partial<TensorFacts> = {}): TensorFacts => ({
  name,
  datatype,
  shape,
  required: true,
  ...more,
})
const columns = [wanted('a', 'FP64', [-1, 1]), wanted('b', 'INT64', [-1, 1])]
const layoutOf = (signature: 'columns' | 'tensors' | 'none', inputs: TensorFacts[], ...tensors: Tensor[]) => {
  const binding = bindInputs({ signature, inputs }, tensors)
  return 'problem' in binding ? binding.problem : [binding.layout, binding.tensors.map(({ name }) => name)]
}

describe('binding tensors to what a model takes', () => {
  it('gives columns in the order of the signature, whatever the order of the request', () => {
    expect(layoutOf('columns', columns, tensor('b', 'INT64', [2]), tensor('a', 'FP64', [2, 1]))).toEqual([
      'columns',
      ['a', 'b'],
    ])
  })

  it('takes one tensor as all columns where it has as many, under a name that is none of theirs', () => {
    const numbers = [wanted('a', 'FP64', [-1, 1]), wanted('b', 'FP64', [-1, 1])]
    expect(layoutOf('columns', numbers, tensor('x', 'FP32', [3, 2]))).toEqual(['matrix', ['x']])
    expect(layoutOf('columns', numbers, tensor('x', 'FP32', [3, 3]))).toMatch(/"a" is missing/)
    expect(layoutOf('columns', numbers, tensor('a', 'FP32', [3, 2]))).toMatch(/"b" is missing/)
    expect(layoutOf('columns', columns, tensor('x', 'FP64', [3, 2]))).toMatch(/"b" is of INT64/)
  })

  it.each([
    ['FP64', 'INT64', true],
    ['FP64', 'FP32', true],
    ['FP64', 'BOOL', false],
    ['FP32', 'FP64', false],
    ['FP32', 'INT32', false],
    ['INT64', 'INT32', true],
    ['INT64', 'UINT64', false],
    ['INT64', 'FP64', false],
    ['INT32', 'UINT16', true],
    ['BYTES', 'FP64', false],
    ['BOOL', 'UINT8', false],
  ] as const)('a column of %s takes %s: %s', (column, given, takes) => {
    const bound = layoutOf('columns', [wanted('a', column, [-1, 1])], tensor('a', given, [1]))
    expect(Array.isArray(bound)).toBe(takes)
  })

  it('refuses columns of different lengths, unknown ones, missing ones and doubled ones', () => {
    expect(layoutOf('columns', columns, tensor('a', 'FP64', [2]), tensor('b', 'INT64', [3]))).toMatch(
      /different numbers/,
    )
    expect(layoutOf('columns', columns, tensor('a', 'FP64', [2]), tensor('c', 'INT64', [2]))).toMatch(/"b" is missing/)
    expect(
      layoutOf('columns', columns, tensor('a', 'FP64', [1]), tensor('b', 'INT64', [1]), tensor('c', 'FP64', [1])),
    ).toMatch(/no input "c"/)
    expect(layoutOf('columns', columns, tensor('a', 'FP64', [1]), tensor('a', 'FP64', [1]))).toMatch(/twice/)
    expect(layoutOf('columns', columns)).toMatch(/no inputs/)
  })

  it('lets an optional column be absent', () => {
    const optional = [columns[0]!, wanted('b', 'INT64', [-1, 1], { required: false })]
    expect(layoutOf('columns', optional, tensor('a', 'FP64', [1]))).toEqual(['columns', ['a']])
  })

  it('takes tensors of exactly their datatype and of shapes that fit, -1 being any size', () => {
    const inputs = [wanted('x', 'FP32', [-1, 4])]
    expect(layoutOf('tensors', inputs, tensor('x', 'FP32', [7, 4]))).toEqual(['tensors', ['x']])
    for (const wrong of [
      tensor('x', 'FP64', [7, 4]),
      tensor('x', 'FP32', [7, 3]),
      tensor('x', 'FP32', [4]),
      tensor('y', 'FP32', [7, 4]),
    ])
      expect(layoutOf('tensors', inputs, wrong)).toEqual(expect.any(String))
  })

  it('takes an unnamed tensor under any name, and everything where there is no signature', () => {
    const unnamed = [wanted('input-0', 'FP32', [-1], { unnamed: true })]
    expect(layoutOf('tensors', unnamed, tensor('mine', 'FP32', [2]))).toEqual(['one', ['input-0']])
    expect(layoutOf('none', [], tensor('a', 'BOOL', [2]), tensor('b', 'FP16', []))).toEqual(['free', ['a', 'b']])
  })
})
