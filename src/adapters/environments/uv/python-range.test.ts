import { expect, it } from 'vitest'
import { satisfies } from './python-range.ts'

it.each([
  ['3.11.7', '>= 3.11', true],
  ['3.11.7', undefined, true],
  ['3.11.7', '*', true],
  ['3.11.0', '>=3.11', true],
  ['3.10.13', '>=3.11', false],
  ['3.9.18', '>=3.10', false],
  ['3.11.7', '>=3.11,<3.12', true],
  ['3.12.1', '>=3.11, <3.12', false],
  ['3.11.7', '3.11', true],
  ['3.1.7', '3.11', false],
  ['3.11.7', '==3.11.*', true],
  ['3.11.7', '==3.11', false],
  ['3.11.0', '==3.11', true],
  ['3.11.7', '!=3.11.*', false],
  ['3.12.1', '!=3.11.7', true],
  ['3.12.1', '~=3.11', true],
  ['4.0.0', '~=3.11', false],
  ['3.12.1', '~=3.11.2', false],
  ['3.11.1', '~=3.11.2', false],
  ['3.11.7', '>3.11', true],
])('tells whether Python %s is in the range %s: %s', (version, range, expected) => {
  expect(satisfies(version, range)).toBe(expected)
})

it.each(['newest', '>=3.x', '=>3.11', '>=3.11.*', '~=3', '3.11 || 3.12'])('refuses the range %j', (range) => {
  expect(() => satisfies('3.11.7', range)).toThrow('is no range of Python versions')
})
