import { useQueries } from '@tanstack/react-query'
import { useState } from 'react'
import { metricQuery } from '../data/queries.ts'
import { LineChart } from './line-chart.tsx'

type Props = { run: string; metrics: readonly string[]; running: boolean }

/** Charts for more metrics than this would be a wall, and a request each. */
const shown = 24

/** Small multiples: one chart per metric with a history, all with one cursor. */
export function MetricCharts({ run, metrics, running }: Props) {
  const [logScale, setLogScale] = useState(false)
  const [smooth, setSmooth] = useState(false)
  const histories = useQueries({ queries: metrics.slice(0, shown).map((key) => metricQuery(run, key, running)) })
  const charts = histories.flatMap(({ data }, i) => {
    const points = data?.items ?? []
    return points.length > 1 ? [{ title: metrics[i]!, points }] : []
  })
  if (charts.length === 0) return null
  return (
    <>
      <div className="toolbar">
        <button type="button" className="button small" aria-pressed={logScale} onClick={() => setLogScale(!logScale)}>
          Log scale
        </button>
        <button type="button" className="button small" aria-pressed={smooth} onClick={() => setSmooth(!smooth)}>
          {smooth ? 'Smoothed (EMA 0.6) over raw' : 'Smooth'}
        </button>
        {metrics.length > shown && (
          <span className="quiet">
            The first {shown} of {metrics.length} metrics.
          </span>
        )}
      </div>
      <div className="charts">
        {charts.map(({ title, points }) => (
          <LineChart
            key={title}
            title={title}
            points={points}
            logScale={logScale}
            smoothing={smooth ? 0.6 : 0}
            syncKey={run}
          />
        ))}
      </div>
    </>
  )
}
