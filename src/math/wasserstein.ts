import { ascending } from './quantiles.ts'

/**
 * The first Wasserstein distance of two samples: the mean way that probability has to travel, in the values' own unit, ≥ 0.
 * Source: scipy.stats.wasserstein_distance (the area between the two empirical distribution functions).
 *
 * @param reference finite values, any order; NaN where a sample is empty
 */
export const wasserstein = (reference: readonly number[], current: readonly number[]): number =>
  areaBetween(reference, current, 1)

/** The energy distance √2·(∫ (F − G)²)^½, ≥ 0, in the square root of the values' unit. Source: scipy.stats.energy_distance. */
export const energyDistance = (reference: readonly number[], current: readonly number[]): number =>
  Math.SQRT2 * Math.sqrt(areaBetween(reference, current, 2))

/** ∫ |F − G|^power over the line, F and G the empirical distribution functions. */
function areaBetween(reference: readonly number[], current: readonly number[], power: 1 | 2): number {
  if (reference.length === 0 || current.length === 0) return Number.NaN
  const a = ascending(reference)
  const b = ascending(current)
  let area = 0
  let i = 0
  let j = 0
  let from = Math.min(a[0]!, b[0]!)
  while (i < a.length || j < b.length) {
    const to = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY)
    const gap = Math.abs(i / a.length - j / b.length)
    area += (to - from) * (power === 1 ? gap : gap * gap)
    while (i < a.length && a[i] === to) i++
    while (j < b.length && b[j] === to) j++
    from = to
  }
  return area
}
