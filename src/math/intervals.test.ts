import { expect, test } from 'vitest'
import { wilsonInterval } from './intervals.ts'
import { proportionZTest } from './proportions.ts'

// Expected values: scipy 1.17.1, binomtest(hits, count).proportion_ci(confidence, 'wilson').
test.each([
  [8, 10, 0.95, 0.4901624715366418, 0.9433178485456248],
  [0, 20, 0.95, 0, 0.16112515805281935],
  [20, 20, 0.99, 0.7508945989012464, 1],
  [47, 1000, 0.9, 0.037161063729183444, 0.059283544646039604],
])('the Wilson interval of %d in %d at %d is scipy’s', (hits, count, confidence, low, high) => {
  const interval = wilsonInterval({ hits, count }, confidence)
  expect(interval.low).toBeCloseTo(low, 12)
  expect(interval.high).toBeCloseTo(high, 12)
})

test('no trials tell nothing about a proportion', () => {
  expect(wilsonInterval({ hits: 0, count: 0 })).toEqual({ low: 0, high: 1 })
})

test('the z-test of proportions equals the uncorrected chi² of the table', () => {
  // binary of the drift fixtures, 2,000 and 1,500 rows: scipy's chi2_contingency(correction=False).
  const { z, pValue } = proportionZTest({ hits: 601, count: 2000 }, { hits: 585, count: 1500 })
  expect(z ** 2).toBeCloseTo(30.646954675769305, 10)
  expect(Math.abs(pValue / 3.095120081227029e-8 - 1)).toBeLessThan(1e-10)
})

test('where nothing varies, proportions do not differ', () => {
  expect(proportionZTest({ hits: 0, count: 10 }, { hits: 0, count: 3 })).toEqual({ z: 0, pValue: 1 })
  expect(proportionZTest({ hits: 0, count: 0 }, { hits: 2, count: 3 }).pValue).toBe(1)
})
