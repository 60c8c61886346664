import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { formatMetric } from '../../../../src/kernel/units.ts'
import type { ShownState } from '../../../../src/lineage/shown-states-contract.ts'
import {
  type Alert,
  alertsQuery,
  type Feature,
  type Monitored,
  monitoringQuery,
  type Report,
  retrainingQuery,
} from '../../data/queries.ts'
import { count, elapsed, percent, psiText } from '../../format.ts'
import { Empty } from '../../parts/empty.tsx'
import { PageSkeleton } from '../../parts/loading.tsx'
import { MiniHistogram } from '../../parts/mini-histogram.tsx'
import { Problem } from '../../parts/problem.tsx'
import { StateChip, StateWord } from '../../parts/state-chip.tsx'
import { TableScroll } from '../../parts/table-scroll.tsx'
import { Tile, Tiles } from '../../parts/tiles.tsx'
import { Ago } from '../../parts/time.tsx'
import { VersionLink } from '../../parts/version-link.tsx'
import './monitoring.css'
import { RetrainingCard } from './retraining-card.tsx'

/** Production as it is seen: inputs against the training reference, quality against late labels, and what alarmed. */
export function MonitoringPage() {
  const { project } = useParams({ from: '/projects/$project/monitoring' })
  const { data, error } = useQuery(monitoringQuery(project))
  const retraining = useQuery(retrainingQuery(project)).data?.environments ?? []
  const alerts = useQuery(alertsQuery(project)).data?.items ?? []
  if (!data && !error) return <PageSkeleton />
  return (
    <div className="page">
      <div className="title">
        <h1>Monitoring</h1>
        <p className="lede">
          Inputs of production beside the data that the serving version was trained on, and its quality where labels
          came.
        </p>
      </div>
      {error && <Problem error={error} />}
      {data?.environments.length === 0 && (
        <section className="card">
          <Empty title="Nothing serves, so nothing is watched">
            As soon as a version answers predictions, its inputs are compared with its training data here.
          </Empty>
        </section>
      )}
      {data?.environments.map((environment) => (
        <Environment key={environment.environment} project={project} monitored={environment} />
      ))}
      {retraining.map((environment) => (
        <RetrainingCard key={environment.environment} project={project} retraining={environment} />
      ))}
      {alerts.length > 0 && <Alerts alerts={alerts} />}
    </div>
  )
}

const outcomeState: Record<Report['outcome'], ShownState> = {
  drift: 'warned',
  'no drift': 'passed',
  'too few rows': 'inconclusive',
  'no reference': 'inconclusive',
}

function Environment({ project, monitored }: { project: string; monitored: Monitored }) {
  const { environment, model, version, report, bounds } = monitored
  return (
    <section className="card" aria-labelledby={`watched-${environment}`}>
      <header>
        <h2 id={`watched-${environment}`}>{environment}</h2>
        {report && <StateChip state={outcomeState[report.outcome]} />}
        <span className="spring" />
        <span className="quiet">
          <VersionLink project={project} model={model} version={version} />
          {report && (
            <>
              {' · looked '}
              <Ago at={report.at} />
            </>
          )}
        </span>
      </header>
      {report ? (
        <ReportOf report={report} bounds={bounds} />
      ) : (
        <Empty title="No prediction was answered yet">The first look follows the first answers.</Empty>
      )}
    </section>
  )
}

