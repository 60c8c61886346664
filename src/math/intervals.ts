import type { Share } from '../kernel/units.ts'
import type { Proportion } from './proportions.ts'
import { normalQuantile } from './special-functions.ts'

export type Interval = { low: number; high: number }

/**
 * Wilson's score interval for a proportion, without continuity correction; sound for few trials and near 0 and 1.
 * Source: Wilson, JASA 22 (1927); Brown, Cai, DasGupta, Statistical Science 16 (2001).
 *
 * @param proportion 0 ≤ hits ≤ count; no trials tell nothing: [0, 1]
 * @param confidence share, 0 < confidence < 1; 0.95 by default
 */
export function wilsonInterval({ hits, count }: Proportion, confidence: Share = 0.95): Interval {
  if (count === 0) return { low: 0, high: 1 }
  const z = normalQuantile(0.5 + confidence / 2)
  const p = hits / count
  const spread = 1 + (z * z) / count
  const centre = (p + (z * z) / (2 * count)) / spread
  const half = (z * Math.sqrt((p * (1 - p)) / count + (z * z) / (4 * count * count))) / spread
  return { low: hits === 0 ? 0 : Math.max(0, centre - half), high: hits === count ? 1 : Math.min(1, centre + half) }
}
