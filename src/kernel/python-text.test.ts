import { describe, expect, it } from 'vitest'
import { asciiJson, pythonDumps, pythonFloat, pythonJsonFloat, pythonText } from './python-text.ts'

// Right-hand sides: repr() and json.dumps() of Python 3.11.
describe('values as Python writes them', () => {
  it.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [123.456, '123.456'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [-1.5e300, '-1.5e+300'],
    [Number.NaN, 'nan'],
    [Number.NEGATIVE_INFINITY, '-inf'],
  ])('writes the float %d as %s', (value, text) => {
    expect(pythonFloat(value)).toBe(text)
  })

  it.each([
    [0.5, '0.5'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
  ])('writes the float %d in JSON as %s', (value, text) => {
    expect(pythonJsonFloat(value)).toBe(text)
  })

  it.each([
    ['a', "'a'"],
    ["it's", '"it\'s"'],
    [`it's "so"`, `'it\\'s "so"'`],
    ['a\nb\u00a0', "'a\\nb\\xa0'"],
  ])('quotes %j as %s', (text, quoted) => {
    expect(pythonText(text)).toBe(quoted)
  })

  it('writes JSON with spaces, and in ASCII without the character of deletion', () => {
    expect(pythonDumps({ a: [1, 'ü'] })).toBe('{"a": [1, "\\u00fc"]}')
    expect(asciiJson('"\x7f😀"')).toBe('"\\u007f\\ud83d\\ude00"')
  })
})
