import { kolmogorovTail } from './kolmogorov.ts'
import { ascending } from './quantiles.ts'

export type KsMethod = 'auto' | 'exact' | 'asymptotic'
export type KolmogorovSmirnov = { statistic: number; pValue: number; method: 'exact' | 'asymptotic' }

/** Up to this size of the larger sample 'auto' counts exactly, as scipy does. */
const largestExact = 10_000

/**
 * The two-sided two-sample Kolmogorov–Smirnov test. Source: scipy.stats.ks_2samp, whose `method='auto'` is the default here:
 * exact up to 10,000 values in the larger sample, asymptotic above. 'exact' on large samples takes time ∝ n·m.
 *
 * @param reference finite values in any order; ties are allowed and make the p-value conservative
 * @returns statistic in [0, 1] and p in [0, 1] (below about 1e-300 it may be 0); NaN both where a sample is empty
 */
export function ksTwoSample(
  reference: readonly number[],
  current: readonly number[],
  options: { method?: KsMethod } = {},
): KolmogorovSmirnov {
  const n = reference.length
  const m = current.length
  const wanted = options.method ?? 'auto'
  const method = wanted === 'auto' ? (Math.max(n, m) <= largestExact ? 'exact' : 'asymptotic') : wanted
  if (n === 0 || m === 0) return { statistic: Number.NaN, pValue: Number.NaN, method }
  const statistic = greatestGap(ascending(reference), ascending(current))
  const pValue = method === 'exact' ? exactTail(n, m, statistic) : asymptoticTail(n, m, statistic)
  return { statistic, pValue: Math.min(1, Math.max(0, pValue)), method }
}

function greatestGap(a: Float64Array, b: Float64Array): number {
  let i = 0
  let j = 0
  let gap = 0
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i]!, b[j]!)
    while (i < a.length && a[i]! <= value) i++
    while (j < b.length && b[j]! <= value) j++
    gap = Math.max(gap, Math.abs(i / a.length - j / b.length))
  }
  return gap
}

function exactTail(n: number, m: number, statistic: number): number {
  const divisor = greatestCommonDivisor(n, m)
  const h = Math.round(statistic * (n / divisor) * m)
  if (h === 0) return 1
  return n === m ? equalSizesTail(n, h) : unequalSizesTail(Math.max(n, m), Math.min(n, m), divisor, h)
}

// P(D ≥ h/n) for equal sizes is the alternating sum 2·Σ (−1)^(k+1) C(2n, n − kh) / C(2n, n); evaluated by Horner's scheme
// from the last term, because the plain sum cancels. Source: Gnedenko and Korolyuk (1951); Hodges (1958).
function equalSizesTail(n: number, h: number): number {
  let tail = 0
  for (let k = Math.floor(n / h); k >= 0; k--) {
    let ratio = 1
    for (let j = 0; j < h; j++) ratio = ((n - k * h - j) * ratio) / (n + k * h + j + 1)
    tail = ratio * (1 - tail)
  }
  return 2 * tail
}

// Lattice paths from (0, 0) to (m, n): q(i, j) is the share of paths to (i, j) that have left the band |i/m − j/n| < D, and
// q(i, j) = (i·q(i−1, j) + j·q(i, j−1)) / (i + j), 1 outside the band. No cancellation, so tiny p-values stay precise.
// Source: Hodges, Arkiv för Matematik 3 (1958); Viehmann, arXiv:2102.08037.
function unequalSizesTail(m: number, n: number, divisor: number, h: number): number {
  const mg = m / divisor
  const ng = n / divisor
  const left = new Float64Array(n + 1).fill(1)
  left.fill(0, 0, Math.min(Math.ceil(h / mg), n + 1))
  let firstBefore = 0
  for (let i = 1; i <= m; i++) {
    const first = Math.min(Math.max(Math.floor((ng * i - h) / mg) + 1, 0), n)
    const end = Math.min(Math.ceil((ng * i + h) / mg), n + 1)
    if (end <= first) return 1
    left.fill(1, firstBefore, first)
    let share = first === 0 ? 0 : 1
    for (let j = first; j < end; j++) {
      share = (left[j]! * i + share * j) / (i + j)
      // Below the normal doubles arithmetic is forty times slower, and nobody asks for such a p-value.
      if (share < 1e-300) share = 0
      left[j] = share
    }
    firstBefore = first
  }
  return left[n]!
}

// The one-sample distribution at the effective sample size, as scipy's kstwo.sf(d, round(n·m / (n + m))).
function asymptoticTail(n: number, m: number, statistic: number): number {
  return kolmogorovTail(roundHalfToEven((n / (n + m)) * m), statistic)
}

const roundHalfToEven = (value: number): number => {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
