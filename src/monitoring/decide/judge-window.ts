import { sharesOf } from '../../math/cells.ts'
import { countCategories, type FeatureProfile, numbersIn, type Values } from '../../math/feature-profile.ts'
import { countPerCell, extent, meanAndStd } from '../../math/quantiles.ts'
import type { FeatureChart, FeatureReport, Reference, ReportOutcome, SideSummary } from '../monitoring.ts'
import { compareFeature } from './compare-feature.ts'
import { type DriftBound, decideDrift } from './decide-drift.ts'

export type WindowVerdict = { outcome: ReportOutcome; features: FeatureReport[]; reasons: string[] }

const chartedCategories = 12

/**
 * Compares the answered rows of a window with what the version was trained on, feature by feature, and says whether they drifted.
 * Compared are the columns that the model takes; without a signature, those of the reference that occur in the window: the label
 * has a profile too and is never asked for.
 *
 * @param rows inputs of answered rows, in any order
 * @returns features as the reference has them, each with numbers, verdict and chart
 */
export function judgeWindow(facts: {
  rows: readonly Record<string, unknown>[]
  reference: Reference | undefined
  bounds: readonly DriftBound[]
  minRows: number
  /** Why a column of the log cannot be compared, such as one that the log does not keep; undefined: it can. */
  leftOut?: (column: string) => string | undefined
}): WindowVerdict {
  const { rows, reference } = facts
  if (!reference)
    return {
      outcome: 'no reference',
      features: [],
      reasons: ['The version has no profile of its training data, so there is nothing to compare with.'],
    }
  const { leftOut = () => undefined } = facts
  const known = comparedFeatures(reference, rows)
  const names = known.filter((name) => leftOut(name) === undefined)
  const missed = known.flatMap((name) => leftOut(name) ?? [])
  if (names.length === 0 && missed.length > 0) return { outcome: 'no reference', features: [], reasons: missed }
  const columns = new Map(names.map((name) => [name, columnOf(rows, name)]))
  const comparisons = names.map((name) =>
    compareFeature(reference.features[name]!, columns.get(name)!, { feature: name }),
  )
  const verdict = decideDrift(comparisons, facts.bounds, facts.minRows)
  const features = comparisons.map((comparison, i) => ({
    ...comparison,
    outcome: verdict.features[i]!.outcome,
    reasons: verdict.features[i]!.reasons,
    ...picture(reference.features[comparison.feature]!, columns.get(comparison.feature)!),
  }))
  return { outcome: verdict.outcome, features, reasons: [...verdict.reasons, ...missed] }
}

/** Greatest PSI first, so that what drifts stands on top. */
export const mostDriftedFirst = (features: readonly FeatureReport[]): FeatureReport[] =>
  [...features].sort((a, b) => driftRank(b) - driftRank(a) || (b.psi ?? 0) - (a.psi ?? 0))

const driftRank = ({ outcome }: FeatureReport): number => (outcome === 'drift' ? 1 : 0)

function comparedFeatures({ inputs, features }: Reference, rows: readonly Record<string, unknown>[]): string[] {
  const known = Object.keys(features)
  if (inputs.length > 0) return known.filter((name) => inputs.includes(name))
  return known.filter((name) => rows.some((row) => Object.hasOwn(row, name)))
}

const columnOf = (rows: readonly Record<string, unknown>[], name: string): Values =>
  rows.map((row) => cellOf(row[name]))

function cellOf(value: unknown): Values[number] {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value
  return JSON.stringify(value)
}

function picture(reference: FeatureProfile, current: Values): Pick<FeatureReport, 'chart' | 'summary'> {
  if (reference.kind === 'categorical') return categoricalPicture(reference, current)
  const numbers = numbersIn(current)
  const cells = reference.cellCounts.length === 0 ? [] : countPerCell(numbers, reference.edges)
  const { mean, std, min, max } = reference
  return {
    chart: {
      kind: 'numeric',
      edges: reference.edges,
      reference: shares(reference.cellCounts),
      current: shares(cells),
    },
    summary: {
      reference: { count: reference.count, mean, std, min, max },
      current: numbersOf(current.length, numbers),
    },
  }
}

function categoricalPicture(
  reference: FeatureProfile & { kind: 'categorical' },
  current: Values,
): Pick<FeatureReport, 'chart' | 'summary'> {
  const counts = countCategories(current)
  const charted = reference.counts.slice(0, chartedCategories)
  const chart: FeatureChart = {
    kind: 'categorical',
    categories: charted.map(({ category }) => category),
    reference: charted.map(({ count }) => part(count, reference.count)),
    current: charted.map(({ category }) => part(counts.get(category) ?? 0, current.length)),
  }
  const none = { mean: null, std: null, min: null, max: null }
  return {
    chart,
    summary: { reference: { count: reference.count, ...none }, current: { count: current.length, ...none } },
  }
}

function numbersOf(count: number, numbers: readonly number[]): SideSummary {
  if (numbers.length === 0) return { count, mean: null, std: null, min: null, max: null }
  const { low, high } = extent(numbers)
  return { count, ...meanAndStd(numbers), min: low, max: high }
}

const shares = (counts: readonly number[]): number[] =>
  counts.every((count) => count === 0) ? counts.map(() => 0) : sharesOf(counts)

const part = (count: number, all: number): number => (all === 0 ? 0 : count / all)
