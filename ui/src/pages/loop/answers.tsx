import { Link } from '@tanstack/react-router'
import { deploymentState, executionState } from '../../../../src/lineage/shown-states-contract.ts'
import { approvePromotion } from '../../../../src/promotions/promotions-contract.ts'
import { continueRollout } from '../../../../src/rollouts/rollouts-contract.ts'
import { commands } from '../../commands.ts'
import { api } from '../../data/api.ts'
import type { Deployment } from '../../data/queries.ts'
import { progressOf, triggerText } from '../../executions-words.ts'
import { count, percent } from '../../format.ts'
import { Action } from '../../parts/action.tsx'
import { StateChip, StateWord } from '../../parts/state-chip.tsx'
import { Ago, Took } from '../../parts/time.tsx'
import { TrafficBar } from '../../parts/traffic-bar.tsx'
import type { LoopFacts } from './loop-facts.ts'

/** The three questions that the first screen answers. */
export function Answers({ project, facts }: { project: string; facts: LoopFacts }) {
  return (
    <div className="answers">
      <InProduction project={project} facts={facts} />
      <HappeningNow overview={facts.overview} />
      <WaitingForYou overview={facts.overview} />
    </div>
  )
}

type Props = { project: string; facts: LoopFacts }

function InProduction({ project, facts: { overview, monitored } }: Props) {
  const { deployments } = overview
  // The environment at the end of the way is the one that the question means.
  const deployment = deployments.find(({ environment }) => environment === 'production') ?? deployments.at(-1)
  return (
    <section className="card answer" aria-labelledby="answer-production">
      <h2 id="answer-production">In production</h2>
      {!deployment || (!deployment.serving && !deployment.rollout) ? (
        <>
          <p className="answer-main">Nothing serves yet</p>
          <p className="quiet">The first version that passes its gate goes out from here.</p>
        </>
      ) : (
        <>
          <p className="answer-main">
            {deployment.serving ? (
              <Link
                to="/projects/$project/models/$model/versions/$version"
                params={{ project, model: deployment.serving.model, version: String(deployment.serving.version) }}
              >
                Version {deployment.serving.version}
              </Link>
            ) : (
              `Version ${deployment.rollout?.newcomer.version}`
            )}
            <StateChip state={deploymentState[deployment.state]} />
          </p>
          <TrafficBar deployment={deployment} />
          <Health deployment={deployment} monitored={monitored} />
        </>
      )}
    </section>
  )
}

function Health({ deployment, monitored }: { deployment: Deployment; monitored: LoopFacts['monitored'] }) {
  const watched = monitored.find(({ environment }) => environment === deployment.environment)
  const alert = watched?.alerts[0]
  if (alert)
    return (
      <p>
        <StateWord state="warned" word={alert.kind === 'drift' ? 'drift' : 'quality'} />{' '}
        <span className="muted">{alert.kind === 'drift' ? `in ${someOf(alert.features)}` : alert.subject}</span>
      </p>
    )
  const window = watched?.report?.window
  if (!window) return <p className="quiet">Not watched yet: no prediction was answered.</p>
  const failing = window.answered === 0 ? 0 : window.errors / window.answered
  return (
    <p className="muted">
      {count(window.answered, 'prediction')}, {percent(failing)} errors, {watched.report?.outcome}
    </p>
  )
}

const someOf = (features: string[]): string =>
  features.length <= 2 ? features.join(', ') : `${features.slice(0, 2).join(', ')} and ${features.length - 2} more`

function HappeningNow({ overview: { execution, deployments } }: Pick<LoopFacts, 'overview'>) {
  const moving = deployments.find(({ rollout }) => rollout !== undefined && rollout.state !== 'done')
  const running = execution && execution.endedAt === undefined
  return (
    <section className="card answer" aria-labelledby="answer-now">
      <h2 id="answer-now">Happening now</h2>
      {running ? (
        <>
          <p className="answer-main">
            {runningText(execution.nodes)}
            <StateChip state={executionState[execution.state]} />
          </p>
          <ProgressLine {...progressOf(execution.nodes)} />
          <p className="muted">
            {triggerText(execution.trigger)}, for{' '}
            <Took from={execution.startedAt ?? execution.createdAt} to={undefined} />
          </p>
        </>
      ) : moving?.rollout ? (
        <>
          <p className="answer-main">
            Rolling out version {moving.rollout.newcomer.version}
            <StateChip state={deploymentState[moving.state]} />
          </p>
          <p className="muted">{moving.rollout.next}</p>
        </>
      ) : (
        <>
          <p className="answer-main">Nothing runs</p>
          {execution && (
            <p className="muted">
              {triggerText(execution.trigger)}: {execution.reason ?? execution.state}
              {execution.endedAt !== undefined && (
                <>
                  , <Ago at={execution.endedAt} />
                </>
              )}
            </p>
          )}
        </>
      )}
    </section>
  )
}

function runningText(nodes: NonNullable<LoopFacts['overview']['execution']>['nodes']): string {
  const running = nodes.filter(({ state }) => state === 'running' || state === 'starting').map(({ id }) => id)
  return running.length === 0
    ? 'Queued'
    : running.slice(0, 2).join(', ') + (running.length > 2 ? ` +${running.length - 2}` : '')
}

function ProgressLine({ done, of }: { done: number; of: number }) {
  return (
    <div className="row">
      <progress className="progress" max={of} value={done} aria-label="Steps that ended" />
      <span className="quiet tabular">
        {done} of {of}
      </span>
    </div>
  )
}

function WaitingForYou({ overview: { promotions: waiting, deployments } }: Pick<LoopFacts, 'overview'>) {
  const asking = deployments.filter(({ state }) => state === 'waiting for a person')
  const nothing = waiting.length === 0 && asking.length === 0
  return (
    <section className="card answer" aria-labelledby="answer-waiting" data-shouts={!nothing}>
      <h2 id="answer-waiting">Waiting for you</h2>
      {nothing && (
        <>
          <p className="answer-main">Nothing</p>
          <p className="quiet">What needs a person shows here, with the command that answers it.</p>
        </>
      )}
      {waiting.map(({ id, version, environment, kind, approver }) => (
        <div key={id} className="stack">
          <p className="answer-main">
            {kind === 'revert' ? 'Revert' : 'Approve'} version {version} for {environment}
            <StateChip state="waiting" />
          </p>
          {approver && <p className="muted">The file asks for the role {approver}.</p>}
          <Action
            label="Approve"
            primary
            command={commands.approve(id)}
            act={() => api(approvePromotion, { params: { id } })}
          />
        </div>
      ))}
      {asking.map(({ environment, rollout, reason }) => (
        <div key={environment} className="stack">
          <p className="answer-main">
            {environment} asks whether to go on
            <StateChip state="waiting" />
          </p>
          {reason && <p className="muted">{reason}</p>}
          {rollout && (
            <Action
              label="Continue"
              primary
              command={commands.continueRollout(environment)}
              act={() => api(continueRollout, { params: { id: rollout.id } })}
            />
          )}
        </div>
      ))}
    </section>
  )
}
