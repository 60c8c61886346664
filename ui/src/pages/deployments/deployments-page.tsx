import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import {
  deploymentState,
  promotionState,
  rolloutState,
  stateWords,
} from '../../../../src/lineage/shown-states-contract.ts'
import { approvePromotion, rejectPromotion } from '../../../../src/promotions/promotions-contract.ts'
import { abortRollout, continueRollout } from '../../../../src/rollouts/rollouts-contract.ts'
import { commands } from '../../commands.ts'
import { api } from '../../data/api.ts'
import {
  type Deployment,
  type DeploymentDetail,
  deploymentQuery,
  deploymentsQuery,
  type Promotion,
  promotionsQuery,
  type Rollout,
} from '../../data/queries.ts'
import { count, percent } from '../../format.ts'
import { Action } from '../../parts/action.tsx'
import { Commit, Digest } from '../../parts/copy.tsx'
import { Empty } from '../../parts/empty.tsx'
import { PageSkeleton, SkeletonRows } from '../../parts/loading.tsx'
import { Problem } from '../../parts/problem.tsx'
import { StateChip, StateWord } from '../../parts/state-chip.tsx'
import { TableScroll } from '../../parts/table-scroll.tsx'
import { Ago } from '../../parts/time.tsx'
import { CanarySteps, TrafficBar } from '../../parts/traffic-bar.tsx'
import { VersionLink } from '../../parts/version-link.tsx'
import { AtGateway } from './at-gateway.tsx'
import './deployments.css'
import { GatewayCard } from './gateway-card.tsx'

/** Desired beside actual, for each environment; the way from one to the other, decision by decision. */
export function DeploymentsPage() {
  const { project } = useParams({ from: '/projects/$project/deployments' })
  const { data, error } = useQuery(deploymentsQuery(project))
  const promotions = useQuery(promotionsQuery(project)).data?.items ?? []
  if (!data && !error) return <PageSkeleton />
  return (
    <div className="page">
      <div className="title">
        <h1>Deployments</h1>
        <p className="lede">What Git declares for each environment beside what serves there.</p>
      </div>
      {error && <Problem error={error} />}
      {data?.items.length === 0 && (
        <section className="card">
          <Empty title="Nothing is declared" commands={[commands.push]}>
            Write an environment under `deployments:` in modelwright.yaml and push it; the first version that passes its
            gate goes there.
          </Empty>
        </section>
      )}
      {data?.items.map((deployment) => (
        <Environment
          key={deployment.environment}
          project={project}
          deployment={deployment}
          promotions={promotions.filter(({ environment }) => environment === deployment.environment)}
        />
      ))}
      {data && data.items.length > 0 && <GatewayCard />}
    </div>
  )
}

type Props = { project: string; deployment: Deployment; promotions: Promotion[] }

function Environment({ project, deployment, promotions }: Props) {
  const { environment, state, reason, since } = deployment
  const { data: detail } = useQuery(deploymentQuery(project, environment))
  const waiting = promotions.filter(({ waitsForPerson }) => waitsForPerson)
  return (
    <section className="card" aria-labelledby={environment}>
      <header>
        <h2 id={environment}>{environment}</h2>
        {state === 'nothing declared' ? (
          <span className="quiet">nothing declared</span>
        ) : (
          <StateChip state={deploymentState[state]} />
        )}
        <span className="spring" />
        <span className="quiet">
          since <Ago at={since} />
        </span>
      </header>
      {reason && <p className="environment-reason">{reason}</p>}
      <div className="beside">
        <Desired project={project} deployment={deployment} />
        <Actual project={project} deployment={deployment} />
      </div>
      {deployment.endpoint && <AtGateway endpoint={deployment.endpoint} />}
      {deployment.rollout && <UnderWay rollout={deployment.rollout} />}
      {waiting.map((promotion) => (
        <Waiting key={promotion.id} promotion={promotion} />
      ))}
      {detail ? <History detail={detail} promotions={promotions} /> : <SkeletonRows rows={3} />}
    </section>
  )
}

function Desired({ project, deployment: { desired } }: { project: string; deployment: Deployment }) {
  return (
    <div>
      <h3>Git declares</h3>
      {desired?.version === undefined ? (
        <p className="muted">{desired ? `${desired.model}, no version yet` : 'nothing'}</p>
      ) : (
        <p className="row">
          <VersionLink project={project} model={desired.model} version={desired.version} />
          {desired.digest && <Digest digest={desired.digest} />}
        </p>
      )}
    </div>
  )
}

function Actual({ project, deployment }: { project: string; deployment: Deployment }) {
  const { serving } = deployment
  return (
    <div>
      <h3>Serves</h3>
      {serving ? (
        <p className="row">
          <VersionLink project={project} model={serving.model} version={serving.version} />
          <Digest digest={serving.digest} />
        </p>
      ) : (
        <p className="muted">nothing</p>
      )}
      <TrafficBar deployment={deployment} />
    </div>
  )
}

