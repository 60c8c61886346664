import type { LabelledRow } from '../../labels/index.ts'
import { wilsonInterval } from '../../math/intervals.ts'
import type { PredictionRow } from '../../serving/index.ts'
import type { AlertKind, DriftReport, MeasuredMetric, WatchedDeployment } from '../monitoring.ts'
import type { Sight } from './alert-move.ts'
import { leastMeasured, metricSight } from './metric-sight.ts'

/** What a look found of one matter that can be an alert. */
export type Finding = {
  kind: AlertKind
  subject: string
  sight: Sight
  features: string[]
  reasons: string[]
  /** Ids of the requests it was judged from, newest last; and how many new ones it takes to end the alert. */
  ids: string[]
  minRows: number
}

/** What a report says of drift and of every bound under `retrain: { on: … }`, each as something that can be an alert. Rows and labels in the order of time. */
export function findingsOf(
  { retrain }: WatchedDeployment,
  report: DriftReport,
  rows: readonly PredictionRow[],
  labelled: readonly LabelledRow[],
): Finding[] {
  const windowIds = rows.map(({ id }) => requestOf(id))
  const drift: Finding = {
    kind: 'drift',
    subject: '',
    sight: report.outcome === 'drift' ? 'beyond' : report.outcome === 'no drift' ? 'within' : 'unknown',
    features: report.features.flatMap(({ feature, outcome }) => (outcome === 'drift' ? [feature] : [])),
    reasons: report.reasons,
    ids: windowIds,
    minRows: report.bounds.minRows,
  }
  const measured = measuredIn(report)
  const metrics = retrain.on.flatMap((trigger): Finding[] => {
    if (trigger.kind !== 'metric') return []
    const { sight, reason } = metricSight(trigger.metric, trigger.bound, measured[trigger.metric])
    return [
      {
        kind: 'quality',
        subject: metricSubject(trigger),
        sight,
        features: [],
        reasons: [reason],
        ids: Object.hasOwn(windowMetrics(report.window), trigger.metric)
          ? windowIds
          : labelled.map(({ predictionId }) => predictionId),
        minRows: leastMeasured,
      },
    ]
  })
  return [drift, ...metrics]
}

/** How an alert names a bound of `retrain: { on: … }`. */
export const metricSubject = (trigger: { metric: string; bound: { text: string } }): string =>
  `${trigger.metric} ${trigger.bound.text}`

/** Every number of a report that the file can bound, by name. */
export const measuredIn = (report: Pick<DriftReport, 'window' | 'quality'>): Record<string, MeasuredMetric> => ({
  ...windowMetrics(report.window),
  ...report.quality?.metrics,
})

/** Shares of the window that need no labels. */
function windowMetrics({ rows, inputFailures, errors }: DriftReport['window']): Record<string, MeasuredMetric> {
  const share = (hits: number) => ({ value: hits / rows, n: rows, interval: wilsonInterval({ hits, count: rows }) })
  return { input_failure_rate: share(inputFailures), error_rate: share(errors) }
}

/** A prediction's id without its row: such ids sort by time. */
export const requestOf = (id: string): string => id.split(':')[0]!

/** The last in the order of code units; empty for none. */
export const greatest = (ids: readonly string[]): string => [...ids].sort().at(-1) ?? ''
