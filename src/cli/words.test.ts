import { describe, expect, it } from 'vitest'
import { formatMetric } from '../kernel/units.ts'
import { readScalar, readSettings } from './read-settings.ts'
import { percent, signed, timeAgo } from './words.ts'

describe('words for people', () => {
  it.each([
    [0, 'just now'],
    [59_000, '59 s ago'],
    [60_000, '1 min ago'],
    [3_599_000, '59 min ago'],
    [7_200_000, '2 h ago'],
    [200_000_000, '2 d ago'],
    [-180_000, 'in 3 min'],
  ])('%d ms before now is %s', (passed, text) => {
    expect(timeAgo(1_000_000_000 - passed, 1_000_000_000)).toBe(text)
  })

  it.each([
    [0.123456, '0.1235'],
    [12, '12'],
    [0.00001234, '1.23e-5'],
    [Number.NaN, 'NaN'],
    [null, 'NaN'],
    ['NaN', 'NaN'],
    [undefined, '–'],
  ])('the metric %s reads %s', (value, text) => {
    expect(formatMetric(value)).toBe(text)
  })

  it('gives a difference its sign', () => {
    expect([signed(0.5), signed(-0.5), signed(0), signed(undefined)]).toEqual(['+0.5', '−0.5', '±0', ''])
  })

  it('writes shares as percent', () => {
    expect([percent(0.05), percent(1), percent(0.333333)]).toEqual(['5 %', '100 %', '33.3 %'])
  })
})

describe('--set', () => {
  it('reads numbers and booleans as such, and everything else as text', () => {
    expect(readSettings(['depth=5', 'rate=1e-3', 'fast=true', 'name=blue', 'formula=a=b', 'empty='])).toEqual({
      ...{ depth: 5, rate: 0.001, fast: true, name: 'blue', formula: 'a=b', empty: '' },
    })
  })

  it.each([
    ['"5"', '5'],
    ["'true'", 'true'],
    ['-.5', -0.5],
    ['5 apples', '5 apples'],
    ['0x10', '0x10'],
    ['NaN', 'NaN'],
    ['"', '"'],
  ])('%s becomes %s', (text, value) => {
    expect(readScalar(text)).toBe(value)
  })

  it.each(['depth', '=5', ''])('refuses %j, which sets nothing', (word) => {
    expect(() => readSettings([word])).toThrow(expect.objectContaining({ code: 'BadRequest' }))
  })
})
