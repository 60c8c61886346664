import { Link } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import type { Alert, Report } from '../../data/queries.ts'
import { count, psiText } from '../../format.ts'
import { MiniHistogram } from '../../parts/mini-histogram.tsx'
import { StateChip, StateWord } from '../../parts/state-chip.tsx'
import { Ago } from '../../parts/time.tsx'

const shownFeatures = 4

type Props = { project: string; environment: string; report: Report; alerts: Alert[] }

/** What the monitors last saw: the features that moved most, each as reference against now. */
export function DriftCard({ project, environment, report, alerts }: Props) {
  const id = `drift-${environment}`
  return (
    <section className="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>
          <Link to="/projects/$project/monitoring" params={{ project }} className="card-link">
            Inputs of {environment}
            <ChevronRight size={14} aria-hidden />
          </Link>
        </h2>
        {alerts.length > 0 && <StateChip state="warned" />}
        <span className="spring" />
        <span className="quiet">
          {count(report.window.rows, 'row')} · <Ago at={report.at} />
        </span>
      </header>
      {report.outcome === 'drift' || report.outcome === 'no drift' ? (
        <ul className="list drift-list">
          {report.features.slice(0, shownFeatures).map((feature) => (
            <li key={feature.feature}>
              <span className="mono drift-name">{feature.feature}</span>
              <MiniHistogram feature={feature} />
              <span className="number">PSI {psiText(feature.psi)}</span>
              {feature.outcome === 'drift' ? (
                <StateWord state="warned" word="drift" />
              ) : (
                <span className="quiet">{feature.outcome}</span>
              )}
            </li>
          ))}
        </ul>
      ) : (
        <p className="body muted">{report.reasons.join(' ')}</p>
      )}
    </section>
  )
}