function UnderWay({ rollout }: { rollout: NonNullable<Deployment['rollout']> }) {
  const open = !['done', 'stalled', 'rolled back', 'superseded'].includes(rollout.state)
  return (
    <div className="under-way">
      <div className="row">
        <h3>Rollout of version {rollout.newcomer.version}</h3>
        <StateWord state={rolloutState[rollout.state]} word={rolloutWord(rollout.state)} />
        <CanarySteps rollout={rollout} />
      </div>
      <TableScroll label="Requests in this step">
        <table className="table counts">
          <caption className="visually-hidden">Requests in this step</caption>
          <thead>
            <tr>
              <th scope="col">In this step</th>
              <th scope="col" className="number">
                Requests
              </th>
              <th scope="col" className="number">
                Failed
              </th>
              <th scope="col" className="number">
                Input refused
              </th>
            </tr>
          </thead>
          <tbody>
            <Counts name={`v${rollout.newcomer.version} new`} counts={rollout.traffic.newcomer} />
            {rollout.old && <Counts name={`v${rollout.old.version}`} counts={rollout.traffic.old} />}
          </tbody>
        </table>
      </TableScroll>
      <p>
        <span className="quiet">Next: </span>
        {rollout.next}
      </p>
      {open && (
        <div className="choices">
          {rollout.state === 'waiting' && (
            <Action
              label="Continue"
              primary
              command={commands.continueRollout(rollout.environment)}
              act={() => api(continueRollout, { params: { id: rollout.id } })}
            />
          )}
          <Action
            label="Abort"
            command={commands.abortRollout(rollout.environment)}
            act={() => api(abortRollout, { params: { id: rollout.id } })}
          />
        </div>
      )}
    </div>
  )
}

function Counts({
  name,
  counts,
}: {
  name: string
  counts: { requests: number; failed: number; inputRefused: number }
}) {
  const share = (part: number) => (counts.requests === 0 ? '' : percent(part / counts.requests))
  return (
    <tr>
      <td>{name}</td>
      <td className="number">{counts.requests.toLocaleString('en')}</td>
      <td className="number">
        {counts.failed.toLocaleString('en')} <span className="quiet">{share(counts.failed)}</span>
      </td>
      <td className="number">
        {counts.inputRefused.toLocaleString('en')} <span className="quiet">{share(counts.inputRefused)}</span>
      </td>
    </tr>
  )
}

function Waiting({ promotion }: { promotion: Promotion }) {
  const { id, version, kind, approver, proposalBranch, reasons } = promotion
  return (
    <div className="under-way">
      <div className="row">
        <h3>
          {kind === 'revert' ? 'Revert to' : 'Promotion of'} version {version}
        </h3>
        <StateWord state="waiting" />
      </div>
      <p className="muted">
        {approver ? `The role ${approver}` : 'A member'} approves it, or merges <code>{proposalBranch}</code>.{' '}
        {reasons.join(' ')}
      </p>
      <div className="choices">
        <Action
          label="Approve"
          primary
          command={commands.approve(id)}
          act={() => api(approvePromotion, { params: { id } })}
        />
        <Action label="Reject" command={commands.reject(id)} act={() => api(rejectPromotion, { params: { id } })} />
      </div>
    </div>
  )
}

function History({ detail, promotions }: { detail: DeploymentDetail; promotions: Promotion[] }) {
  return (
    <div className="histories">
      <div>
        <h3>Rollouts</h3>
        {detail.rollouts.length === 0 && <p className="muted">None yet.</p>}
        {detail.rollouts.map((rollout, i) => (
          <PastRollout key={rollout.id} rollout={rollout} open={i === 0} />
        ))}
      </div>
      <div>
        <h3>What Git declared</h3>
        {detail.desiredHistory.length === 0 && <p className="muted">Nothing yet.</p>}
        <ol className="timeline">
          {detail.desiredHistory.map(({ commit, version, actor, origin, at }) => (
            <li key={`${commit} ${at}`}>
              <span>
                {version === undefined ? 'no version' : `v${version}`} <Commit commit={commit} />
              </span>
              <span className="quiet">
                {origin === 'modelwright' ? 'by Modelwright' : `pushed by ${actor}`}, <Ago at={at} />
              </span>
            </li>
          ))}
        </ol>
        <h3>Promotions</h3>
        {promotions.length === 0 && <p className="muted">None yet.</p>}
        <ol className="timeline">
          {promotions.map(({ id, version, state, decidedBy, updatedAt, note }) => (
            <li key={id}>
              <span className="row">
                v{version} <StateWord state={promotionState[state]} word={state} />
              </span>
              <span className="quiet">
                {decidedBy && `${decidedBy}, `}
                <Ago at={updatedAt} />
                {note && ` · ${note}`}
              </span>
            </li>
          ))}
        </ol>
      </div>
    </div>
  )
}

function PastRollout({ rollout, open }: { rollout: Rollout; open: boolean }) {
  const { newcomer, old, state, straight, reason, decisions, createdAt } = rollout
  return (
    <details className="past" open={open}>
      <summary>
        <span>
          {old ? `v${old.version} → ` : ''}v{newcomer.version}
        </span>
        <StateWord state={rolloutState[state]} word={rolloutWord(state)} />
        <span className="quiet">
          {count(decisions.length, 'decision')}, <Ago at={createdAt} />
        </span>
      </summary>
      {(reason ?? straight) && <p className="muted">{reason ?? straight}</p>}
      <ol className="timeline">
        {decisions.map(({ at, outcome, reasons }) => (
          <li key={`${at} ${outcome}`}>
            <span>{outcome}</span>
            <span className="quiet">
              {reasons.join('; ')} · <Ago at={at} />
            </span>
          </li>
        ))}
      </ol>
    </details>
  )
}

/** A rollout's own word, where it says more than that it progresses or waits. */
const rolloutWord = (state: Rollout['state']): string =>
  state === 'step' || state === 'waiting' ? stateWords[rolloutState[state]] : state
