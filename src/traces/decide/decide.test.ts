import { describe, expect, it } from 'vitest'
import { correlationOf } from './correlation.ts'
import { previewOf } from './preview.ts'
import { dumps, loads, NumberText } from './python-json.ts'
import { summed, usageKeys } from './usage.ts'

describe('JSON as Python writes it', () => {
  it('separates as Python does, and keeps numbers as they were read', () => {
    const text = '{"a": [1, 1.0, 12345678901234567890, null], "b": {"ü": "x"}}'
    expect(dumps(loads(text)!)).toBe(text)
    expect(loads('NaN')).toEqual(new NumberText('NaN'))
    expect(loads('{')).toBeUndefined()
  })
})

describe('the tokens of a trace', () => {
  const node = (spanId: string, parentId: string | undefined, input?: number) => ({
    spanId,
    parentId,
    data: input === undefined ? undefined : { input_tokens: input },
  })

  it.each([
    ['siblings add up', [node('a', undefined), node('b', 'a', 1), node('c', 'a', 2)], 3],
    [
      'a span below one that counted is not counted again',
      [node('a', undefined, 5), node('b', 'a'), node('c', 'b', 5)],
      5,
    ],
    ['a parent that is not there hides nothing', [node('b', 'gone', 1), node('c', 'gone', 2)], 3],
  ])('%s', (_, nodes, input) => {
    expect(summed(nodes, usageKeys)).toMatchObject({ input_tokens: input })
    expect(summed([...nodes].reverse(), usageKeys)).toMatchObject({ input_tokens: input })
  })

  it('are unknown where no span has any, and a circle of parents ends', () => {
    expect(summed([node('a', 'b'), node('b', 'a')], usageKeys)).toBeUndefined()
  })

  it('of a chain of 100,000 spans are summed without a stack', () => {
    const chain = Array.from({ length: 100_000 }, (_, n) => node(String(n), n === 0 ? undefined : String(n - 1), 1))
    expect(summed(chain, usageKeys)).toMatchObject({ input_tokens: 1 })
  })
})

describe('a preview', () => {
  it.each([
    ['{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}', 'user', 'a'],
    ['{"choices": [{"message": {"role": "assistant", "content": "c"}}]}', 'assistant', 'c'],
    ['{"request": {"input": [{"role": "user", "content": [{"type": "text", "text": "d"}]}]}}', 'user', 'd'],
    ['{"x": 1}', 'user', '{"x": 1}'],
    ['not json', 'assistant', 'not json'],
  ] as const)('of %s for the %s is %s', (json, role, preview) => {
    expect(previewOf(json, role)).toBe(preview)
  })

  it('has at most 1,000 characters', () => {
    const preview = previewOf('x'.repeat(1001), 'user')
    expect([preview.length, preview.slice(-4)]).toEqual([1000, 'x...'])
  })
})

describe('a correlation', () => {
  it.each([
    ['always together', { joint: 5, first: 5, second: 5, total: 10 }, 1],
    ['never together', { joint: 0, first: 5, second: 5, total: 10 }, -1],
    // ln(25·100 / (50·50)) = 0
    ['independent', { joint: 25, first: 50, second: 50, total: 100 }, 0],
  ])('of what is %s', (_, counts, npmi) => {
    expect(correlationOf(counts).npmi).toBeCloseTo(npmi, 12)
  })

  it('is unknown where one of them does not occur', () => {
    expect(correlationOf({ joint: 0, first: 0, second: 5, total: 10 }).npmi).toBeNaN()
  })
})
