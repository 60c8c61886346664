import { describe, expect, it } from 'vitest'
import { type Bound, parseBound } from '../../kernel/bound.ts'
import type { Check } from '../../projects/index.ts'
import { inputContract } from './input-contract.ts'

const bound = (text: string) => (parseBound(text) as { bound: Bound }).bound

describe('inputContract', () => {
  it('takes names, types and requiredness from the signature, and nothing from a tensor', () => {
    expect(
      inputContract(
        [
          { name: 'a', type: 'double', required: true },
          { name: 'b', type: { array: 1 }, required: false },
          { name: 'c', type: 'long' },
        ],
        [],
        'id',
      ),
    ).toEqual({
      columns: [
        { name: 'a', type: 'double', required: true },
        { name: 'b', type: 'any', required: false },
        { name: 'c', type: 'long', required: true },
      ],
      checks: [],
      key: 'id',
    })
    expect(inputContract([{ type: 'tensor' }], [], undefined)).toEqual({ columns: [], checks: [] })
  })
  it('keeps the checks that hold for one row at inference', () => {
    const checks: Check[] = [
      { kind: 'rows', rows: bound('>= 1') },
      { kind: 'column', column: 'label', values: ['x'], at: 'training' },
      {
        kind: 'column',
        column: 'a',
        type: 'number',
        range: { min: 0 },
        unique: true,
        missing: bound('<= 1%'),
        at: 'both',
      },
      { kind: 'column', column: 'b', regex: 'x+', missing: bound('<= 0%'), at: 'inference' },
      { kind: 'column', column: 'c', missing: bound('== 0'), at: 'both' },
    ]
    expect(inputContract([], checks, undefined).checks).toEqual([
      { column: 'a', type: 'number', range: [0, null], mayBeMissing: true },
      { column: 'b', regex: 'x+', mayBeMissing: false },
      { column: 'c', mayBeMissing: false },
    ])
  })
})
