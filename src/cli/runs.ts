import { getExecution } from '../executions/executions-contract.ts'
import { AppError } from '../kernel/errors.ts'
import { formatMetric } from '../kernel/units.ts'
import { executionState, runState } from '../lineage/shown-states-contract.ts'
import { listRuns } from '../tracking/tracking-contract.ts'
import type { CliContext } from './context.ts'
import { type ExecutionDetail, newestExecutions, triggerText } from './find-execution.ts'
import { stateText } from './state-text.ts'
import { table } from './table.ts'
import { shortCommit, shortId, timeAgo, tookText } from './words.ts'

type RunsOptions = { limit: string; experiment?: string; filter?: string; orderBy?: string }

const shownMetrics = 4

/** `modelwright runs`: executions, newest first, with what their steps measured; with `--experiment` MLflow's runs. */
export async function runs(context: CliContext, options: RunsOptions): Promise<number> {
  const limit = limitOf(options.limit)
  if (options.experiment !== undefined || options.filter !== undefined || options.orderBy !== undefined)
    return runsOfExperiment(context, options, limit)
  const { io, now } = context
  const client = await context.client()
  const summaries = await newestExecutions(context, limit)
  const details = await Promise.all(
    summaries.map(({ id }) => client(getExecution, { params: { id }, query: { nodes: 'folded' } })),
  )
  if (io.json) {
    io.out(`${JSON.stringify({ items: details })}\n`)
    return 0
  }
  if (details.length === 0) io.out('Nothing was executed yet: `git push modelwright` or `modelwright run`.\n')
  const here = await context.projectHere()
  const rows = details.map((detail) => [
    shortId(detail.id),
    ...(here ? [] : [detail.project]),
    stateText(io.color, executionState[detail.state]),
    shortCommit(detail.commit),
    triggerText(detail.trigger),
    timeAgo(detail.createdAt, now()),
    detail.endedAt === undefined ? '' : tookText(detail.startedAt ?? detail.createdAt, detail.endedAt),
    metricsText(metricsOf(detail)),
  ])
  const right = { head: 'TOOK', align: 'right' as const }
  const heads = ['EXECUTION', ...(here ? [] : ['PROJECT']), 'STATE', 'COMMIT', 'TRIGGER', 'STARTED', right, 'METRICS']
  for (const line of table(heads, rows)) io.out(`${line}\n`)
  return 0
}

async function runsOfExperiment(context: CliContext, options: RunsOptions, limit: number): Promise<number> {
  const { io, now } = context
  const experiment = options.experiment ?? (await context.project())
  const { items } = await (await context.client())(listRuns, {
    query: {
      experiment,
      limit,
      ...(options.filter ? { filter: options.filter } : {}),
      ...(options.orderBy ? { orderBy: options.orderBy } : {}),
    },
  })
  if (io.json) {
    io.out(`${JSON.stringify({ items })}\n`)
    return 0
  }
  if (items.length === 0) io.out(`No run of ${experiment} matches.\n`)
  const rows = items.map((run) => [
    run.id,
    run.name,
    stateText(io.color, runState[run.status]),
    timeAgo(run.startedAt, now()),
    run.endedAt === undefined ? '' : tookText(run.startedAt, run.endedAt),
    metricsText(Object.entries(run.metrics).map(([name, { value }]) => [name, value])),
  ])
  for (const line of table(['RUN', 'NAME', 'STATE', 'STARTED', { head: 'TOOK', align: 'right' }, 'METRICS'], rows))
    io.out(`${line}\n`)
  return 0
}

/** `step.metric`, but of the champion's evaluation: that is the champion's. */
const metricsOf = ({ nodes }: ExecutionDetail): [string, number | string | null][] =>
  nodes.flatMap((node) =>
    node.kind === 'step'
      ? Object.entries(node.metrics ?? {}).map(([name, value]): [string, number] => [`${node.id}.${name}`, value])
      : [],
  )

function metricsText(metrics: readonly (readonly [string, number | string | null])[]): string {
  const shown = metrics.slice(0, shownMetrics).map(([name, value]) => `${name} ${formatMetric(value)}`)
  return [...shown, ...(metrics.length > shownMetrics ? [`and ${metrics.length - shownMetrics} more`] : [])].join(', ')
}

export function limitOf(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit
  throw new AppError('BadRequest', `--limit ${text} is no number from 1 to 1000.`, 'Write it as --limit 20.')
}
