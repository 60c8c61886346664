import { countPerCell, deciles, meanAndStd, nextAbove } from './quantiles.ts'
import { seededRng } from './rng.ts'

/** One column's cells in row order. Missing: null, NaN, ±Infinity. */
export type Values = readonly (number | string | boolean | null)[]

export type FeatureKind = 'numeric' | 'categorical'

/**
 * What is kept of a reference column: enough to compare later windows with it, small enough for a record (JSON).
 * `count` is all rows, `missing` those of them without a value.
 */
export type FeatureProfile = NumericProfile | CategoricalProfile

export type NumericProfile = {
  kind: 'numeric'
  count: number
  missing: number
  /** The eleven values at 0, 10 %, …, 100 %; empty where every row is missing, as are `edges`, `cellCounts`, `sample`. */
  deciles: number[]
  /** Where the line is cut for PSI: decileCells() says how. */
  edges: number[]
  /** Reference values per cell: one more than there are edges. */
  cellCounts: number[]
  /** null where every row is missing. `std` is the population's (divisor n). */
  mean: number | null
  std: number | null
  min: number | null
  max: number | null
  /** At most 2,000 of the values, ascending; all of them where there are no more. */
  sample: number[]
}

export type CategoricalProfile = {
  kind: 'categorical'
  count: number
  missing: number
  /** The 200 most frequent categories, most frequent first, equal counts by name. */
  counts: { category: string; count: number }[]
  /** The rows of all further categories together, and how many categories they are. */
  other: { categories: number; count: number }
}

export const sampleLimit = 2000
export const categoryLimit = 200

/**
 * Builds a column's profile. It depends on the values and the seed only, not on the order of rows.
 *
 * @param values the column; numeric where every present value is a number, else categorical (numbers and booleans as text)
 * @param options.seed chooses the sample of a column with more than 2,000 values
 * @param options.kind overrides the guess, for numbers that are codes
 */
export function profileColumn(values: Values, options: { seed: number; kind?: FeatureKind }): FeatureProfile {
  const kind = options.kind ?? kindOf(values)
  return kind === 'numeric' ? numericProfile(values, options.seed) : categoricalProfile(values)
}

/** Numeric where every present value is a number and there is one. */
export function kindOf(values: Values): FeatureKind {
  let numbers = 0
  for (const value of values) {
    if (typeof value === 'number') numbers++
    else if (value !== null) return 'categorical'
  }
  return numbers > 0 ? 'numeric' : 'categorical'
}

/** The finite numbers among the values, false and true as 0 and 1; a text in a numeric column is no value, so it is missing. */
export function numbersIn(values: Values): number[] {
  const numbers: number[] = []
  for (const value of values) {
    if (typeof value === 'boolean') numbers.push(value ? 1 : 0)
    else if (typeof value === 'number' && Number.isFinite(value)) numbers.push(value)
  }
  return numbers
}

/** How often each present value occurs, as text. */
export function countCategories(values: Values): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) {
    if (value === null || (typeof value === 'number' && !Number.isFinite(value))) continue
    const category = String(value)
    counts.set(category, (counts.get(category) ?? 0) + 1)
  }
  return counts
}

/**
 * Where PSI cuts the line: at the inner deciles; and a value that fills several deciles (0 in a column of many zeros)
 * gets a cell of its own. Without that a constant or 95 % constant reference would have one cell and never drift.
 * On continuous values these are the textbook's ten cells; the outer two are open.
 */
export function decileCells(tenths: readonly number[]): number[] {
  const edges = new Set<number>(tenths.slice(1, -1).filter((edge) => edge !== tenths[0] && edge !== tenths[10]))
  for (let i = 1; i < tenths.length; i++) {
    if (tenths[i] !== tenths[i - 1]) continue
    edges.add(tenths[i]!)
    edges.add(nextAbove(tenths[i]!))
  }
  return [...edges].sort((a, b) => a - b)
}

function numericProfile(values: Values, seed: number): NumericProfile {
  const sorted = Float64Array.from(numbersIn(values)).sort()
  const missing = values.length - sorted.length
  if (sorted.length === 0) {
    const nothing = { deciles: [], edges: [], cellCounts: [], mean: null, std: null, min: null, max: null, sample: [] }
    return { kind: 'numeric', count: values.length, missing, ...nothing }
  }
  const tenths = deciles(sorted)
  const edges = decileCells(tenths)
  return {
    kind: 'numeric',
    count: values.length,
    missing,
    deciles: tenths,
    edges,
    cellCounts: countPerCell(sorted, edges),
    ...meanAndStd(sorted),
    min: sorted[0]!,
    max: sorted.at(-1)!,
    sample: sampleOf(sorted, seed),
  }
}

// Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S) over the sorted values: each subset is as likely as with a reservoir,
// and the sample does not depend on the order in which the rows came.
function sampleOf(sorted: Float64Array, seed: number): number[] {
  if (sorted.length <= sampleLimit) return [...sorted]
  const rng = seededRng(seed)
  const sample: number[] = []
  for (let i = 0; sample.length < sampleLimit; i++) {
    if ((sorted.length - i) * rng.uniform() < sampleLimit - sample.length) sample.push(sorted[i]!)
  }
  return sample
}

function categoricalProfile(values: Values): CategoricalProfile {
  const counted = [...countCategories(values)].map(([category, count]) => ({ category, count })).sort(mostFrequentFirst)
  const rest = counted.slice(categoryLimit)
  const present = total(counted)
  return {
    kind: 'categorical',
    count: values.length,
    missing: values.length - present,
    counts: counted.slice(0, categoryLimit),
    other: { categories: rest.length, count: total(rest) },
  }
}

type Counted = { category: string; count: number }

/** An order for `sort`: by count, then by code units and not by locale, so that a record is the same on every machine. */
export const mostFrequentFirst = (a: Counted, b: Counted): number =>
  b.count - a.count || (a.category < b.category ? -1 : a.category > b.category ? 1 : 0)

const total = (counted: readonly Counted[]): number => counted.reduce((sum, { count }) => sum + count, 0)
