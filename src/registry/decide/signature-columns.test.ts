import { describe, expect, it } from 'vitest'
import { signatureColumns } from './signature-columns.ts'

describe('the columns of a signature', () => {
  it('are read in order with MLflow’s types', () => {
    const text = `signature:\n  inputs: '[{"type": "double", "name": "b", "required": true}, {"type": "long", "name": "a", "required": false}]'\n`
    expect(signatureColumns(text)).toEqual([
      { name: 'b', type: 'double', required: true },
      { name: 'a', type: 'long', required: false },
    ])
  })

  it.each([
    ['no signature', 'flavors: {}\n'],
    [
      'a tensor',
      `signature:\n  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]'\n`,
    ],
    ['broken JSON', `signature:\n  inputs: '[{'\n`],
    ['an empty file', ''],
  ])('are none for %s', (_, text) => {
    expect(signatureColumns(text)).toEqual([])
  })
})
