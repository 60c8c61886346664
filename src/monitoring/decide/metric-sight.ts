import { type Bound, compares, targetOf } from '../../kernel/bound.ts'
import type { MeasuredMetric } from '../monitoring.ts'
import type { Sight } from './alert-move.ts'

/** A metric of fewer labelled answers (or rows) is not judged: one wrong answer of three is no decay. */
export const leastMeasured = 30

/**
 * Whether a metric that the file bounds (`accuracy < 0.9`: the bound is what calls for retraining) stands beyond it.
 * @returns a reason in words with the value, how many it is from and, of a share, its interval
 */
export function metricSight(
  name: string,
  bound: Bound,
  metric: MeasuredMetric | undefined,
): { sight: Sight; reason: string } {
  if (!metric) return { sight: 'unknown', reason: `${name} is not measured: there are no labels that tell it.` }
  const { value, n, interval } = metric
  const between = interval ? `, 95 % between ${digits(interval.low)} and ${digits(interval.high)}` : ''
  const fact = `${name} ${digits(value)} over ${n}${between}`
  if (n < leastMeasured)
    return { sight: 'unknown', reason: `${fact}: at least ${leastMeasured} are needed to judge it.` }
  return compares(value, bound.comparator, targetOf(bound, undefined))
    ? { sight: 'beyond', reason: `${fact}: ${bound.text}.` }
    : { sight: 'within', reason: `${fact}: not ${bound.text}.` }
}

const digits = (value: number): string => String(Number(value.toPrecision(3)))
