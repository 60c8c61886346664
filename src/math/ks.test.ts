import { expect, test } from 'vitest'
import { ksTwoSample } from './ks.ts'

const spread = (n: number, step: number, offset: number) =>
  Array.from({ length: n }, (_, i) => ((i * step) % 1009) / 1009 + offset)

// Expected values: scipy 1.17.1, stats.ks_2samp(a, b) with method 'auto' and 'asymp'.
test.each([
  [7, 5, 3, 0.1, 1, 0.0025252525252525255, 0],
  [300, 201, 17, 0.05, 0.06835820895522388, 0.596189623584704, 0.6045593187541481],
  [997, 1000, 5, 0.2, 0.2048555667001003, 7.699492172160881e-19, 7.702700965822168e-19],
  [3, 900, 11, 0.3, 1, 1.6351672008744306e-8, 0],
  [12_000, 40, 7, 0.2, 0.45058333333333334, 6.229797495516298e-8, 6.229797495516298e-8],
  [12_000, 900, 7, 0.03, 0.0315833333333333, 0.3664378200996101, 0.3664378200996101],
  [9000, 9000, 7, 0.01, 0.012888888888888889, 0.4434151864750736, 0.439739211691353],
])('samples of %d and %d give scipy’s statistic and p-values', (n, m, step, offset, statistic, pAuto, pAsymptotic) => {
  const a = spread(n, step, 0)
  const b = spread(m, step + 2, offset)
  const auto = ksTwoSample(a, b)
  expect(Math.abs(auto.statistic - statistic)).toBeLessThan(1e-12)
  expect(Math.abs(auto.pValue - pAuto)).toBeLessThanOrEqual(1e-9 * pAuto)
  expect(auto.method).toBe(Math.max(n, m) > 10_000 ? 'asymptotic' : 'exact')
  const asymptotic = ksTwoSample(a, b, { method: 'asymptotic' })
  expect(Math.abs(asymptotic.pValue - pAsymptotic)).toBeLessThanOrEqual(1e-8 * pAsymptotic)
})

test('a sample does not differ from itself, and sides may be swapped', () => {
  const a = spread(60, 7, 0)
  const b = spread(45, 5, 0.1)
  expect(ksTwoSample(a, a)).toEqual({ statistic: 0, pValue: 1, method: 'exact' })
  expect(ksTwoSample(a, b)).toEqual(ksTwoSample(b, a))
})

test('an empty sample has no statistic', () => {
  expect(ksTwoSample([], [1]).pValue).toBeNaN()
})
