import { formatMetric } from '../../../src/kernel/units.ts'
import type { Feature } from '../data/queries.ts'
import { percent } from '../format.ts'
import './mini-histogram.css'

type Props = { feature: Feature; width?: number; height?: number }

/** Shares per cell: what training saw as an outline, what production sees now filled. One scale for both. */
export function MiniHistogram({ feature, width = 150, height = 32 }: Props) {
  const { reference, current } = feature.chart
  const cells = Math.min(reference.length, 24)
  const most = Math.max(...reference, ...current, 1e-9)
  const cell = width / cells
  const tall = (share: number | undefined) => ((share ?? 0) / most) * (height - 2)
  let outline = `M0,${height}`
  for (let i = 0; i < cells; i++) outline += ` V${height - tall(reference[i])} H${(i + 1) * cell}`
  return (
    <svg
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      className="histogram"
      role="img"
      aria-label={described(feature)}
    >
      {current.slice(0, cells).map((share, i) => (
        <rect
          // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its place
          key={i}
          x={i * cell + 0.5}
          y={height - tall(share)}
          width={Math.max(1, cell - 1)}
          height={tall(share)}
          data-drift={feature.outcome === 'drift'}
        >
          <title>{cellText(feature, i)}</title>
        </rect>
      ))}
      <path d={`${outline} V${height}`} />
    </svg>
  )
}

function described(feature: Feature): string {
  const { reference, current } = feature.chart
  let widest = 0
  for (let i = 0; i < reference.length; i++)
    if (Math.abs(difference(feature, i)) > Math.abs(difference(feature, widest))) widest = i
  return `${feature.feature}: the largest difference is ${cellText(feature, widest)}; ${current.length} cells`
}

const difference = ({ chart }: Feature, i: number): number => (chart.current[i] ?? 0) - (chart.reference[i] ?? 0)

function cellText({ chart }: Feature, i: number): string {
  const shares = `${percent(chart.reference[i] ?? 0)} in training, ${percent(chart.current[i] ?? 0)} now`
  if (chart.kind === 'categorical') return `${chart.categories[i] ?? 'others'}: ${shares}`
  const low = chart.edges[i - 1]
  const high = chart.edges[i]
  const range =
    low === undefined
      ? `below ${formatMetric(high ?? 0)}`
      : high === undefined
        ? `from ${formatMetric(low)}`
        : `${formatMetric(low)} to ${formatMetric(high)}`
  return `${range}: ${shares}`
}
