import { checkSameCells, sharesOf } from './cells.ts'
import { relativeEntropy } from './divergences.ts'

/**
 * The Jensen–Shannon *distance* (the square root of the divergence): 0 for equal distributions, symmetric, a metric.
 * At most √ln 2 ≈ 0.8326 with natural logarithms, 1 with base 2. Empty cells need no filling.
 * Source: scipy.spatial.distance.jensenshannon.
 *
 * @param reference counts or shares per cell; divided by their sum (a sum of 0 gives NaN)
 * @param current the same cells
 * @param base of the logarithm; natural by default
 */
export function jensenShannon(reference: readonly number[], current: readonly number[], base = Math.E): number {
  checkSameCells(reference, current)
  const p = sharesOf(reference)
  const q = sharesOf(current)
  const middle = p.map((share, i) => (share + q[i]!) / 2)
  const divergence = (relativeEntropy(p, middle) + relativeEntropy(q, middle)) / 2
  // Rounding can leave −1e-17 for equal distributions.
  return Math.sqrt(Math.max(0, divergence) / Math.log(base))
}
