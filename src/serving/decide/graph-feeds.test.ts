import { expect, it } from 'vitest'
import { numbersOf, type Tensor } from '../tensor.ts'
import { castTo, graphFeeds, refusedValue } from './graph-feeds.ts'

const column = (name: string, values: number[]): Tensor => ({
  name,
  datatype: 'FP64',
  shape: [values.length],
  bytes: Buffer.from(Float64Array.from(values).buffer),
})
const input = (name: string, shape: number[]) => ({ name, datatype: 'FP64' as const, shape, required: true })
const columns = [input('a', [-1, 1]), input('b', [-1, 1])]

it('lays columns side by side in the order of the signature, whatever the order of the request', () => {
  const feeds = graphFeeds([column('b', [3, 4]), column('a', [1, 2])], [input('X', [-1, 2])], columns)
  if ('problem' in feeds) throw new Error(feeds.problem)
  expect(feeds.tensors[0]).toMatchObject({ name: 'X', shape: [2, 2] })
  expect([...numbersOf(feeds.tensors[0]!)]).toEqual([1, 3, 2, 4])
})

it('cuts a matrix into the columns of a graph that takes them one by one', () => {
  const matrix = { ...column('table', [1, 3, 2, 4]), shape: [2, 2] }
  const feeds = graphFeeds([matrix], [input('a', [-1]), input('b', [-1])], columns)
  if ('problem' in feeds) throw new Error(feeds.problem)
  expect(feeds.tensors.map((one) => [...numbersOf(one)])).toEqual([
    [1, 2],
    [3, 4],
  ])
})

it.each([
  [[column('a', [1])], 'The column "b" is missing; the model takes "a", "b".'],
  [[{ ...column('t', [1, 2, 3]), shape: [1, 3] }], 'The input has 3 columns; the model takes 2.'],
  [
    [column('a', [1]), { ...column('b', [1]), datatype: 'BYTES' as const }],
    'The column "b" is of BYTES; the model takes numbers.',
  ],
])('says what does not fit: %#', (tensors, problem) => {
  expect(graphFeeds(tensors as Tensor[], [input('X', [-1, 2])], columns)).toEqual({ problem })
})

it('rounds to floats as the libraries do, and keeps whole numbers whole', () => {
  expect(numbersOf(castTo(column('a', [0.1]), 'FP32')!)[0]).toBe(Math.fround(0.1))
  expect(numbersOf(castTo(column('a', [7]), 'INT64')!)[0]).toBe(7n)
})

it('finds the first value that the original would raise an error on', () => {
  const refused = {
    missing: new Set(['b']),
    infinite: new Set(['a']),
    large: new Set(['a']),
    empty: true,
    categories: new Map(),
  }
  const say = (values: number[]) =>
    refusedValue([{ ...column('X', values), shape: [2, 2] }], refused, columns, () => [])
  expect(say([1, 2, 3, 4])).toBeUndefined()
  expect(say([Number.NaN, 2, 3, Number.NaN])).toBe('Column "b", row 1: the value is missing, which the model refuses.')
  expect(say([Number.POSITIVE_INFINITY, 2, 3, 4])).toBe(
    'Column "a", row 0: the value is infinite, which the model refuses.',
  )
  expect(say([1, 1e39, 1e39, 4])).toBe('Column "a", row 1: the value is too large, which the model refuses.')
  expect(refusedValue([{ ...column('X', []), shape: [0, 2] }], refused, columns, () => [])).toBe(
    'There are no rows, which the model refuses.',
  )
})
