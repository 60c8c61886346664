import { type Comparator, compares } from '../../kernel/bound.ts'
import type { Share } from '../../kernel/units.ts'
import type { FeatureComparison, TestResult } from './compare-feature.ts'

/**
 * What a bound in `monitor: { drift: … }` can speak of.
 * `psi`, `jensen_shannon`: the distance. `ks`, `chi2`: the p-value where the bound is `<` or `<=`, the statistic otherwise,
 * since drift is a small p or a great statistic: `ks: "< 0.001"` and `ks: "> 0.1"` both say what they seem to.
 * `missing`: by how much the share of missing values is
 * greater than in the reference. `new_categories`: the share of rows whose category the reference does not know.
 */
export const driftStatistics = ['psi', 'jensen_shannon', 'ks', 'chi2', 'missing', 'new_categories'] as const
export type DriftStatistic = (typeof driftStatistics)[number]

/** Where the statistic stands to the bound so, the feature drifts: `psi: "> 0.2"`. Shares are 0..1. */
export type DriftBound = { statistic: DriftStatistic; comparator: Comparator; bound: number }

/**
 * PSI grows with chance alone: of n rows over 10 cells its mean is about 9/n, and one empty cell adds 0.7. So a PSI beyond its
 * bound counts only where chance would give it in fewer than 1 % of windows, all features together (Bonferroni).
 */
export const chanceShare = 0.01

export type DriftOutcome = 'drift' | 'no drift' | 'too few rows'

export type FeatureVerdict = { feature: string; outcome: DriftOutcome; reasons: string[] }
export type DriftVerdict = { outcome: DriftOutcome; features: FeatureVerdict[]; reasons: string[] }

/**
 * They hold where the file has no bound of that statistic: a column that goes missing, or fills with an unknown category,
 * must not pass in silence because somebody bounded PSI alone.
 */
export const standingBounds: readonly DriftBound[] = [
  { statistic: 'missing', comparator: '>', bound: 0.05 },
  { statistic: 'new_categories', comparator: '>', bound: 0.05 },
]

/** Holds where the file says `drift` without any bound of a distance or a test: by custom the sign of a real shift. */
export const defaultPsiBound: DriftBound = { statistic: 'psi', comparator: '>', bound: 0.2 }

/**
 * Says whether a window of predictions drifted. One feature beyond one bound is drift, and the reasons name it.
 * A window below `minRows` is not judged, as PSI of a small sample is large by chance (its mean is about
 * (cells − 1)·(1/n + 1/m)), and above it PSI counts only beyond chance (`chanceShare`); a feature with fewer present values than that is judged by its missing values alone.
 *
 * @param features one comparison per feature, of the same window
 * @param bounds from modelwright.yaml; a statistic that does not apply to a feature's kind says nothing about it
 * @param minRows at least so many rows (and present values), ≥ 1
 * @returns reasons in words, for people: each feature's with value and bound; at the top those of the drifting features
 */
export function decideDrift(
  features: readonly FeatureComparison[],
  bounds: readonly DriftBound[],
  minRows: number,
): DriftVerdict {
  const inForce = withDefaults(bounds)
  const verdicts = features.map((feature) => judgeFeature(feature, inForce, minRows, chanceShare / features.length))
  const rows = Math.max(0, ...features.map(({ n }) => n))
  if (rows < minRows) {
    return { outcome: 'too few rows', features: verdicts, reasons: [`${rows} of at least ${minRows} rows.`] }
  }
  if (verdicts.every(({ outcome }) => outcome === 'too few rows')) {
    return { outcome: 'too few rows', features: verdicts, reasons: [`No feature has ${minRows} rows with a value.`] }
  }
  const drifting = verdicts.filter(({ outcome }) => outcome === 'drift')
  if (drifting.length === 0) {
    return { outcome: 'no drift', features: verdicts, reasons: [`No feature of ${features.length} is beyond a bound.`] }
  }
  const reasons = drifting.flatMap(({ feature, reasons }) => reasons.map((reason) => `${feature}: ${reason}`))
  return { outcome: 'drift', features: verdicts, reasons }
}

