import type { Share } from '../../kernel/units.ts'
import { sumOf } from '../../math/cells.ts'
import { chiSquareContingency } from '../../math/chi-square.ts'
import {
  type CategoricalProfile,
  countCategories,
  type FeatureKind,
  type FeatureProfile,
  mostFrequentFirst,
  type NumericProfile,
  numbersIn,
  type Values,
} from '../../math/feature-profile.ts'
import { jensenShannon } from '../../math/jensen-shannon.ts'
import { ksTwoSample } from '../../math/ks.ts'
import { proportionZTest } from '../../math/proportions.ts'
import { psi } from '../../math/psi.ts'
import { countPerCell } from '../../math/quantiles.ts'

export type TestResult = { statistic: number; pValue: number }

/** One feature of a window of predictions beside its reference. Statistics are null where a side has no value to compare. */
export type FeatureComparison = {
  feature: string
  kind: FeatureKind
  /** Population stability index over the reference's cells; of categories: over those that the reference knows. */
  psi: number | null
  /** How often chance alone gives counts so far apart in the cells of `psi` (chi² of both counts); none where psi is null. */
  psiPValue?: number
  /** Numeric: Kolmogorov–Smirnov against the reference's sample. */
  ks?: TestResult
  /** Categorical: contingency test over the categories that the reference knows. */
  chi2?: TestResult
  /** Distance with natural logarithms, 0..0.8326, over the same cells as PSI. */
  jensenShannon: number | null
  /** Shares of rows without a value; p of the two-proportion z-test. */
  missing: { reference: Share; current: Share; pValue: number }
  /** Categories that the reference does not know, most frequent first, at most 20 of them. */
  newCategories: string[]
  /** Rows in all new categories as a share of the current rows. */
  newCategoryShare: Share
  /** Rows of the current window, missing ones included. */
  n: number
  /** Those of them with a value. */
  present: number
}

const namedCategories = 20

/**
 * Compares a window of one feature with its reference, by Modelwright's default statistics: PSI over the reference's decile
 * cells (an empty cell counts as 1e-4), Jensen–Shannon distance, KS as scipy's `auto` (numeric) or chi² as
 * scipy's chi2_contingency (categorical), and the share of missing values, which is always scored.
 *
 * New categories are named with their share and left out of PSI, Jensen–Shannon and chi²: filled as an empty cell, one rare
 * new word would outweigh all the rest. Where the reference kept only its 200 most frequent categories, an unknown
 * category cannot be told from a rare one: both count as `other`, and none is called new.
 *
 * @param reference made by profileColumn from the training data
 * @param current the window's values; its kind is the reference's (a text in a numeric feature counts as missing)
 * @param options.feature the column's name
 */
export function compareFeature(
  reference: FeatureProfile,
  current: Values,
  options: { feature: string },
): FeatureComparison {
  return reference.kind === 'numeric'
    ? compareNumeric(reference, current, options.feature)
    : compareCategorical(reference, current, options.feature)
}

function compareNumeric(reference: NumericProfile, current: Values, feature: string): FeatureComparison {
  const numbers = numbersIn(current)
  const shared = {
    feature,
    kind: 'numeric' as const,
    missing: compareMissing(reference, current.length, numbers.length),
    newCategories: [],
    newCategoryShare: 0,
    n: current.length,
    present: numbers.length,
  }
  if (numbers.length === 0 || reference.sample.length === 0) return { ...shared, psi: null, jensenShannon: null }
  const cells = countPerCell(numbers, reference.edges)
  const { statistic, pValue } = ksTwoSample(reference.sample, numbers)
  return {
    ...shared,
    psi: psi(reference.cellCounts, cells),
    psiPValue: chiSquareContingency(reference.cellCounts, cells).pValue,
    ks: { statistic, pValue },
    jensenShannon: jensenShannon(reference.cellCounts, cells),
  }
}

function compareCategorical(reference: CategoricalProfile, current: Values, feature: string): FeatureComparison {
  const counts = countCategories(current)
  const present = sumOf([...counts.values()])
  const known = new Set(reference.counts.map(({ category }) => category))
  const unknown = [...counts].map(([category, count]) => ({ category, count })).filter((c) => !known.has(c.category))
  const unknownRows = sumOf(unknown.map(({ count }) => count))
  const capped = reference.other.categories > 0
  const cells = reference.counts.map(({ category }) => counts.get(category) ?? 0)
  const referenceCells = reference.counts.map(({ count }) => count)
  if (capped) {
    cells.push(unknownRows)
    referenceCells.push(reference.other.count)
  }
  const fresh = capped ? [] : unknown.sort(mostFrequentFirst)
  const shared = {
    feature,
    kind: 'categorical' as const,
    missing: compareMissing(reference, current.length, present),
    newCategories: fresh.slice(0, namedCategories).map(({ category }) => category),
    newCategoryShare: fresh.length === 0 ? 0 : unknownRows / current.length,
    n: current.length,
    present,
  }
  if (sumOf(cells) === 0 || sumOf(referenceCells) === 0) return { ...shared, psi: null, jensenShannon: null }
  const { statistic, pValue } = chiSquareContingency(referenceCells, cells)
  return {
    ...shared,
    psi: psi(referenceCells, cells),
    psiPValue: pValue,
    chi2: { statistic, pValue },
    jensenShannon: jensenShannon(referenceCells, cells),
  }
}

function compareMissing(reference: FeatureProfile, rows: number, present: number): FeatureComparison['missing'] {
  const before = { hits: reference.missing, count: reference.count }
  const now = { hits: rows - present, count: rows }
  const share = ({ hits, count }: { hits: number; count: number }) => (count === 0 ? 0 : hits / count)
  return { reference: share(before), current: share(now), pValue: proportionZTest(before, now).pValue }
}
