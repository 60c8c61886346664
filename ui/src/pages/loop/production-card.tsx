import { Link } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import { deploymentState } from '../../../../src/lineage/shown-states-contract.ts'
import type { Deployment } from '../../data/queries.ts'
import { StateChip } from '../../parts/state-chip.tsx'
import { Ago } from '../../parts/time.tsx'
import { CanarySteps, TrafficBar } from '../../parts/traffic-bar.tsx'

/** One environment: desired beside actual, and its canary while there is one. */
export function ProductionCard({ project, deployment }: { project: string; deployment: Deployment }) {
  const { environment, state, reason, since, desired, serving, rollout } = deployment
  const id = `environment-${environment}`
  return (
    <section className="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>
          <Link to="/projects/$project/deployments" params={{ project }} hash={environment} className="card-link">
            {environment}
            <ChevronRight size={14} aria-hidden />
          </Link>
        </h2>
        <span className="spring" />
        {state === 'nothing declared' ? (
          <span className="quiet">nothing declared</span>
        ) : (
          <StateChip state={deploymentState[state]} />
        )}
      </header>
      <div className="body stack">
        <dl className="facts">
          <dt>Git declares</dt>
          <dd>{desired?.version === undefined ? 'no version yet' : `${desired.model} v${desired.version}`}</dd>
          <dt>Serves</dt>
          <dd>{serving ? `${serving.model} v${serving.version}` : 'nothing'}</dd>
          <dt>Since</dt>
          <dd>
            <Ago at={since} />
          </dd>
        </dl>
        <TrafficBar deployment={deployment} />
        {rollout && <CanarySteps rollout={rollout} />}
        {reason && state !== 'serving' && <p className="muted">{reason}</p>}
      </div>
    </section>
  )
}
