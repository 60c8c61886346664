import type { Deployment } from '../data/queries.ts'
import { percent } from '../format.ts'
import './traffic-bar.css'

/** Who answers which share of the traffic: the newcomer hatched, so that it does not differ by colour alone. */
export function TrafficBar({ deployment }: { deployment: Deployment }) {
  const { weights, rollout } = deployment
  if (weights.length === 0) return null
  const newcomer = rollout?.newcomer.digest
  return (
    <figure className="traffic">
      <div className="traffic-bar" aria-hidden="true">
        {weights
          .filter(({ weight, actual }) => (actual ?? weight) > 0)
          .map(({ digest, weight, actual }) => (
            <span key={digest} data-newcomer={digest === newcomer} style={{ flexGrow: actual ?? weight }} />
          ))}
      </div>
      <figcaption>
        <ul>
          {weights.map(({ digest, version, weight, actual, worker }) => (
            <li key={digest}>
              <i data-newcomer={digest === newcomer} aria-hidden />
              <span>
                v{version}
                {digest === newcomer && <span className="quiet"> new</span>}
              </span>
              <strong className="tabular">{percent(actual ?? weight)}</strong>
              {actual !== undefined && Math.abs(actual - weight) > 1e-6 && (
                <span className="quiet">shall have {percent(weight)}</span>
              )}
              {worker !== undefined && worker !== 'ready' && <span className="quiet">{worker}</span>}
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  )
}

/** The steps of a canary: where it stands, and what is still ahead. */
export function CanarySteps({ rollout }: { rollout: NonNullable<Deployment['rollout']> }) {
  const over = rollout.state === 'done'
  return (
    <ol className="canary" aria-label="Canary steps">
      {rollout.canary.map((share, i) => {
        const place =
          over || i < rollout.step ? 'done' : i === rollout.step && rollout.state !== 'preparing' ? 'now' : 'ahead'
        return (
          <li key={share} data-place={place} aria-current={place === 'now' ? 'step' : undefined}>
            {percent(share)}
          </li>
        )
      })}
    </ol>
  )
}
