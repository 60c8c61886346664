import { describe, expect, it } from 'vitest'
import { checkValue, isMissing, readCell, type ValueCheck } from './check-value.ts'

describe('checkValue', () => {
  const cases: [string, ValueCheck, unknown, string | undefined][] = [
    ['a number is a number', { type: 'number' }, 1.5, undefined],
    ['a text of digits sent as text is no number', { type: 'number' }, '1.5', 'type'],
    ['infinity is no number', { type: 'number' }, Number.POSITIVE_INFINITY, 'type'],
    ['true is no number', { type: 'number' }, true, 'type'],
    ['2.0 is an integer', { type: 'integer' }, 2.0, undefined],
    ['2.5 is no integer', { type: 'integer' }, 2.5, 'type'],
    ['5 may stand for a string, as MLflow has it', { type: 'string' }, 5, undefined],
    ['a list is no string', { type: 'string' }, [], 'type'],
    ['1 is a boolean', { type: 'boolean' }, 1, undefined],
    ['2 is no boolean', { type: 'boolean' }, 2, 'type'],
    ['both ends belong to the range: low', { range: [0, 100] }, 0, undefined],
    ['both ends belong to the range: high', { range: [0, 100] }, 100, undefined],
    ['above the range', { range: [0, 100] }, 100.0001, 'range'],
    ['an open end is open', { range: [null, 100] }, -1e300, undefined],
    ['a text is in no range', { range: [0, 100] }, 'x', 'range'],
    ['the type is told before the range', { type: 'number', range: [0, 1] }, 'x', 'type'],
    ['an allowed value', { values: ['benign', 'malignant'] }, 'benign', undefined],
    ['a value that is not allowed', { values: ['benign', 'malignant'] }, 'Benign', 'values'],
    ['1 in text is the allowed 1', { values: [1, 2] }, '1.0', undefined],
    ['the whole value must match', { regex: '[ab]' }, 'ab', 'regex'],
    ['an alternative does not escape the anchors', { regex: 'a|b' }, 'xb', 'regex'],
    ['a missing value passes every other check', { type: 'number', range: [0, 1], regex: 'x' }, null, undefined],
    ['NaN is missing', { type: 'number' }, Number.NaN, undefined],
  ]
  it.each(cases)('%s', (_, check, value, expected) => {
    expect(checkValue(check, value)?.check).toBe(expected)
  })
})

describe('readCell', () => {
  const cases: [string, ValueCheck, unknown][] = [
    ['', {}, null],
    ['NA', {}, null],
    [' nan ', { type: 'number' }, null],
    ['1e3', { type: 'number' }, 1000],
    ['-.5', { range: [0, 1] }, -0.5],
    ['0x10', { type: 'number' }, '0x10'],
    ['abc', { type: 'number' }, 'abc'],
    ['007', { type: 'string' }, '007'],
    ['True', { type: 'boolean' }, true],
    ['maybe', { type: 'boolean' }, 'maybe'],
    ['1', { values: [1] }, '1'],
  ]
  it.each(cases)('reads %j under %j', (text, check, expected) => {
    expect(readCell(text, check)).toBe(expected)
  })
  it('calls only absent values missing', () => {
    expect([null, undefined, Number.NaN, 0, '', false].map(isMissing)).toEqual([true, true, true, false, false, false])
  })
})
