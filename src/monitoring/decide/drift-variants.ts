import { bug } from '../../kernel/errors.ts'
import { fillEmpty, sharesOf, sumOf } from '../../math/cells.ts'
import { chiSquareContingency, chiSquareGoodness } from '../../math/chi-square.ts'
import { hellinger, kullbackLeibler, totalVariation } from '../../math/divergences.ts'
import type { FeatureKind } from '../../math/feature-profile.ts'
import { jensenShannon } from '../../math/jensen-shannon.ts'
import { ksTwoSample } from '../../math/ks.ts'
import { proportionZTest } from '../../math/proportions.ts'
import { psi, psiOfShares } from '../../math/psi.ts'
import { ascending, countPerCell, deciles, extent, histogram, meanAndStd, sturgesEdges } from '../../math/quantiles.ts'
import { normalCdf } from '../../math/special-functions.ts'
import { energyDistance, wasserstein } from '../../math/wasserstein.ts'

/** Present values only: finite numbers of a numeric feature, or the categories of a categorical one. Not empty. */
export type Sample = { kind: 'numeric'; values: readonly number[] } | { kind: 'categorical'; values: readonly string[] }

/** `p-value`: small means drift; `distance`: great means drift. `score` throws Internal for a sample of another kind. */
export type DriftVariant = {
  kinds: readonly FeatureKind[]
  scale: 'p-value' | 'distance'
  score: (reference: Sample, current: Sample) => number
}

const ofNumbers = (
  scale: DriftVariant['scale'],
  score: (reference: readonly number[], current: readonly number[]) => number,
): DriftVariant => ({ kinds: ['numeric'], scale, score: (r, c) => score(numbersOf(r), numbersOf(c)) })

const ofCategories = (
  scale: DriftVariant['scale'],
  score: (reference: number[], current: number[]) => number,
): DriftVariant => ({ kinds: ['categorical'], scale, score: (r, c) => score(...countsOf(r, c)) })

const ofBoth = (score: DriftVariant['score']): DriftVariant => ({
  kinds: ['numeric', 'categorical'],
  scale: 'distance',
  score,
})

/**
 * Drift scores that give the same figures as other tools, for those who move from them. Names without a prefix are scipy's
 * statistics (1.17); `evidently_…` is what Evidently 0.7 reports under that name, faults included.
 */
export const driftVariants = {
  ks: ofNumbers('p-value', (r, c) => ksTwoSample(r, c).pValue),
  ks_asymptotic: ofNumbers('p-value', (r, c) => ksTwoSample(r, c, { method: 'asymptotic' }).pValue),
  ks_statistic: ofNumbers('distance', (r, c) => ksTwoSample(r, c).statistic),
  wasserstein: ofNumbers('distance', wasserstein),
  energy: ofNumbers('distance', energyDistance),
  psi_deciles: ofNumbers('distance', psiOverDeciles),
  chi2: ofCategories('p-value', (r, c) => chiSquareContingency(r, c).pValue),
  chi2_uncorrected: ofCategories('p-value', (r, c) => chiSquareContingency(r, c, { yates: false }).pValue),
  psi_categories: ofCategories('distance', psi),
  jensen_shannon: ofCategories('distance', jensenShannon),
  jensen_shannon_base2: ofCategories('distance', (r, c) => jensenShannon(r, c, 2)),
  hellinger: ofCategories('distance', hellinger),
  total_variation: ofCategories('distance', totalVariation),

  evidently_ks: ofNumbers('p-value', (r, c) => ksTwoSample(r, c).pValue),
  // In units of the reference's population deviation, but never less than 0.001.
  evidently_wasserstein: ofNumbers('distance', (r, c) => wasserstein(r, c) / Math.max(meanAndStd(r).std, 0.001)),
  evidently_ed: ofNumbers('distance', energyDistance),
  // Goodness of fit to the reference taken as exact: twice as sure as it should be, and p = 0 for any new category.
  evidently_chisquare: ofCategories('p-value', (r, c) => chiSquareGoodness(c, scaledTo(r, c)).pValue),
  evidently_z: { kinds: ['categorical'], scale: 'p-value', score: evidentlyZ },
  evidently_psi: ofBoth((r, c) => psiOfShares(...filled(evidentlyShares(r, c)))),
  evidently_jensenshannon: ofBoth((r, c) => jensenShannon(...evidentlyShares(r, c))),
  evidently_kl_div: ofBoth((r, c) => kullbackLeibler(...filled(evidentlyShares(r, c)))),
  evidently_hellinger: ofBoth(evidentlyHellinger),
} as const satisfies Record<string, DriftVariant>

