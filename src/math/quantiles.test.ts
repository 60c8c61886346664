import { expect, test } from 'vitest'
import { ascending, countPerCell, histogram, nextAbove, quantile, sturgesEdges } from './quantiles.ts'

// Expected values: numpy 2.4.6 (quantile, histogram_bin_edges with 'sturges', histogram).
test('quantiles are numpy’s, interpolated linearly', () => {
  expect(quantile([1, 2, 4, 8, 16.5], 0.3)).toBeCloseTo(2.4, 14)
  expect(quantile([0.1, 0.2, 0.3], 0.9)).toBe(0.28)
  expect([quantile([5], 0), quantile([5], 1), quantile([1, 9], 1)]).toEqual([5, 5, 9])
  expect(quantile([], 0.5)).toBeNaN()
})

test('ascending sorts by number and leaves its argument alone', () => {
  const values = [10, 9, -1]
  expect([...ascending(values)]).toEqual([-1, 9, 10])
  expect(values).toEqual([10, 9, -1])
})

test('a cell holds its lower edge and not its upper', () => {
  expect(countPerCell([-5, 0, 0.5, 1, 7], [0, 1])).toEqual([1, 2, 2])
  expect(countPerCell([1, 2], [])).toEqual([2])
})

test('a histogram closes its last cell on both sides, as numpy’s', () => {
  expect(histogram([0, 1, 1, 2, 3, 3], [0, 1, 2, 3])).toEqual([1, 2, 3])
  expect(histogram([-1, 4], [0, 1])).toEqual([0])
})

test('Sturges’ cells are numpy’s, also for whole numbers and for one value', () => {
  expect(sturgesEdges([1, 2, 3, 4])).toEqual([1, 2, 3, 4])
  expect(sturgesEdges([0.1, 0.5, 2.2])).toEqual([0.1, 0.8, 1.5000000000000002, 2.2])
  expect(sturgesEdges([3, 3])).toEqual([2.5, 3.5])
})

test('no double lies between a value and the next above it', () => {
  expect(nextAbove(1)).toBe(1 + Number.EPSILON)
  expect(nextAbove(0)).toBe(Number.MIN_VALUE)
  expect(nextAbove(-1)).toBe(-1 + Number.EPSILON / 2)
})
