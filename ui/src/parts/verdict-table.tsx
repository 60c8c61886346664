import { formatMetric } from '../../../src/kernel/units.ts'
import { verdictState } from '../../../src/lineage/shown-states-contract.ts'
import type { Verdict } from '../data/queries.ts'
import { signed, withShortNumbers } from '../format.ts'
import { StateWord } from './state-chip.tsx'
import { TableScroll } from './table-scroll.tsx'
import './verdict-table.css'

type Objective = Verdict['objectives'][number]

/** Each objective with its value, its bounds, the champion's value on the same rows, and what it earned. */
export function VerdictTable({ verdict }: { verdict: Verdict }) {
  return (
    <TableScroll label="Objectives">
      <table className="table verdict">
        <caption className="visually-hidden">Objectives of the gate</caption>
        <thead>
          <tr>
            <th scope="col">Objective</th>
            <th scope="col">Outcome</th>
            <th scope="col" className="number">
              Value
            </th>
            <th scope="col" className="number">
              Champion
            </th>
            <th scope="col">Bounds</th>
            <th scope="col" className="number">
              Score
            </th>
          </tr>
        </thead>
        <tbody>
          {verdict.objectives.map((objective) => (
            <Row key={objective.metric} objective={objective} />
          ))}
        </tbody>
      </table>
    </TableScroll>
  )
}

function Row({ objective }: { objective: Objective }) {
  const { metric, outcome, value, champion, bounds, score, weight, key, reason } = objective
  return (
    <tr>
      <th scope="row" className="verdict-metric">
        <span className="mono">{metric}</span>
        {key && (
          <span className="verdict-key" title="A key objective that fails, fails the gate whatever the score.">
            key
          </span>
        )}
        <span className="verdict-reason">{reasonText(metric, reason)}</span>
      </th>
      <td>
        {outcome === 'info' ? <span className="quiet">informs</span> : <StateWord state={verdictState[outcome]} />}
      </td>
      <td className="number">{valueText(value)}</td>
      <td className="number">
        <span className="muted">{valueText(champion)}</span>
        <Difference objective={objective} />
      </td>
      <td className="verdict-bounds">
        {bounds.map((bound) => (
          <span key={`${bound.level} ${bound.text}`} data-held={bound.held}>
            {bound.held === undefined ? '·' : bound.held ? '✓' : '✗'} <code>{bound.text}</code>
            {bound.level === 'warn' && <span className="quiet"> warns</span>}
            <span className="visually-hidden">
              {bound.held === undefined ? ' not compared' : bound.held ? ' held' : ' broken'}
            </span>
          </span>
        ))}
      </td>
      <td className="number">{outcome === 'info' ? '' : `${formatMetric(score)} / ${formatMetric(weight)}`}</td>
    </tr>
  )
}

/** The row names the metric already. */
const reasonText = (metric: string, reason: string): string =>
  withShortNumbers(reason.startsWith(`${metric}: `) ? reason.slice(metric.length + 2) : reason)

const valueText = (value: Objective['value']): string =>
  value === undefined || value === null ? '–' : typeof value === 'number' ? formatMetric(value) : value

/** Better is what the pass bounds ask for: `>` wants more, `<` wants less. Without bounds nobody said which is better. */
function Difference({ objective: { value, champion, bounds } }: { objective: Objective }) {
  if (typeof value !== 'number' || typeof champion !== 'number') return null
  const difference = value - champion
  const wantsMore = bounds.some(({ text }) => text.trim().startsWith('>'))
  const wantsLess = bounds.some(({ text }) => text.trim().startsWith('<'))
  const judged = difference !== 0 && wantsMore !== wantsLess
  const better = judged && difference > 0 === wantsMore
  return (
    <span
      data-state={judged ? (better ? 'passed' : 'failed') : 'cancelled'}
      className={judged ? 'verdict-difference' : 'verdict-difference quiet'}
    >
      {signed(difference)}
      {judged && (better ? ' better' : ' worse')}
    </span>
  )
}
