import { formatMetric } from '../../../src/kernel/units.ts'
import { TableScroll } from './table-scroll.tsx'

type Props = { label: string; metrics: readonly [name: string, value: number | string][] }

export function MetricTable({ label, metrics }: Props) {
  return (
    <TableScroll label={label}>
      <table className="table">
        <caption className="visually-hidden">{label}</caption>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" className="number">
              Latest
            </th>
          </tr>
        </thead>
        <tbody>
          {metrics.map(([name, value]) => (
            <tr key={name}>
              <td className="mono">{name}</td>
              <td className="number">{formatMetric(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableScroll>
  )
}
