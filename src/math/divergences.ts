import { checkSameCells, sharesOf } from './cells.ts'

// All of them take counts or shares per cell of two distributions over the same cells; each side is divided by its sum.
// A side whose sum is 0 gives NaN; cells of different number throw Internal.

/**
 * Kullback–Leibler divergence Σ p·ln(p / q) in nats, ≥ 0; Infinity where q is empty and p is not.
 * Source: scipy.stats.entropy(p, q).
 */
export function kullbackLeibler(reference: readonly number[], current: readonly number[]): number {
  checkSameCells(reference, current)
  return relativeEntropy(sharesOf(reference), sharesOf(current))
}

/** Hellinger distance √(1 − Σ √(p·q)), 0..1. */
export function hellinger(reference: readonly number[], current: readonly number[]): number {
  checkSameCells(reference, current)
  const p = sharesOf(reference)
  const q = sharesOf(current)
  let overlap = 0
  for (let i = 0; i < p.length; i++) overlap += Math.sqrt(p[i]! * q[i]!)
  return Math.sqrt(1 - Math.min(1, overlap))
}

/** Total variation distance ½ Σ |p − q|, 0..1: the share of rows that would have to move. */
export function totalVariation(reference: readonly number[], current: readonly number[]): number {
  checkSameCells(reference, current)
  const p = sharesOf(reference)
  const q = sharesOf(current)
  let sum = 0
  for (let i = 0; i < p.length; i++) sum += Math.abs(p[i]! - q[i]!)
  return sum / 2
}

/** Σ p·ln(p / q) of two lists of shares that each sum to 1. */
export function relativeEntropy(p: readonly number[], q: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < p.length; i++) if (p[i]! > 0) sum += p[i]! * Math.log(p[i]! / q[i]!)
  return sum
}
