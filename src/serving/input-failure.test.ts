import { describe, expect, it } from 'vitest'
import type { InputContract } from './gateway-state.ts'
import { inputFailure } from './input-failure.ts'

const contract: InputContract = {
  columns: [
    { name: 'radius', type: 'double', required: true },
    { name: 'texture', type: 'double', required: true },
    { name: 'note', type: 'string', required: false },
  ],
  checks: [
    { column: 'radius', type: 'number', range: [0, 100], mayBeMissing: false },
    { column: 'texture', type: 'number', mayBeMissing: true },
    { column: 'ward', values: ['a', 'b'], mayBeMissing: false },
  ],
  key: 'sample_id',
}
const one: InputContract = {
  columns: [{ name: 'text', type: 'string', required: true }],
  checks: [{ column: 'text', regex: 'a+', mayBeMissing: false }],
}
const none: InputContract = { columns: [], checks: [] }

describe('inputFailure', () => {
  const cases: [string, InputContract, Record<string, unknown>[], string | undefined][] = [
    ['the required columns are enough', contract, [{ radius: 1, texture: 2 }], undefined],
    [
      'key and checked columns may come along',
      contract,
      [{ radius: 1, texture: 2, sample_id: 's', ward: 'a' }],
      undefined,
    ],
    ['a null is allowed where the check allows it', contract, [{ radius: 1, texture: null }], undefined],
    ['all missing columns are named', contract, [{ note: 'x' }], 'Row 0 lacks the required columns radius, texture.'],
    [
      'a row further down that lacks one',
      contract,
      [{ radius: 1, texture: 1 }, { texture: 1 }],
      'Row 1 lacks the required column radius.',
    ],
    [
      'a misspelt one',
      contract,
      [{ radius: 1, texturr: 1 }],
      'Row 0 lacks the required column texture. Was "texturr" meant for it?',
    ],
    [
      'a surplus one with the nearest name',
      contract,
      [{ radius: 1, texture: 1, notes: 1 }],
      'Row 0 has the column "notes", which the model does not take; did you mean "note"?',
    ],
    [
      'a surplus one far from any name',
      contract,
      [{ radius: 1, texture: 1, zzzzzzzz: 1 }],
      'Row 0 has the column "zzzzzzzz", which the model does not take; it takes: radius, texture, note, sample_id, ward.',
    ],
    [
      'a value out of range',
      contract,
      [
        { radius: 1, texture: 1 },
        { radius: -0.5, texture: 1 },
      ],
      'Column "radius", row 1: -0.5 is outside the range 0 to 100.',
    ],
    [
      'a null that is not allowed',
      contract,
      [{ radius: null, texture: 1 }],
      'Column "radius", row 0: the value is missing, and the check allows no missing values.',
    ],
    [
      'a checked column beside the model’s',
      contract,
      [{ radius: 1, texture: 1, ward: 'c' }],
      'Column "ward", row 0: "c" is none of the allowed values "a", "b".',
    ],
    ['anything where there is no signature and no check', none, [{ whatever: [1] }], undefined],
  ]
  it.each(cases)('%s', (_, given, rows, expected) => {
    expect(inputFailure(given, { rows, named: true })).toBe(expected)
  })

  it('lets no row past the checks because it has no names', () => {
    expect(inputFailure(contract, { rows: [{ 0: 1, 1: 2 }], named: false })).toMatch(
      /no column names; the columns are: radius/,
    )
    expect(inputFailure(one, { rows: [{ 0: 'aa' }], named: false })).toBeUndefined()
    expect(inputFailure(one, { rows: [{ 0: 'b' }], named: false })).toBe('Column "text", row 0: "b" does not match a+.')
    expect(inputFailure(none, { rows: [{ 0: 1 }], named: false })).toBeUndefined()
  })
})