function ReportOf({ report, bounds }: { report: Report; bounds: Monitored['bounds'] }) {
  const { window, quality, features } = report
  const bars = bounds.map(({ statistic, comparator, bound }) => `${statistic} ${comparator} ${bound}`).join(', ')
  return (
    <>
      <Tiles>
        <Tile
          name="Rows looked at"
          value={window.rows.toLocaleString('en')}
          hint={`within ${elapsed(window.fromMs, window.toMs)}`}
        />
        <Tile
          name="Input failures"
          value={percent(window.inputFailureShare)}
          hint={count(window.inputFailures, 'request')}
        />
        <Tile
          name="Errors"
          value={window.errors.toLocaleString('en')}
          hint={`of ${count(window.answered, 'answer')}`}
        />
        <Tile
          name="Labels"
          value={report.labels.toLocaleString('en')}
          hint={quality ? `median delay ${Math.round(quality.delayMs.median / 1000)} s` : 'none yet'}
        />
        {quality &&
          Object.entries(quality.metrics).map(([name, { value, interval, n }]) => (
            <Tile
              key={name}
              name={name}
              value={formatMetric(value)}
              hint={
                interval ? `${formatMetric(interval.low)} to ${formatMetric(interval.high)} (95 %)` : count(n, 'label')
              }
            />
          ))}
      </Tiles>
      <p className="report-why">
        {report.reasons.slice(0, 3).join(' ')} {report.reasons.length > 3 && `And ${report.reasons.length - 3} more.`}{' '}
        {bars && <span className="quiet">Bounds: {bars}.</span>}
      </p>
      {features.length > 0 && <Features features={features} />}
    </>
  )
}

function Features({ features }: { features: Feature[] }) {
  return (
    <TableScroll label="Features">
      <table className="table features">
        <caption className="visually-hidden">Features, drifting ones first, then by PSI</caption>
        <thead>
          <tr>
            <th scope="col">Feature</th>
            <th scope="col">Outcome</th>
            <th scope="col">
              Training <span className="key-line" aria-hidden /> now <span className="key-fill" aria-hidden />
            </th>
            <th scope="col" className="number">
              PSI
            </th>
            <th scope="col" className="number">
              KS / chi² p
            </th>
            <th scope="col" className="number">
              Mean, training → now
            </th>
            <th scope="col" className="number">
              Missing
            </th>
          </tr>
        </thead>
        <tbody>
          {features.map((feature) => (
            <tr key={feature.feature}>
              <td className="mono">
                <span title={feature.reasons.join('\n')}>{feature.feature}</span>
              </td>
              <td>
                {feature.outcome === 'drift' ? (
                  <StateWord state="warned" word="drift" />
                ) : (
                  <span className="quiet">{feature.outcome}</span>
                )}
              </td>
              <td>
                <MiniHistogram feature={feature} />
              </td>
              <td className={feature.outcome === 'too few rows' ? 'number quiet' : 'number'}>{psiText(feature.psi)}</td>
              <td className="number">{pValue(feature)}</td>
              <td className="number">{means(feature)}</td>
              <td className="number">{percent(feature.missing.current)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableScroll>
  )
}

function pValue({ ks, chi2 }: Feature): string {
  const p = (ks ?? chi2)?.pValue
  if (p === undefined) return '–'
  return p < 0.0001 ? '< 0.0001' : formatMetric(Number(p.toPrecision(2)))
}

function means({ summary: { reference, current } }: Feature): string {
  if (reference.mean === null || current.mean === null) return '–'
  return `${formatMetric(reference.mean)} → ${formatMetric(current.mean)}`
}

function Alerts({ alerts }: { alerts: Alert[] }) {
  return (
    <section className="card" aria-labelledby="alerts">
      <header>
        <h2 id="alerts">Alerts</h2>
      </header>
      <ul className="list">
        {alerts.map((alert) => (
          <li key={alert.id} className="alert">
            {alert.closedAt === undefined ? (
              <StateWord state="warned" word="open" />
            ) : (
              <StateWord state="passed" word="closed" />
            )}
            <div className="stack alert-what">
              <p>
                <strong>{alert.kind === 'drift' ? 'Drift' : `Quality: ${alert.subject}`}</strong> in {alert.environment}
                , version {alert.version}
                {alert.features.length > 0 && (
                  <>
                    : <span className="mono">{alert.features.join(', ')}</span>
                  </>
                )}
              </p>
              <p className="muted">{alert.closedBecause ?? alert.reasons[0]}</p>
            </div>
            <span className="quiet">
              <Ago at={alert.openedAt} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
