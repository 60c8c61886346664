import { useQuery } from '@tanstack/react-query'
import { Link, useParams, useSearch } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { cancelExecution, resumeExecution } from '../../../../src/executions/executions-contract.ts'
import { executionState, verdictState } from '../../../../src/lineage/shown-states-contract.ts'
import { commands } from '../../commands.ts'
import { api } from '../../data/api.ts'
import { type ExecutionDetail, executionQuery, nodeQuery, verdictsOfExecutionQuery } from '../../data/queries.ts'
import { executionTitle, openSteps, progressOf, triggerText } from '../../executions-words.ts'
import { count, personName, withShortNumbers } from '../../format.ts'
import { Action } from '../../parts/action.tsx'
import { Commit, Digest } from '../../parts/copy.tsx'
import { PageSkeleton, Skeleton } from '../../parts/loading.tsx'
import { Problem } from '../../parts/problem.tsx'
import { StateChip } from '../../parts/state-chip.tsx'
import { Ago, Took } from '../../parts/time.tsx'
import { VerdictTable } from '../../parts/verdict-table.tsx'
import './execution.css'
import { StepPanel } from './step-panel.tsx'

const StepGraph = lazy(() => import('../../graph/step-graph.tsx').then(({ StepGraph }) => ({ default: StepGraph })))

/** One pass through the pipeline: its graph, and of the chosen step the log, the metrics and why it runs. */
export function ExecutionPage() {
  const { project, id } = useParams({ from: '/projects/$project/executions/$id' })
  const { step, tab } = useSearch({ from: '/projects/$project/executions/$id' })
  const { data: execution, error } = useQuery(executionQuery(id))
  const verdicts = useQuery(verdictsOfExecutionQuery(id))
  // One of the many that are folded into one box has its URL all the same.
  const isHidden = step !== undefined && execution !== undefined && !execution.nodes.some((node) => node.id === step)
  const hidden = useQuery({ ...nodeQuery(id, step ?? ''), enabled: isHidden })
  if (error)
    return (
      <div className="page">
        <h1>Execution {id.slice(-8)}</h1>
        <Problem error={error} />
      </div>
    )
  if (!execution) return <PageSkeleton />
  const chosen =
    execution.nodes.find((node) => node.id === step) ?? (step ? hidden.data : undefined) ?? whatMatters(execution)
  return (
    <div className="page">
      <Title execution={execution} />
      <section className="card" aria-labelledby="steps">
        <header>
          <h2 id="steps">Steps</h2>
          <span className="quiet">{progressText(execution)}</span>
        </header>
        <Suspense fallback={<Skeleton height={200} />}>
          <StepGraph
            project={project}
            execution={id}
            nodes={execution.nodes}
            {...(chosen ? { selected: chosen.id } : {})}
          />
        </Suspense>
      </section>
      <div className="columns">
        <div className="stack wide">
          {chosen && <StepPanel key={chosen.id} project={project} execution={execution} node={chosen} tab={tab} />}
          {verdicts.data?.items.map((verdict) => (
            <section key={verdict.id} className="card" aria-label={`Verdict on ${verdict.model}`}>
              <header>
                <h2>Verdict on {verdict.model}</h2>
                <StateChip state={verdictState[verdict.outcome]} />
                <span className="spring" />
                <span className="quiet tabular">score {Number(verdict.score.toFixed(1))} of 100</span>
              </header>
              <p className="body muted">{withShortNumbers(verdict.reasons.join(' '))}</p>
              <VerdictTable verdict={verdict} />
            </section>
          ))}
        </div>
        <Facts execution={execution} />
      </div>
    </div>
  )
}

/** What a person comes for: the step that failed, else the one that runs, else the last. */
const whatMatters = ({ nodes }: ExecutionDetail) =>
  nodes.find(({ state, group }) => state === 'failed' && !group) ??
  nodes.find(({ state, group }) => (state === 'running' || state === 'starting') && !group) ??
  nodes.findLast(({ state, kind }) => state === 'succeeded' && kind === 'step') ??
  nodes.at(-1)

