import { describe, expect, it } from 'vitest'
import { datasetFilter, datasetOrder } from './dataset-search.ts'
import { issueFilter } from './issue-search.ts'

describe('the search for evaluation datasets', () => {
  it('asks for names, people, times and tags', () => {
    expect(
      datasetFilter("name IN ('a', 'b') AND created_by = 'me' AND last_update_time >= 5 and tags.`a b` ILIKE '%x'"),
    ).toEqual([
      { type: 'attribute', key: 'name', comparator: 'IN', value: ['a', 'b'] },
      { type: 'attribute', key: 'created_by', comparator: '=', value: 'me' },
      { type: 'attribute', key: 'updated_at', comparator: '>=', value: 5 },
      { type: 'tag', key: 'a b', comparator: 'ILIKE', value: '%x' },
    ])
  })

  it.each([
    ["nme = 'x'", 'nme'],
    ["attributes.name = 'x'", 'attributes'],
    ["name NOT IN ('a')", 'only supported with the IN comparator'],
    ["created_by IN ('a')", 'support comparison with a list'],
    ['created_time > 1.5', "Invalid value for numeric attribute 'created_time'"],
    ["created_time > 'a'", 'Expected numeric value type'],
    ["name = 'a' OR name = 'b'", 'Invalid clause(s) in filter string'],
  ])('does not know %s', (filter, words) => {
    expect(() => datasetFilter(filter)).toThrow(words)
  })

  it('orders by name and times, newest first unless told otherwise', () => {
    expect(datasetOrder(undefined)).toEqual([{ column: 'created_at', descending: true }])
    expect(datasetOrder(['name', 'last_update_time DESC'])).toEqual([
      { column: 'name', descending: false },
      { column: 'updated_at', descending: true },
    ])
  })

  it.each(['tags.a', 'created_by', 'nonsense'])('does not order by %s', (term) => {
    expect(() => datasetOrder([term])).toThrow(/order_by|Invalid attribute key/)
  })
})

describe('the search for issues', () => {
  it('asks for status and run', () => {
    expect(issueFilter("status = 'pending' AND source_run_id != 'r'")).toEqual([
      { type: 'attribute', key: 'status', comparator: '=', value: 'pending' },
      { type: 'attribute', key: 'source_run_id', comparator: '!=', value: 'r' },
    ])
  })

  it.each([["name = 'x'"], ["status LIKE 'x'"], ["status IN ('x')"], ['status = 1']])('does not know %s', (filter) => {
    expect(() => issueFilter(filter)).toThrow(/Invalid|Only|Expected/)
  })
})
