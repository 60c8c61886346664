import { FileDown, ImageDown } from 'lucide-react'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { formatMetric } from '../../../src/kernel/units.ts'
import type { MetricPoint } from '../data/queries.ts'
import { useTheme } from '../frame/theme.ts'
import './line-chart.css'
import { smoothed } from './smoothed.ts'

type Props = { title: string; points: readonly MetricPoint[]; logScale: boolean; smoothing: number; syncKey: string }

const chartHeight = 180

/** One metric over its steps. Drag to zoom, double click to see all; the cursor is shared with the charts beside it. */
export function LineChart({ title, points, logScale, smoothing, syncKey }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const { dark } = useTheme()
  const data = dataOf(points, smoothing, logScale)
  // biome-ignore lint/correctness/useExhaustiveDependencies: new points are set below without building the chart anew
  useEffect(() => {
    const element = box.current!
    plot.current = new uPlot(optionsFor({ logScale, smoothing, syncKey, width: element.clientWidth }), data, element)
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: chartHeight }),
    )
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.current?.destroy()
    }
  }, [logScale, smoothing > 0, dark, syncKey])
  useEffect(() => {
    // A zoom that the viewer chose stays while points arrive.
    plot.current?.setData(data, !isZoomed(plot.current))
  })
  const last = points.at(-1)
  return (
    <figure className="chart">
      <figcaption>
        <span className="mono">{title}</span>
        <strong className="tabular">
          {last ? (typeof last.value === 'number' ? formatMetric(last.value) : last.value) : ''}
        </strong>
        <span className="chart-tools">
          <button
            type="button"
            className="icon-button"
            aria-label={`${title} as CSV`}
            onClick={() => saveCsv(title, points)}
          >
            <FileDown size={14} aria-hidden />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label={`${title} as PNG`}
            onClick={() => savePng(title, box.current)}
          >
            <ImageDown size={14} aria-hidden />
          </button>
        </span>
      </figcaption>
      <div ref={box} className="chart-box" role="img" aria-label={summary(title, points)} />
    </figure>
  )
}

const isZoomed = ({ scales, data }: uPlot): boolean => {
  const xs = data[0]
  return xs.length > 1 && (scales.x?.min !== xs[0] || scales.x?.max !== xs.at(-1)) && scales.x?.max !== xs.at(-2)
}

function dataOf(points: readonly MetricPoint[], smoothing: number, logScale: boolean): uPlot.AlignedData {
  const steps = points.map(({ step }) => step)
  // NaN is a gap, and so is what a logarithm cannot show.
  const values = points.map(({ value }) => (typeof value === 'number' && (!logScale || value > 0) ? value : null))
  return smoothing > 0 ? [steps, values, smoothed(values, smoothing)] : [steps, values]
}

type Look = { logScale: boolean; smoothing: number; syncKey: string; width: number }

function optionsFor({ logScale, smoothing, syncKey, width }: Look): uPlot.Options {
  const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const line = colour('--chart-1')
  const axis = {
    stroke: colour('--text-3'),
    font: '11px "Inter Variable", system-ui, sans-serif',
    labelFont: '11px "Inter Variable", system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1, size: 4 },
  }
  const raw: uPlot.Series = {
    stroke: smoothing > 0 ? `${line}55` : line,
    width: smoothing > 0 ? 1 : 1.5,
    points: { size: 4 },
  }
  return {
    width,
    height: chartHeight,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: { sync: { key: syncKey }, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: logScale ? { distr: 3 } : {} },
    axes: [
      {
        ...axis,
        label: 'step',
        labelSize: 16,
        size: 26,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000],
      },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : formatMetric(tick))) },
    ],
    series: [{}, raw, ...(smoothing > 0 ? [{ stroke: line, width: 2, points: { show: false } }] : [])],
  }
}

function summary(title: string, points: readonly MetricPoint[]): string {
  const numbers = points.flatMap(({ value }) => (typeof value === 'number' ? [value] : []))
  if (numbers.length === 0) return `${title}: no points`
  const [first, last] = [numbers[0]!, numbers.at(-1)!]
  return `${title}: ${points.length} points, from ${formatMetric(first)} to ${formatMetric(last)}, between ${formatMetric(Math.min(...numbers))} and ${formatMetric(Math.max(...numbers))}`
}

function saveCsv(title: string, points: readonly MetricPoint[]): void {
  const rows = points.map(({ step, timestamp, value }) => `${step},${timestamp},${value}`)
  save(
    `${title}.csv`,
    URL.createObjectURL(new Blob([`step,timestamp,value\n${rows.join('\n')}\n`], { type: 'text/csv' })),
  )
}

function savePng(title: string, box: HTMLDivElement | null): void {
  const canvas = box?.querySelector('canvas')
  if (canvas) save(`${title}.png`, canvas.toDataURL('image/png'))
}

function save(name: string, url: string): void {
  const link = document.createElement('a')
  link.href = url
  link.download = name.replaceAll('/', '-')
  link.click()
}
