import { bug } from '../kernel/errors.ts'
import { checkSameCells, sumOf } from './cells.ts'
import { chiSquareTail } from './special-functions.ts'

export type ChiSquare = { statistic: number; pValue: number; dof: number }

/**
 * Pearson's goodness of fit Σ (o − e)² / e with k − 1 degrees of freedom. Source: scipy.stats.chisquare.
 *
 * An expected count of 0 where something was observed makes the statistic Infinity and p = 0: compare new categories apart.
 *
 * @param observed counts of k cells
 * @param expected counts of the same cells, with the same sum (Internal when they differ by more than 1.5e-8 of it)
 * @returns p in [0, 1]; p = 1 for a single cell
 */
export function chiSquareGoodness(observed: readonly number[], expected: readonly number[]): ChiSquare {
  checkSameCells(expected, observed)
  const [seen, awaited] = [sumOf(observed), sumOf(expected)]
  if (Math.abs(seen - awaited) > 1.5e-8 * Math.min(seen, awaited)) {
    throw bug(`Observed counts of sum ${seen} were to be compared with expected counts of sum ${awaited}.`)
  }
  let statistic = 0
  for (let i = 0; i < observed.length; i++) {
    if (observed[i] !== expected[i]) statistic += (observed[i]! - expected[i]!) ** 2 / expected[i]!
  }
  return tested(statistic, observed.length - 1)
}

/**
 * Pearson's test that two samples of counts over the same categories come from one distribution (a 2 × k table).
 * Source: scipy.stats.chi2_contingency; like it, one degree of freedom gets Yates' correction unless `yates: false`.
 * Categories that are empty in both are left out (scipy refuses them).
 *
 * @param reference counts of k categories
 * @param current counts of the same categories (Internal where their number differs)
 * @returns p in [0, 1]; p = 1 where fewer than two categories are left or a sample is empty
 */
export function chiSquareContingency(
  reference: readonly number[],
  current: readonly number[],
  options: { yates?: boolean } = {},
): ChiSquare {
  checkSameCells(reference, current)
  const rows = reference.map((count, i) => [count, current[i]!] as const).filter(([r, c]) => r + c > 0)
  const totals = [0, 0]
  for (const [r, c] of rows) {
    totals[0]! += r
    totals[1]! += c
  }
  const all = totals[0]! + totals[1]!
  const dof = rows.length - 1
  if (dof < 1 || totals[0] === 0 || totals[1] === 0) return { statistic: 0, pValue: 1, dof: Math.max(0, dof) }
  const correction = dof === 1 && (options.yates ?? true) ? 0.5 : 0
  let statistic = 0
  for (const row of rows) {
    for (const side of [0, 1] as const) {
      const expected = ((row[0] + row[1]) * totals[side]!) / all
      const gap = Math.abs(row[side] - expected)
      statistic += (gap - Math.min(correction, gap)) ** 2 / expected
    }
  }
  return tested(statistic, dof)
}

const tested = (statistic: number, dof: number): ChiSquare => ({
  statistic,
  dof,
  pValue: dof > 0 ? chiSquareTail(statistic, dof) : 1,
})
