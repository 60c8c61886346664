import { describe, expect, it } from 'vitest'
import { processorMs } from '../../../test/support/processor-time.ts'
import { type Grammar, parseFilter, parseOrder, parseOrderTerm } from './search-filter.ts'

const grammar: Grammar<'metric' | 'parameter' | 'tag'> = {
  types: {
    metric: 'metric',
    metrics: 'metric',
    param: 'parameter',
    params: 'parameter',
    tag: 'tag',
    tags: 'tag',
    attributes: 'attribute',
  },
  attributes: {
    name: { name: 'name', value: 'text' },
    start_time: { name: 'started_at', value: 'number' },
    created: { name: 'started_at', value: 'number' },
  },
  lists: ['name'],
  nullable: ['tag'],
  numeric: ['metric'],
}

const parsed = (text: string) =>
  parseFilter(text, grammar).map(({ type, key, comparator, value }) => [type, key, comparator, value])

describe('a filter', () => {
  it.each([
    ['', []],
    ['   ', []],
    ['metrics.auc > 0.5', [['metric', 'auc', '>', 0.5]]],
    ['metric.auc>=-1e-3', [['metric', 'auc', '>=', -0.001]]],
    ['metrics.`a b/c` != 3', [['metric', 'a b/c', '!=', 3]]],
    ['metrics."a b" < .5', [['metric', 'a b', '<', 0.5]]],
    [
      "params.depth = '3' AND tags.x LIKE '%a'",
      [
        ['parameter', 'depth', '=', '3'],
        ['tag', 'x', 'LIKE', '%a'],
      ],
    ],
    [
      'params.a = "x" and params.b ilike \'Y\'',
      [
        ['parameter', 'a', '=', 'x'],
        ['parameter', 'b', 'ILIKE', 'Y'],
      ],
    ],
    ["tags.mlflow.source.name = 'x AND y'", [['tag', 'mlflow.source.name', '=', 'x AND y']]],
    ["name IN ('a', 'b')", [['attribute', 'name', 'IN', ['a', 'b']]]],
    ["attributes.name NOT IN ('a')", [['attribute', 'name', 'NOT IN', ['a']]]],
    ["name IN ('a',)", [['attribute', 'name', 'IN', ['a']]]],
    ['tags.x IS NULL', [['tag', 'x', 'IS NULL', undefined]]],
    ['tags.x is not null', [['tag', 'x', 'IS NOT NULL', undefined]]],
    ['metrics.a = 1 AND', [['metric', 'a', '=', 1]]],
    ['created > 5', [['attribute', 'started_at', '>', 5]]],
    ['"created" > 5', [['attribute', 'started_at', '>', 5]]],
  ])('%s', (text, clauses) => {
    expect(parsed(text)).toEqual(clauses)
  })

  it.each([
    ["metrics.auc > 'a'", 'Expected numeric value type for metric'],
    ['params.a = 3', 'Expected a quoted string value for parameter'],
    ['params.a = b', 'not quoted'],
    ["params.a > 'x'", "Invalid comparator '>'"],
    ["metrics.a LIKE 'x'", "Expected numeric value type for metric. Found 'x'"],
    ['metrics.a IN (1)', 'Expected numeric value type for metric. Found (1)'],
    ["params.a == 'x'", "Invalid comparator '=='"],
    ["params.a = 'x' OR params.b = 'y'", 'Invalid clause'],
    ["params.a = 'x' params.b = 'y'", 'Invalid clause'],
    ["params.a = 'x';", "Invalid clause(s) in filter string: ';'"],
    ["params.a = 'x'; params.b = 'y'", 'multiple expression'],
    ["nonsense.a = 'x'", "Invalid entity type 'nonsense'"],
    ["unknown = 'x'", "Invalid attribute key 'unknown'"],
    ["constructor = 'x'", "Invalid attribute key 'constructor'"],
    ['name IN ()', 'empty list'],
    ['name IN (1)', 'different type in list'],
    ["name IN ('a'", 'ill-formed list'],
    ["params.a IN ('a')", "Got value ('a')"],
    ['params.a IS NULL', 'IS NULL / IS NOT NULL is only supported for tags'],
    ["params.a = 'open", 'Expected a quoted string'],
    ['metrics.a', 'Invalid clause'],
    ['= 3', 'Invalid clause'],
    ["(params.a = 'x')", 'Invalid clause'],
  ])('%s is refused: %s', (text, words) => {
    expect(() => parsed(text)).toThrow(words)
  })

  it('lists no more values than the databases take', () => {
    const listing = (count: number) => `name IN (${Array(count).fill("'a'").join(',')})`
    expect(parsed(listing(14_000))).toHaveLength(1)
    expect(() => parsed(listing(16_000))).toThrow('at most 30000 words')
  })

  it('never takes long, whatever the text', async () => {
    const texts = ["'".repeat(50_000), '`'.repeat(50_000), 'a.'.repeat(25_000), '1'.repeat(50_000), '('.repeat(50_000)]
    const refuseAll = () => {
      for (const text of texts) expect(() => parsed(text)).toThrow()
    }
    expect(await processorMs(refuseAll)).toBeLessThan(2000)
  })
})

describe('an order', () => {
  it.each([
    ['metrics.auc DESC', { type: 'metric', key: 'auc', descending: true }],
    ['params.`a b` asc', { type: 'parameter', key: 'a b', descending: false }],
    ['start_time', { type: 'attribute', key: 'started_at', descending: false }],
  ])('%s', (text, term) => {
    expect(parseOrderTerm(text, grammar)).toEqual(term)
  })

  it('has no more fields than the databases take, each of which may be a join', () => {
    const fields = (count: number) => Array.from({ length: count }, (_, i) => `metrics.a${i}`)
    expect(parseOrder(fields(30), grammar)).toHaveLength(30)
    expect(() => parseOrder(fields(31), grammar)).toThrow('at most 30 fields')
  })

  it.each(['', 'metrics.auc up', 'metrics.auc DESC extra', 'nonsense.x', '1'])('%j is refused', (text) => {
    expect(() => parseOrderTerm(text, grammar)).toThrow()
  })
})

it('takes a text without quotes only where the grammar says so', () => {
  expect(() => parseFilter('name = READY', grammar)).toThrow('either not quoted')
  expect(parseFilter('name = READY', { ...grammar, bareTexts: true })).toMatchObject([
    { type: 'attribute', key: 'name', comparator: '=', value: 'READY' },
  ])
})
