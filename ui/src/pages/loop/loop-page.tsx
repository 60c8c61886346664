import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import { lazy, Suspense } from 'react'
import { executionState, verdictState } from '../../../../src/lineage/shown-states-contract.ts'
import { commands } from '../../commands.ts'
import { executionQuery, monitoringQuery, overviewQuery, promotionsQuery, type Verdict } from '../../data/queries.ts'
import { executionTitle, triggerText } from '../../executions-words.ts'
import { personName, withShortNumbers } from '../../format.ts'
import { Commit } from '../../parts/copy.tsx'
import { Empty } from '../../parts/empty.tsx'
import { PageSkeleton, Skeleton } from '../../parts/loading.tsx'
import { Problem } from '../../parts/problem.tsx'
import { StateChip } from '../../parts/state-chip.tsx'
import { Strip } from '../../parts/strip.tsx'
import { Ago, Took } from '../../parts/time.tsx'
import { VerdictTable } from '../../parts/verdict-table.tsx'
import { Answers } from './answers.tsx'
import { DriftCard } from './drift-card.tsx'
import './loop.css'
import { headline, type LoopFacts, stages } from './loop-facts.ts'
import { NextCard } from './next-card.tsx'
import { ProductionCard } from './production-card.tsx'

const StepGraph = lazy(() => import('../../graph/step-graph.tsx').then(({ StepGraph }) => ({ default: StepGraph })))

/** A project at a glance: what is in production and is it well, what happens now, what waits for me. */
export function LoopPage() {
  const project = useParams({ from: '/projects/$project' }).project
  const overview = useQuery(overviewQuery(project))
  const promotions = useQuery(promotionsQuery(project)).data?.items ?? []
  const monitored = useQuery(monitoringQuery(project)).data?.environments ?? []
  if (overview.error)
    return (
      <div className="page">
        <h1>{project}</h1>
        <Problem error={overview.error} />
      </div>
    )
  if (!overview.data) return <PageSkeleton />
  const facts = { overview: overview.data, promotions, monitored }
  const { state, sentence } = headline(facts)
  const { commit } = overview.data
  return (
    <div className="page">
      <div className="title">
        <div className="title-line">
          <h1>{project}</h1>
          {state && <StateChip state={state} />}
        </div>
        <p className="lede">{sentence}</p>
        {commit && (
          <p className="quiet">
            Head of {overview.data.project.branch}: <Commit commit={commit.id} /> {commit.subject}, by{' '}
            {personName(commit.author)}, <Ago at={commit.at} />
          </p>
        )}
      </div>
      {facts.overview.execution ? <Loop project={project} facts={facts} /> : <FirstPush />}
    </div>
  )
}

function FirstPush() {
  return (
    <section className="card">
      <Empty title="Push a commit to start the loop" commands={[commands.push]}>
        The push answers with the plan: which steps run, which are reused, and why. From here on this page shows what
        happens.
      </Empty>
    </section>
  )
}

function Loop({ project, facts }: { project: string; facts: LoopFacts }) {
  const { verdict, deployments } = facts.overview
  const evidence = [
    ...(verdict ? [<VerdictCard key="verdict" verdict={verdict} />] : []),
    ...facts.monitored.flatMap(({ environment, report, alerts }) =>
      report
        ? [<DriftCard key={environment} project={project} environment={environment} report={report} alerts={alerts} />]
        : [],
    ),
  ]
  const places = [
    ...deployments.map((deployment) => (
      <ProductionCard key={deployment.environment} project={project} deployment={deployment} />
    )),
    <NextCard key="next" overview={facts.overview} />,
  ]
  return (
    <>
      <Answers project={project} facts={facts} />
      <LatestExecution project={project} facts={facts} />
      {evidence.length === 0 ? (
        <div className="cards-row">{places}</div>
      ) : (
        <div className="columns">
          <div className="stack wide">{evidence}</div>
          <div className="stack wide">{places}</div>
        </div>
      )}
    </>
  )
}

function VerdictCard({ verdict }: { verdict: Verdict }) {
  return (
    <section className="card" aria-labelledby="verdict">
      <header>
        <h2 id="verdict">Candidate and verdict</h2>
        <StateChip state={verdictState[verdict.outcome]} />
        <span className="spring" />
        <span className="quiet">
          {verdict.model} · <Ago at={verdict.at} />
        </span>
      </header>
      <p className="body verdict-why">{withShortNumbers(verdict.reasons.join(' '))}</p>
      <VerdictTable verdict={verdict} />
    </section>
  )
}

function LatestExecution({ project, facts }: { project: string; facts: LoopFacts }) {
  const { execution } = facts.overview
  // The overview names the branch's head, which may be younger than the commit that ran: a promotion's, say.
  const { data: detail } = useQuery({ ...executionQuery(execution?.id ?? ''), enabled: execution !== undefined })
  if (!execution) return null
  return (
    <section className="card" aria-labelledby="latest">
      <header>
        <h2 id="latest">
          <Link to="/projects/$project/executions/$id" params={{ project, id: execution.id }} className="card-link">
            {detail ? executionTitle(detail) : 'Latest execution'}
            <ChevronRight size={14} aria-hidden />
          </Link>
        </h2>
        <StateChip state={executionState[execution.state]} />
        <span className="spring" />
        <span className="quiet row">
          <Commit commit={execution.commit} />
          {detail && <span title={detail.author}>by {personName(detail.author)}</span>}
          <span>{triggerText(execution.trigger)}</span>
          <Ago at={execution.createdAt} />
          {execution.startedAt !== undefined && (
            <span>
              {execution.endedAt === undefined ? 'for' : 'took'}{' '}
              <Took from={execution.startedAt} to={execution.endedAt} />
            </span>
          )}
        </span>
      </header>
      <Strip stages={stages(facts)} />
      <div className="loop-graph">
        <Suspense fallback={<Skeleton height={88} />}>
          <StepGraph project={project} execution={execution.id} nodes={execution.nodes} />
        </Suspense>
      </div>
    </section>
  )
}
