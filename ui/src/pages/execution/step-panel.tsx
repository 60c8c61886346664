import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { nodeState } from '../../../../src/lineage/shown-states-contract.ts'
import { commands } from '../../commands.ts'
import { type ExecutionDetail, type ExecutionNode, runQuery } from '../../data/queries.ts'
import { CommandLine, Digest } from '../../parts/copy.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SkeletonRows } from '../../parts/loading.tsx'
import { MetricTable } from '../../parts/metric-table.tsx'
import { Problem } from '../../parts/problem.tsx'
import { StateChip } from '../../parts/state-chip.tsx'
import { Took } from '../../parts/time.tsx'

const GroupPanel = lazy(() => import('./group-panel.tsx').then(({ GroupPanel }) => ({ default: GroupPanel })))
const MetricCharts = lazy(() =>
  import('../../charts/metric-charts.tsx').then(({ MetricCharts }) => ({ default: MetricCharts })),
)
const LogView = lazy(() => import('../../log/log-view.tsx').then(({ LogView }) => ({ default: LogView })))

const stepTabs = { log: 'Log', metrics: 'Metrics', why: 'Why', raw: 'Raw' } as const
type StepTab = keyof typeof stepTabs

type Props = { project: string; execution: ExecutionDetail; node: ExecutionNode; tab: StepTab | undefined }

/** The chosen step, one tab at a time; each has its URL. */
export function StepPanel({ project, execution, node, tab = 'log' }: Props) {
  if (node.group)
    return (
      <Suspense fallback={<SkeletonRows rows={8} />}>
        <GroupPanel project={project} execution={execution.id} node={node} group={node.group} />
      </Suspense>
    )
  return (
    <section className="card" aria-label={`Step ${node.id}`}>
      <header>
        <h2 className="mono step-name">{node.id}</h2>
        <StateChip state={nodeState[node.state]} {...(node.state === 'skipped' ? { word: 'skipped' } : {})} />
        {node.attempt > 1 && <span className="quiet">attempt {node.attempt}</span>}
        <span className="spring" />
        {node.startedAt !== undefined && node.state !== 'reused' && (
          <span className="quiet">
            <Took from={node.startedAt} to={node.endedAt} />
          </span>
        )}
      </header>
      {node.error && node.state !== 'skipped' && (
        <div className="step-problem">
          <Problem error={node.error} />
        </div>
      )}
      <nav className="tabs" aria-label="Of this step">
        {Object.entries(stepTabs).map(([key, name]) => (
          <Link
            key={key}
            to="/projects/$project/executions/$id"
            params={{ project, id: execution.id }}
            search={{ step: node.id, tab: key as StepTab }}
            aria-current={key === tab ? 'true' : undefined}
            resetScroll={false}
          >
            {name}
          </Link>
        ))}
      </nav>
      {tab === 'log' && <LogTab execution={execution} node={node} />}
      {tab === 'metrics' && <MetricsTab node={node} />}
      {tab === 'why' && <WhyTab node={node} />}
      {tab === 'raw' && <pre className="raw">{JSON.stringify(node, null, 2)}</pre>}
    </section>
  )
}

function LogTab({ execution, node }: { execution: ExecutionDetail; node: ExecutionNode }) {
  if (node.state === 'reused')
    return (
      <Empty title="Reused, so nothing was written now">
        Its result was made before by the very same inputs; the tab Why says which.
      </Empty>
    )
  if (node.state === 'skipped')
    return (
      <Empty title="Not run">
        {node.error?.message ?? `It was skipped: ${node.decision?.reasons.join('; ') ?? 'what it needs did not run'}.`}
      </Empty>
    )
  if (node.startedAt === undefined)
    return <Empty title="Not begun yet">The log shows here as soon as the step writes.</Empty>
  return (
    <>
      <Suspense fallback={<SkeletonRows rows={8} />}>
        <LogView execution={execution.id} node={node.id} attempt={node.attempt} />
      </Suspense>
      <footer className="log-foot">
        <CommandLine command={commands.logs(execution.id, node.id)} />
      </footer>
    </>
  )
}

function MetricsTab({ node }: { node: ExecutionNode }) {
  const running = node.state === 'running'
  const run = useQuery({ ...runQuery(node.runId ?? '', running), enabled: node.runId !== undefined })
  if (node.runId && run.isPending) return <SkeletonRows rows={4} />
  const latest: [string, number | string][] = Object.entries(run.data?.metrics ?? {}).map(([name, { value }]) => [
    name,
    value,
  ])
  const metrics = latest.length > 0 ? latest : Object.entries(node.metrics ?? {})
  if (metrics.length === 0)
    return <Empty title="No metrics yet">What the step logs with mlflow.log_metric shows here while it runs.</Empty>
  return (
    <>
      {node.runId && (
        <Suspense fallback={<SkeletonRows rows={8} />}>
          <MetricCharts run={node.runId} metrics={metrics.map(([name]) => name)} running={running} />
        </Suspense>
      )}
      <MetricTable label={`Latest metrics of ${node.id}`} metrics={metrics} />
    </>
  )
}

const outcomes = {
  runs: 'It runs, because',
  reused: 'It is reused, because',
  'decided later': 'Whether it runs is decided later, because',
  skipped: 'It is skipped, because',
} as const

function WhyTab({ node }: { node: ExecutionNode }) {
  const { decision } = node
  if (!decision) return <Empty title="Not decided yet">It is decided when the steps before it have ended.</Empty>
  return (
    <div className="body stack">
      <p>{outcomes[decision.outcome]}</p>
      <ul className="reasons">
        {decision.reasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
      <dl className="facts">
        {node.after.length > 0 && (
          <>
            <dt>After</dt>
            <dd>{node.after.join(', ')}</dd>
          </>
        )}
        {decision.key && (
          <>
            <dt>Key</dt>
            <dd>
              <Digest digest={decision.key} />
            </dd>
          </>
        )}
        {node.runId && (
          <>
            <dt>Run</dt>
            <dd className="mono">{node.runId}</dd>
          </>
        )}
      </dl>
    </div>
  )
}
