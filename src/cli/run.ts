import { setTimeout as sleep } from 'node:timers/promises'
import { planCommit, startExecution } from '../executions/executions-contract.ts'
import { listVerdicts } from '../gates/gates-contract.ts'
import type { Client } from '../kernel/client.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { formatMetric, parseShare } from '../kernel/units.ts'
import { executionState, verdictState } from '../lineage/shown-states-contract.ts'
import { getProject } from '../projects/projects-contract.ts'
import type { CliContext } from './context.ts'
import type { ExecutionDetail } from './find-execution.ts'
import { followExecution, showFailures } from './follow-execution.ts'
import { readSettings } from './read-settings.ts'
import { bigUntrackedFiles, pushSnapshot, takeSnapshot } from './snapshot.ts'
import { stateText } from './state-text.ts'
import { table } from './table.ts'
import { shortCommit, shortId, tookText } from './words.ts'

export type RunOptions = {
  step: string | undefined
  set?: string[]
  /** True: every step. */
  force?: true | string[]
  sample?: string
  dryRun?: boolean
  detach?: boolean
}
type Verdict = OutputOf<typeof listVerdicts>['items'][number]

const verdictWithinMs = 5_000

/** `modelwright run`: the working tree as a snapshot → plan or execution → progress, metrics and verdict. 0 only if it succeeded. */
export async function runWorkingTree(context: CliContext, options: RunOptions): Promise<number> {
  const { io } = context
  const set = readSettings(options.set ?? [])
  const asked = {
    set,
    ...(options.step ? { only: options.step } : {}),
    ...(options.force ? { fresh: options.force === true ? ('all' as const) : options.force } : {}),
    ...(options.sample === undefined ? {} : { sample: sampleOf(options.sample) }),
  }
  const project = await context.project()
  const client = await context.client()
  await client(getProject, { params: { project } })
  const snapshot = await takeSnapshot(context.cwd, context.env, context.now())
  if (!snapshot.clean)
    for (const { path, bytes } of await bigUntrackedFiles(snapshot.root, context.env))
      io.err(
        `${io.color.yellow('!')} ${path} (${Math.round(bytes / 1e6)} MB) is untracked and goes to the server with the snapshot; name it in .gitignore if no step needs it.\n`,
      )
  await pushSnapshot(
    snapshot,
    { server: await context.serverUrl(), project, token: await context.token() },
    context.env,
  )
  const body = { commit: snapshot.commit, ...asked }
  if (options.dryRun) {
    const plan = await client(planCommit, { params: { project }, body })
    io.out(io.json ? `${JSON.stringify(plan)}\n` : `${plan.lines.join('\n')}\n`)
    return 0
  }
  const { execution, plan } = await client(startExecution, { params: { project }, body })
  if (!io.json) {
    const what = snapshot.clean
      ? `commit ${shortCommit(snapshot.commit)}`
      : `the working tree (snapshot ${shortCommit(snapshot.commit)})`
    io.out(`Running ${what} as execution ${io.color.bold(shortId(execution.id))}\n`)
    io.out(`${io.color.dim(plan.lines[0] ?? '')}\n`)
  }
  if (options.detach) {
    if (io.json) io.out(`${JSON.stringify({ execution, plan })}\n`)
    else io.out(`Follow it with \`modelwright logs -f ${shortId(execution.id)}\`.\n`)
    return 0
  }
  return followToResult(context, client, execution.id)
}

/** Until it is over: progress, then metrics and verdict. 0 only if it succeeded. */
export async function followToResult(context: CliContext, client: Client, id: string): Promise<number> {
  const { io } = context
  const { detail, cancelled } = await followExecution(context, id)
  const verdicts = detail.state === 'succeeded' ? await verdictsOf(client, detail) : []
  if (io.json) io.out(`${JSON.stringify({ execution: detail, verdicts })}\n`)
  else {
    await showFailures(context, detail)
    tellResult(context, detail, verdicts)
  }
  return cancelled ? 130 : detail.state === 'succeeded' ? 0 : 1
}

function sampleOf(text: string): number {
  const share = parseShare(text)
  if (share !== undefined && share > 0) return share
  throw new AppError('BadRequest', `--sample ${text} is no share of the rows.`, 'Write it as --sample 5%.')
}

/** The gate judges a moment after the last step; only an execution that made a model is judged. */
async function verdictsOf(client: Client, detail: ExecutionDetail): Promise<Verdict[]> {
  const models = new Set(detail.nodes.flatMap(({ model }) => (model ? [model.name] : [])))
  if (models.size === 0 || detail.only) return []
  for (let waitedMs = 0; ; waitedMs += 100) {
    const { items } = await client(listVerdicts, { query: { execution: detail.id } })
    if (items.length >= models.size || waitedMs >= verdictWithinMs) return items
    await sleep(100)
  }
}

function tellResult({ io }: CliContext, detail: ExecutionDetail, verdicts: readonly Verdict[]): void {
  const metrics = detail.nodes.flatMap((node) =>
    Object.entries(node.metrics ?? {}).map(([name, value]) => [node.id, name, formatMetric(value)]),
  )
  const lines = table(['STEP', 'METRIC', { head: 'VALUE', align: 'right' }], metrics)
  if (lines.length > 0) io.out(`\n${lines.map((line) => `  ${line}\n`).join('')}`)
  for (const verdict of verdicts) io.out(`\n${verdictLines(io, verdict).join('\n')}\n`)
  const took = tookText(detail.startedAt ?? detail.createdAt, detail.endedAt ?? detail.createdAt)
  io.out(
    `\n${stateText(io.color, executionState[detail.state])} in ${took}${detail.reason ? `: ${detail.reason}` : ''}\n`,
  )
}

/** A verdict and its objectives, as `run` and `why` show them. */
export function verdictLines({ color }: Pick<CliContext['io'], 'color'>, verdict: Verdict): string[] {
  const rows = verdict.objectives.map(({ metric, outcome, value, champion, reason }) => [
    outcome === 'info' ? color.dim('· info') : stateText(color, verdictState[outcome]),
    metric,
    formatMetric(value),
    champion === undefined || champion === null ? '' : formatMetric(champion),
    withoutName(reason, metric),
  ])
  const toldAbove = new Set(verdict.objectives.map(({ reason }) => reason))
  const right = (head: string) => ({ head, align: 'right' as const })
  return [
    `${stateText(color, verdictState[verdict.outcome])}  gate of ${verdict.model}, score ${formatMetric(verdict.score)} of 100`,
    ...table(['', 'OBJECTIVE', right('VALUE'), right('CHAMPION'), 'WHY'], rows).map((line) => `  ${line}`),
    ...verdict.reasons.filter((reason) => !toldAbove.has(reason)).map((reason) => `  ${color.dim(reason)}`),
  ]
}

/** An objective's reason begins with its metric, which stands beside it here. */
export const withoutName = (reason: string, metric: string): string =>
  reason.startsWith(`${metric}: `) ? reason.slice(metric.length + 2) : reason
