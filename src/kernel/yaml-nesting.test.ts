import { expect, it } from 'vitest'
import { yamlNesting } from './yaml-nesting.ts'

it.each([
  ['flow', '[{a: [1]}, [2]]', 3],
  ['more closed than opened', ']]]][', 1],
  ['sequences in one line', '- - - x', 6],
  ['indentation', 'a:\n  b:\n    c: 1', 4],
  ['a plain file', 'a: 1\nb: 2', 0],
])('bounds the nesting of %s', (_, text, expected) => {
  expect(yamlNesting(text)).toBe(expected)
})

it('looks at a megabyte in one pass', () => {
  expect(yamlNesting('['.repeat(1_000_000))).toBe(1_000_000)
})
