import { describe, expect, it } from 'vitest'
import type { InputPolicy } from '../projects/index.ts'
import type { InputContract } from './gateway-state.ts'
import { handleInput, warningsText, withImputed } from './input-handling.ts'

const contract: InputContract = {
  columns: [
    { name: 'radius', type: 'double', required: true },
    { name: 'kind', type: 'string', required: true },
    { name: 'note', type: 'string', required: false },
  ],
  checks: [
    { column: 'radius', type: 'number', range: [0, 100], mayBeMissing: false },
    { column: 'kind', values: ['a', 'b'], regex: '[ab]', mayBeMissing: true },
  ],
}
const good = { radius: 1, kind: 'a' }
const rows = (...all: Record<string, unknown>[]) => ({ rows: all, named: true })
const warn: InputPolicy = { onFailure: 'warn', impute: {} }
const impute = (values: InputPolicy['impute']): InputPolicy => ({ onFailure: 'impute', impute: values })

describe('an endpoint that says nothing, or reject', () => {
  it.each([
    [
      'a value out of range',
      rows(good, { ...good, radius: 200 }),
      'range',
      'Column "radius", row 1: 200 is outside the range 0 to 100.',
    ],
    ['another type', rows({ ...good, radius: 'x' }), 'type', 'Column "radius", row 0: "x" is not a number.'],
    ['a missing value', rows({ ...good, radius: null }), 'missing', undefined],
    ['another value', rows({ ...good, kind: 'c' }), 'value', undefined],
    ['a missing column', rows({ radius: 1 }), 'missing-column', 'Row 0 lacks the required column kind.'],
    ['an unknown column', rows({ ...good, radios: 1 }), 'unknown-column', undefined],
    ['rows without names', { rows: [{ 0: 1, 1: 'a' }], named: false }, 'no-names', undefined],
  ])('refuses %s by its kind', (_, input, kind, message) => {
    for (const policy of [undefined, { onFailure: 'reject', impute: {} } as const])
      expect(handleInput(policy, contract, input)).toMatchObject({
        outcome: 'refused',
        problem: { kind, ...(message ? { message } : {}) },
      })
  })
})

describe('an endpoint that warns', () => {
  it('takes what the model can be asked, and counts each problem by its kind', () => {
    const input = rows({ ...good, radius: 200, other: 1 }, { radius: null, kind: 'c' })
    const verdict = handleInput(warn, contract, input)
    expect(verdict).toEqual({
      outcome: 'taken',
      warnings: { 'unknown-column': 1, range: 1, missing: 1, value: 1 },
      imputed: [],
    })
    expect(handleInput(warn, contract, rows(good))).toEqual({ outcome: 'taken', warnings: {}, imputed: [] })
  })

  it.each([
    ['a column that it needs', rows({ radius: 1 })],
    ['names', { rows: [{ 0: 1 }], named: false }],
  ])('still refuses a request that lacks %s', (_, input) => {
    expect(handleInput(warn, contract, input).outcome).toBe('refused')
  })
})

describe('an endpoint that imputes', () => {
  it('puts the declared value where one is missing or breaks its check, and nowhere else', () => {
    const input = rows({ radius: 200, kind: 'a' }, { kind: 'b' }, good)
    const verdict = handleInput(impute({ radius: 14.2 }), contract, input)
    expect(verdict).toEqual({
      outcome: 'taken',
      warnings: { 'missing-column': 1, range: 1 },
      imputed: [
        { row: 1, column: 'radius', value: 14.2 },
        { row: 0, column: 'radius', value: 14.2 },
      ],
    })
    const given = withImputed(input, verdict.outcome === 'taken' ? verdict.imputed : [])
    expect(given.rows).toEqual([{ radius: 14.2, kind: 'a' }, { radius: 14.2, kind: 'b' }, good])
    expect(input.rows[0]).toEqual({ radius: 200, kind: 'a' })
  })

  it('fills in a missing value that the checks allow, and a column that need not come', () => {
    const verdict = handleInput(impute({ kind: 'a', note: '-' }), contract, rows({ radius: 1, kind: null }))
    expect(verdict).toMatchObject({ warnings: { missing: 2 } })
    expect(verdict.outcome === 'taken' && verdict.imputed.map(({ column }) => column).sort()).toEqual(['kind', 'note'])
  })

  it.each([
    ['another column', rows({ radius: 200, kind: 'c' })],
    ['a column that nobody knows', rows({ ...good, radius: 200, radios: 1 })],
  ])('refuses what is wrong in %s', (_, input) => {
    expect(handleInput(impute({ radius: 1 }), contract, input).outcome).toBe('refused')
  })
})

it('says the counts as a header does', () => {
  expect(warningsText({ range: 2, 'unknown-column': 1 })).toBe('range=2, unknown-column=1')
})
