import type { Correlation } from '../traces.ts'

type Counts = { joint: number; first: number; second: number; total: number }

/** Jeffreys' prior. */
const prior = 0.5

/**
 * How much two properties of traces go together: normalised pointwise mutual information, −1 (never together) to 1 (always),
 * NaN where one of them does not occur; and the same with Jeffreys' prior on each cell.
 * Source: mlflow 3.17.2, store/analytics/trace_correlation.py; Bouma 2009.
 */
export function correlationOf(counts: Counts): Correlation {
  const { joint, first, second, total } = counts
  const told = { filter1Count: first, filter2Count: second, jointCount: joint, totalCount: total }
  const cells = [joint, first - joint, second - joint, total - first - second + joint] as const
  if (total <= 0 || first === 0 || second === 0 || Math.min(...cells) < 0)
    return { npmi: Number.NaN, npmiSmoothed: Number.NaN, ...told }
  return { npmi: joint === 0 ? -1 : npmi(cells, 0), npmiSmoothed: npmi(cells, prior), ...told }
}

type Cells = readonly [both: number, onlyFirst: number, onlySecond: number, neither: number]

function npmi(cells: Cells, smoothing: number): number {
  const [both, onlyFirst, onlySecond, neither] = cells
  if (onlyFirst === 0 && onlySecond === 0 && neither === 0) return 1
  const n11 = both + smoothing
  const n1 = n11 + onlyFirst + smoothing
  const n2 = n11 + onlySecond + smoothing
  const n = n1 + onlySecond + smoothing + neither + smoothing
  if (n11 <= 0 || n1 <= 0 || n2 <= 0) return Number.NaN
  const information = Math.log(n11) + Math.log(n) - Math.log(n1) - Math.log(n2)
  const surprise = Math.log(n) - Math.log(n11)
  return Math.max(-1, Math.min(1, information / surprise))
}