function progressText({ nodes }: ExecutionDetail): string {
  const { done, of, reused } = progressOf(nodes)
  const open = openSteps(nodes)
  const parts = [`${done} of ${of} ended`]
  if (reused > 0) parts.push(`${reused} reused`)
  const later = nodes.filter((node) => node.state === 'waiting' && node.after.some((id) => open.has(id))).length
  if (later > 0) parts.push(`${later} decided later`)
  return parts.join(' · ')
}

function Title({ execution }: { execution: ExecutionDetail }) {
  const running = execution.endedAt === undefined
  return (
    <div className="title">
      <div className="title-line">
        <h1>{executionTitle(execution)}</h1>
        <StateChip state={executionState[execution.state]} />
        <span className="spring" />
      </div>
      <p className="lede">{sentence(execution)}</p>
      {(execution.state === 'failed' || execution.state === 'cancelled') && (
        <Action
          label="Resume"
          command={commands.resume(execution.id)}
          act={() => api(resumeExecution, { params: { id: execution.id } })}
        />
      )}
      {running && (
        <Action
          label="Cancel"
          command={commands.cancel(execution.id)}
          act={() => api(cancelExecution, { params: { id: execution.id } })}
        />
      )}
    </div>
  )
}

function sentence(execution: ExecutionDetail): string {
  const { failed, done, of } = progressOf(execution.nodes)
  if (failed.length === 1 && failed[0]?.error) return failed[0].error.message
  if (failed.length > 0) return `${failed.map(({ id }) => id).join(', ')} failed.`
  if (execution.state === 'running') return `${count(of - done, 'step')} to go. What changed runs, the rest is reused.`
  if (execution.state === 'queued') return 'Waits for a free place on this machine.'
  if (execution.state === 'cancelling') return 'Being cancelled: what still runs is ended.'
  return execution.reason ? `${execution.reason[0]?.toUpperCase()}${execution.reason.slice(1)}.` : ''
}

function Facts({ execution }: { execution: ExecutionDetail }) {
  const { commit, subject, author, trigger, requestedBy, createdAt, startedAt, endedAt, deployable, data, set } =
    execution
  const { resumes, sample, fresh } = execution
  return (
    <section className="card" aria-labelledby="facts">
      <header>
        <h2 id="facts">Made from</h2>
      </header>
      <dl className="facts body">
        <dt>Commit</dt>
        <dd>
          <Commit commit={commit} /> by <span title={author}>{personName(author)}</span>
          <span className="quiet fact-line">{subject}</span>
        </dd>
        <dt>Because of</dt>
        <dd>{triggerText(trigger)}</dd>
        <dt>Asked by</dt>
        <dd>{requestedBy}</dd>
        {resumes && (
          <FactOf name="Carries on">
            <Link to="/projects/$project/executions/$id" params={{ project: execution.project, id: resumes }}>
              execution {resumes.slice(-8)}
            </Link>
          </FactOf>
        )}
        {sample !== undefined && <FactOf name="Sample">{Number((sample * 100).toFixed(2))}% of the data</FactOf>}
        {fresh && <FactOf name="Anew">{fresh === 'all' ? 'every step' : fresh.join(', ')}</FactOf>}
        <dt>Began</dt>
        <dd>
          <Ago at={startedAt ?? createdAt} />
        </dd>
        {startedAt !== undefined && (
          <>
            <dt>{endedAt === undefined ? 'Runs for' : 'Took'}</dt>
            <dd>
              <Took from={startedAt} to={endedAt} />
            </dd>
          </>
        )}
        <dt>Deployable</dt>
        <dd>{deployable ? 'yes' : 'no, a trial'}</dd>
        {Object.entries(set).map(([name, value]) => (
          <FactOf key={name} name={`Set ${name}`}>
            <code>{String(value)}</code>
          </FactOf>
        ))}
        {data.map(({ dataset, digest, path, address }) => (
          <FactOf key={dataset} name={`Data ${dataset}`}>
            <Digest digest={digest} /> <span className="quiet">{address ?? path}</span>
          </FactOf>
        ))}
      </dl>
    </section>
  )
}

const FactOf = ({ name, children }: { name: string; children: React.ReactNode }) => (
  <>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </>
)
