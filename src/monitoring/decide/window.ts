import { targetOf } from '../../kernel/bound.ts'
import type { EpochMs } from '../../kernel/time.ts'
import type { Monitor } from '../../projects/index.ts'
import type { DriftBound } from './decide-drift.ts'

/** Changes when the same window could get another report: windows, defaults, statistics, bounds, alerts. */
export const monitorRuleVersion = 'monitor/1'

/**
 * Where `window:` says nothing: the last 500 request rows of the version that serves, none older than 7 days. A window that a
 * span names holds at most the newest 10,000 rows of it. Rows of other versions never count: each version has its own reference.
 */
const windowDefaults = { predictions: 500, ms: 7 * 86_400_000, mostRows: 10_000 } as const

/** Fewer rows are not judged, unless the file's window is smaller: then a full one is. */
const leastRows = 50

export type WindowBounds = { fromMs: EpochMs; toMs: EpochMs; limit: number; minRows: number }

/** The rows to judge at a time: from when to when, at most how many, and how few are too few. */
export function windowAt(now: EpochMs, window: Monitor['window']): WindowBounds {
  if (window && 'ms' in window)
    return { fromMs: now - window.ms, toMs: now, limit: windowDefaults.mostRows, minRows: leastRows }
  const limit = Math.min(window?.predictions ?? windowDefaults.predictions, windowDefaults.mostRows)
  return { fromMs: now - windowDefaults.ms, toMs: now, limit, minRows: Math.min(leastRows, limit) }
}

/** The file's bounds in the order of their names; a bound that compares with the champion has no meaning here and cannot be written. */
export function driftBounds(drift: Monitor['drift']): DriftBound[] {
  return Object.entries(drift)
    .flatMap(([statistic, bound]) =>
      bound
        ? [
            {
              statistic: statistic as DriftBound['statistic'],
              comparator: bound.comparator,
              bound: targetOf(bound, undefined),
            },
          ]
        : [],
    )
    .sort((a, b) => (a.statistic < b.statistic ? -1 : 1))
}