function withDefaults(bounds: readonly DriftBound[]): DriftBound[] {
  const named = new Set(bounds.map(({ statistic }) => statistic))
  const standing = standingBounds.filter(({ statistic }) => !named.has(statistic))
  const distribution = bounds.some(({ statistic }) => !standingBounds.some((bound) => bound.statistic === statistic))
  return [...bounds, ...(distribution ? [] : [defaultPsiBound]), ...standing]
}

function judgeFeature(
  feature: FeatureComparison,
  bounds: readonly DriftBound[],
  minRows: number,
  chance: Share,
): FeatureVerdict {
  const name = feature.feature
  if (feature.n < minRows) {
    return { feature: name, outcome: 'too few rows', reasons: [`${feature.n} of at least ${minRows} rows.`] }
  }
  const sparse = feature.present < minRows
  const judged = sparse ? bounds.filter(({ statistic }) => statistic === 'missing') : bounds
  const beyond: string[] = []
  const within: string[] = []
  for (const bound of judged) {
    const value = measured(feature, bound)
    if (value === null) continue
    const fact = described(feature, bound, value)
    if (!compares(value, bound.comparator, bound.bound)) within.push(`${fact}, within the bound ${boundText(bound)}.`)
    else if (mayBeChance(feature, bound, chance))
      within.push(
        `${fact}, beyond the bound ${boundText(bound)}, but chance may give that in ${feature.present} rows (p ${digits(feature.psiPValue!)}).`,
      )
    else beyond.push(`${fact}, beyond the bound ${boundText(bound)}.`)
  }
  if (beyond.length > 0) return { feature: name, outcome: 'drift', reasons: beyond }
  if (!sparse) return { feature: name, outcome: 'no drift', reasons: within }
  const few = `${feature.present} of at least ${minRows} rows have a value.`
  return { feature: name, outcome: 'too few rows', reasons: [few, ...within] }
}

const mayBeChance = ({ psiPValue }: FeatureComparison, { statistic, comparator }: DriftBound, chance: Share): boolean =>
  statistic === 'psi' && comparator.startsWith('>') && psiPValue !== undefined && psiPValue >= chance

function measured(feature: FeatureComparison, bound: DriftBound): number | null {
  switch (bound.statistic) {
    case 'psi':
      return feature.psi
    case 'jensen_shannon':
      return feature.jensenShannon
    case 'ks':
      return testValue(feature.ks, bound)
    case 'chi2':
      return testValue(feature.chi2, bound)
    case 'missing':
      return feature.missing.current - feature.missing.reference
    case 'new_categories':
      return feature.kind === 'categorical' ? feature.newCategoryShare : null
  }
}

function testValue(test: TestResult | undefined, { comparator }: DriftBound): number | null {
  if (test === undefined) return null
  return comparator === '<' || comparator === '<=' ? test.pValue : test.statistic
}

function described(feature: FeatureComparison, { statistic }: DriftBound, value: number): string {
  switch (statistic) {
    case 'psi':
      return `PSI ${digits(value)}`
    case 'jensen_shannon':
      return `Jensen–Shannon distance ${digits(value)}`
    case 'ks':
      return testText('KS', feature.ks!)
    case 'chi2':
      return testText('chi²', feature.chi2!)
    case 'missing':
      return `${percent(feature.missing.current)} missing against ${percent(feature.missing.reference)} in the reference (p ${digits(feature.missing.pValue)})`
    case 'new_categories':
      return feature.newCategories.length === 0
        ? 'no new category'
        : `new categories ${feature.newCategories.map((category) => JSON.stringify(category)).join(', ')} in ${percent(value)} of the rows`
  }
}

function boundText({ statistic, comparator, bound }: DriftBound): string {
  if (statistic === 'missing') return `${comparator} ${percent(bound)} more`
  if (statistic === 'new_categories') return `${comparator} ${percent(bound)}`
  return `${comparator} ${bound}`
}

const testText = (name: string, { statistic, pValue }: TestResult): string =>
  `${name} ${digits(statistic)} with p ${digits(pValue)}`

const digits = (value: number): string => String(Number(value.toPrecision(3)))
const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`
