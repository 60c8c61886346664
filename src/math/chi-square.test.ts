import { expect, test } from 'vitest'
import { chiSquareContingency, chiSquareGoodness } from './chi-square.ts'

// Expected values: scipy 1.17.1, stats.chisquare and stats.chi2_contingency.
test('goodness of fit is scipy’s chisquare', () => {
  const fit = chiSquareGoodness([16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8])
  expect(fit.statistic).toBeCloseTo(3.5, 12)
  expect(fit.pValue).toBeCloseTo(0.6233876277495822, 12)
})

test('goodness of fit refuses expected counts with another sum', () => {
  expect(() => chiSquareGoodness([5, 5], [5, 6])).toThrow('sum 10')
})

test('what was expected nowhere makes the fit impossible', () => {
  expect(chiSquareGoodness([5, 5], [10, 0]).pValue).toBe(0)
})

test('contingency is scipy’s, with Yates’ correction for one degree of freedom', () => {
  const wide = chiSquareContingency([10, 20, 30], [6, 9, 17])
  expect(wide.dof).toBe(2)
  expect(wide.statistic).toBeCloseTo(0.27157465150403504, 12)
  expect(wide.pValue).toBeCloseTo(0.873028283380073, 12)
  const square = chiSquareContingency([10, 20], [6, 29])
  expect(square.statistic).toBeCloseTo(1.4928404397473276, 12)
  expect(square.pValue).toBeCloseTo(0.22177627206358658, 12)
  expect(chiSquareContingency([10, 20], [10, 20.5]).pValue).toBe(1)
})

test('nothing to compare is no evidence', () => {
  expect(chiSquareContingency([5], [9]).pValue).toBe(1)
  expect(chiSquareContingency([5, 0], [9, 0]).pValue).toBe(1)
  expect(chiSquareContingency([0, 0], [9, 1]).pValue).toBe(1)
})