export type DriftVariantName = keyof typeof driftVariants

/**
 * The method that Evidently takes where none is named, and the bound beyond which it calls the column drifted.
 *
 * @param reference its size and number of different values decide (up to 1,000 rows: tests; more: distances)
 */
export function evidentlyDefault(reference: Sample): {
  variant: DriftVariantName
  drifted: (score: number) => boolean
} {
  const distinct = new Set<number | string>(reference.values).size
  const test = (variant: DriftVariantName) => ({ variant, drifted: (p: number) => p < 0.05 })
  const distance = (variant: DriftVariantName) => ({ variant, drifted: (d: number) => d >= 0.1 })
  const numeric = reference.kind === 'numeric' && distinct > 5
  if (reference.values.length > 1000) return distance(numeric ? 'evidently_wasserstein' : 'evidently_jensenshannon')
  if (numeric) return test('evidently_ks')
  return test(distinct > 2 ? 'evidently_chisquare' : 'evidently_z')
}

// The textbook's: cut at the reference's different inner deciles, outer cells open.
function psiOverDeciles(reference: readonly number[], current: readonly number[]): number {
  const edges = [...new Set(deciles(ascending(reference)))].slice(1, -1)
  return psi(countPerCell(reference, edges), countPerCell(current, edges))
}

type Pair = [reference: number[], current: number[]]

// More than 20 different numbers: equal widths over both samples together, as many as Sturges says; else one cell per value.
function evidentlyShares(reference: Sample, current: Sample): Pair {
  if (reference.kind === 'categorical' || new Set(reference.values).size <= 20) {
    const [r, c] = countsOf(reference, current)
    return [sharesOf(r), sharesOf(c)]
  }
  const now = numbersOf(current)
  const edges = sturgesEdges([...reference.values, ...now])
  return [sharesOf(histogram(reference.values, edges)), sharesOf(histogram(now, edges))]
}

// An empty cell becomes 1e-4, or a millionth of the smallest share where that is no more than 1e-4; not normalised again.
const filled = (shares: Pair): Pair => [fillAsEvidently(shares[0]), fillAsEvidently(shares[1])]

function fillAsEvidently(shares: number[]): number[] {
  const { low: smallest } = extent(shares.filter((share) => share > 0))
  return fillEmpty(shares, smallest <= 1e-4 ? smallest / 1e6 : 1e-4)
}

// The share of all values but the first in order; 2·(1 − Φ(|z|)) loses small p-values, and so it is reproduced.
function evidentlyZ(reference: Sample, current: Sample): number {
  const first = [...new Set([...categoriesOf(reference), ...categoriesOf(current)])].sort()[0]
  const hits = (sample: Sample) => {
    const categories = categoriesOf(sample)
    return { hits: categories.filter((category) => category !== first).length, count: categories.length }
  }
  return 2 * (1 - normalCdf(Math.abs(proportionZTest(hits(reference), hits(current)).z)))
}

// Numbers are cut by Sturges' rule over the *different* values of both samples.
function evidentlyHellinger(reference: Sample, current: Sample): number {
  if (reference.kind === 'categorical') return hellinger(...countsOf(reference, current))
  const now = numbersOf(current)
  const edges = sturgesEdges([...new Set([...reference.values, ...now])])
  return hellinger(histogram(reference.values, edges), histogram(now, edges))
}

function scaledTo(reference: number[], current: number[]): number[] {
  const scale = sumOf(current) / sumOf(reference)
  return reference.map((count) => count * scale)
}

/** Counts per category of both samples, over the union of their categories. */
function countsOf(reference: Sample, current: Sample): Pair {
  const cells = new Map<number | string, [number, number]>()
  for (const [side, sample] of [reference, current].entries()) {
    for (const value of sample.values) {
      const cell = cells.get(value) ?? [0, 0]
      cell[side]!++
      cells.set(value, cell)
    }
  }
  return [[...cells.values()].map(([count]) => count), [...cells.values()].map(([, count]) => count)]
}

function numbersOf(sample: Sample): readonly number[] {
  if (sample.kind === 'numeric') return sample.values
  throw bug('A drift variant for numbers was given categories.')
}

function categoriesOf(sample: Sample): readonly string[] {
  if (sample.kind === 'categorical') return sample.values
  throw bug('A drift variant for categories was given numbers.')
}
