import { erfc } from './special-functions.ts'

/**
 * The two-sided z-test that two samples have the same proportion, with the pooled variance.
 * Source: Fleiss, Statistical Methods for Rates and Proportions, section 2.2; equals chi² of the 2 × 2 table without correction.
 *
 * @param reference `hits` of `count` trials, 0 ≤ hits ≤ count
 * @returns z (positive where the reference's proportion is greater) and p in [0, 1]; z = 0, p = 1 where a sample is empty
 *   or no variance is left (all hits or none in both)
 */
export function proportionZTest(reference: Proportion, current: Proportion): { z: number; pValue: number } {
  const count = reference.count + current.count
  const pooled = (reference.hits + current.hits) / count
  if (reference.count === 0 || current.count === 0 || pooled === 0 || pooled === 1) return { z: 0, pValue: 1 }
  const variance = pooled * (1 - pooled) * (1 / reference.count + 1 / current.count)
  const z = (reference.hits / reference.count - current.hits / current.count) / Math.sqrt(variance)
  return { z, pValue: erfc(Math.abs(z) / Math.SQRT2) }
}

export type Proportion = { hits: number; count: number }
