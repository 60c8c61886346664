import { describe, expect, it } from 'vitest'
import { jsonItems, parseJson, writeJson } from './exact-json.ts'

const again = (text: string, style = {}) => writeJson(parseJson(text, 'a test'), style)

describe('exact JSON', () => {
  it.each([
    ['1.0', '1.0'],
    ['1180591620717411303424', '1180591620717411303424'],
    ['[1e-07, -0, 2E+3]', '[1e-07, -0, 2E+3]'],
    ['[NaN, Infinity, -Infinity]', '[NaN, Infinity, -Infinity]'],
    ['{"b":1,"a":{"d":[],"c":{}}}', '{"b": 1, "a": {"d": [], "c": {}}}'],
    ['{"10":1,"2":2,"__proto__":{"x":1}}', '{"10": 1, "2": 2, "__proto__": {"x": 1}}'],
    ['{"a":1,"a":2}', '{"a": 2}'],
    [' \n[ true , false ,\tnull ] ', '[true, false, null]'],
    ['"\\u00fc \\n \\" \\\\ \\u0000"', '"ü \\n \\" \\\\ \\u0000"'],
    ['"\\\\"', '"\\\\"'],
    ['"\\ud83d\\ude00 \\ud800"', '"😀 \\ud800"'],
  ])('%s comes back as %s', (text, written) => {
    expect(again(text)).toBe(written)
  })

  it('is written by sorted keys and in ASCII as Python does it', () => {
    // json.dumps({"b": "ü😀", "a": {"z": 1, "y": [1.5, None]}}, sort_keys=True)
    expect(again('{"b":"ü😀","a":{"z":1,"y":[1.5,null]}}', { sorted: true, ascii: true })).toBe(
      '{"a": {"y": [1.5, null], "z": 1}, "b": "\\u00fc\\ud83d\\ude00"}',
    )
  })

  it.each([
    '',
    '{',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    '[1 2]',
    '01',
    '+1',
    '.5',
    '1.',
    "'a'",
    '"\\x"',
    '"a',
    '"\n"',
    '{"a"}',
    '[1]]',
    'nul',
    'Nan',
    '{"a":}',
  ])('%j is no JSON', (text) => {
    expect(() => parseJson(text, "parameter 'records'")).toThrow(/^The JSON of parameter 'records' is not valid/)
  })

  it('refuses nesting that would exhaust the stack', () => {
    expect(() => parseJson('['.repeat(100_000), 'a test')).toThrow('nested deeper than 500 levels')
  })

  it('gives the items of a list one by one, and meets a flaw only where it stands', () => {
    const items = jsonItems('[{"a": 1}, [2.0], oops]', 'a test')
    expect(writeJson(items.next().value!)).toBe('{"a": 1}')
    expect(writeJson(items.next().value!)).toBe('[2.0]')
    expect(() => items.next()).toThrow('expected a value at character 18')
  })

  it.each(['{}', '5', '[1] 2', '[1'])('%s is no list', (text) => {
    expect(() => [...jsonItems(text, 'a test')]).toThrow('is not valid')
  })
})
