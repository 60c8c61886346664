import { join } from 'node:path'
import { isWell, type MemberFacts, memberFacts, membersIn } from '../compose/members.ts'
import type { Client } from '../kernel/client.ts'
import { isAppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { formatBytes, formatMetric } from '../kernel/units.ts'
import { getOverview } from '../lineage/lineage-contract.ts'
import {
  deploymentState,
  executionState,
  nodeState,
  rolloutState,
  servedState,
  verdictState,
} from '../lineage/shown-states-contract.ts'
import { listProjects } from '../projects/projects-contract.ts'
import { getGateway } from '../rollouts/rollouts-contract.ts'
import {
  budgetText,
  computedText,
  crowdText,
  type Gateway,
  inputsTexts,
  isWhole,
  memoryOf,
  processesText,
  replacedText,
  type ServedVersion,
  servedWord,
} from '../rollouts/served-words-contract.ts'
import type { CliContext } from './context.ts'
import { triggerText } from './find-execution.ts'
import type { CliIo } from './io.ts'
import { stateText } from './state-text.ts'
import { aligned } from './table.ts'
import { count, percent, shortCommit, shortId, timeAgo, tookText } from './words.ts'

export type Overview = OutputOf<typeof getOverview>
type Deployment = Overview['deployments'][number]
type Process = { name: string; url: string | undefined; pid: number | undefined; answers: boolean }

/** `modelwright status`: the processes, then for each project what serves, what happens now, and what waits for whom. */
export async function status(context: CliContext, options: { all?: boolean }): Promise<number> {
  const { io, now } = context
  const processes = await processesOf(context)
  const told = await toldByServer(context, options.all ?? false)
  if (io.json) {
    const { gateway, overviews: projects = [] } = told ?? {}
    io.out(`${JSON.stringify({ processes, ...(gateway ? { gateway } : {}), projects })}\n`)
    return told ? 0 : 1
  }
  io.out(`${processLines(processes, io).join('\n')}\n`)
  if (!told) {
    io.out(`\nStart it with ${io.color.bold('modelwright up')}.\n`)
    return 1
  }
  if (told.gateway) io.out(gatewayLines(told.gateway, now(), io.color).join(''))
  const gateway = processes.find(({ name }) => name === 'gateway')?.url
  for (const overview of told.overviews) {
    const lines = [...overviewLines(overview, now(), io.color), ...addressLines(overview, gateway, io.color)]
    io.out(`\n${lines.join('\n')}\n`)
  }
  if (told.overviews.length === 0)
    io.out(`\nThere is no project yet: run ${io.color.bold('modelwright init')} in your repository.\n`)
  return 0
}

/** The gateway is known only beside a server of this data folder. */
async function processesOf(context: CliContext): Promise<Process[]> {
  const runDir = join(await context.dataDir(), 'run')
  const local = memberFacts(runDir, 'server')
  const url = await context.serverUrl().catch(() => undefined)
  const isElsewhere = url !== local?.url && (context.options.server ?? context.env.MODELWRIGHT_SERVER) !== undefined
  const members = membersIn(runDir).filter((member) => member !== 'server' && memberFacts(runDir, member))
  const gateways = members.length > 0 ? members : (['gateway'] as const)
  const known: { name: string; facts: (Omit<MemberFacts, 'pid'> & { pid?: number }) | undefined }[] = [
    { name: 'server', facts: url === local?.url ? local : url === undefined ? undefined : { url } },
    ...(isElsewhere ? [] : gateways.map((name) => ({ name, facts: memberFacts(runDir, name) }))),
  ]
  return Promise.all(
    known.map(async ({ name, facts }) => ({
      name,
      url: facts?.url,
      pid: facts?.pid,
      answers: facts !== undefined && (await isWell(facts)),
    })),
  )
}

/** Undefined where no server answers: that is what status says then, and no error. */
async function toldByServer(
  context: CliContext,
  all: boolean,
): Promise<{ overviews: Overview[]; gateway: Gateway | undefined } | undefined> {
  try {
    const client = await context.client()
    const [gateway, { items }] = await Promise.all([
      gatewayOf(client),
      client(listProjects, { query: { limit: 1000 } }),
    ])
    const here = all ? undefined : await context.projectHere()
    const known = items.map(({ name }) => name)
    // A repository that is not connected yet shows the others; a project named on the command line must be there.
    const wanted = here !== undefined && (known.includes(here) || context.options.project) ? [here] : known
    const overviews = await Promise.all(wanted.map((project) => client(getOverview, { params: { project } })))
    return { overviews, gateway }
  } catch (error) {
    if (isAppError(error, 'ServerUnreachable')) return undefined
    throw error
  }
}

/** Undefined of a server that is older than this command and has no word for it. */
async function gatewayOf(client: Client): Promise<Gateway | undefined> {
  try {
    return await client(getGateway, {})
  } catch (error) {
    if (isAppError(error, 'NotFound')) return undefined
    throw error
  }
}

/** What all models share: below the processes, since it is of no single project; named, since the gateway's process may be elsewhere. */
export function gatewayLines(gateway: Gateway, now: number, color: CliIo['color']): string[] {
  const { memory, journal, problem, startedAt } = gateway
  const processes = processesText(gateway)
  const facts = [
    ...(processes && isWhole(gateway) ? [processes] : []),
    ...(memory ? [`models take ${budgetText(memory)} of memory`] : []),
    ...(journal && journal.written > 0 ? [`${predictionsText(journal.written)} written down`] : []),
    ...(startedAt === undefined ? [] : [`began ${timeAgo(startedAt, now)}`]),
  ]
  const troubles = [
    ...(processes && !isWhole(gateway) ? [processes] : []),
    ...(journal && journal.dropped > 0 ? [`${predictionsText(journal.dropped)} could not be written down`] : []),
    ...(problem ? [problem] : []),
  ]
  return [
    ...(facts.length > 0 ? [`  ${color.dim(`gateway: ${facts.join(', ')}`)}\n`] : []),
    ...troubles.map((text) => `  ${stateText(color, 'warned', text)}\n`),
  ]
}

const predictionsText = (n: number): string => `${n.toLocaleString('en')} ${n === 1 ? 'prediction' : 'predictions'}`

function processLines(processes: readonly Process[], { color }: CliIo): string[] {
  return aligned(
    processes.map(({ name, url, pid, answers }) => [
      name,
      answers
        ? stateText(color, 'passed', 'running')
        : stateText(color, url ? 'failed' : 'queued', url ? 'no answer' : 'down'),
      url ? color.cyan(url) : '',
      pid === undefined ? '' : color.dim(`pid ${pid}`),
    ]),
  )
}

/** Where what serves is asked for predictions. */
const addressLines = ({ project, deployments }: Overview, gateway: string | undefined, color: CliIo['color']) =>
  gateway === undefined
    ? []
    : deployments
        .filter(({ serving }) => serving !== undefined)
        .map(
          ({ environment }) =>
            `  ${color.dim(`predictions  POST ${gateway}/endpoints/${project.name}/${environment}/invocations`)}`,
        )

/** One project's loop: a head line, facts below each other, then what is next. */
export function overviewLines(overview: Overview, now: number, color: CliIo['color']): string[] {
  const { project, commit, next } = overview
  const head = commit
    ? `${color.bold(project.name)}  ${project.branch} at ${shortCommit(commit.id)}  ${commit.subject}  ${color.dim(`${authorName(commit.author)}, ${timeAgo(commit.at, now)}`)}`
    : `${color.bold(project.name)}  ${color.dim('nothing pushed yet')}`
  const rows = [
    ...executionRows(overview, now, color),
    ...verdictRows(overview, now, color),
    ...overview.deployments.flatMap((deployment) => deploymentRows(deployment, now, color)),
    ...promotionRows(overview, now, color),
    ...alertRows(overview, now, color),
    ...overview.scheduled
      .slice(0, 3)
      .map(({ environment, what, at }) => ['scheduled', '', `${what} in ${environment}, ${timeAgo(at, now)}`]),
  ]
  const mark =
    next.who === 'you' ? color.magenta('→ you:') : next.who === 'modelwright' ? color.cyan('→') : color.green('→')
  return [
    head,
    ...aligned(rows).map((line) => `  ${line}`),
    `  ${mark} ${next.sentence}`,
    ...(next.command ? [`    ${color.bold(next.command)}`] : []),
  ]
}

export const authorName = (author: string): string => author.replace(/\s*<[^>]*>$/, '')

function executionRows({ execution }: Overview, now: number, color: CliIo['color']): string[][] {
  if (!execution) return []
  const over = execution.endedAt !== undefined
  const running = execution.nodes.filter(({ state }) => nodeState[state] === 'running').map(({ id }) => id)
  const reused = execution.nodes.filter(({ state }) => state === 'reused').length
  const done = execution.nodes.filter(({ endedAt, state }) => endedAt !== undefined || state === 'reused').length
  const facts = [
    triggerText(execution.trigger),
    over
      ? `${timeAgo(execution.createdAt, now)}, took ${tookText(execution.startedAt ?? execution.createdAt, execution.endedAt!)}`
      : `${done} of ${execution.nodes.length} done${running.length > 0 ? `, now ${running.join(', ')}` : ''}`,
    ...(reused > 0 ? [`${count(reused, 'step')} reused`] : []),
  ]
  return [
    [
      'execution',
      stateText(color, executionState[execution.state]),
      `${facts.join('; ')}  ${color.dim(shortId(execution.id))}`,
    ],
  ]
}

function verdictRows({ verdict }: Overview, now: number, color: CliIo['color']): string[][] {
  if (!verdict) return []
  const failed = verdict.objectives.filter(({ outcome }) => outcome === 'fail' || outcome === 'inconclusive')
  const why = failed
    .map(({ metric, reason }) => (reason.startsWith(metric) ? reason : `${metric}: ${reason}`))
    .slice(0, 2)
  const text = [`${verdict.model}, score ${formatMetric(verdict.score)}, ${timeAgo(verdict.at, now)}`, ...why].join(
    '; ',
  )
  return [['candidate', stateText(color, verdictState[verdict.outcome]), text]]
}

function deploymentRows(deployment: Deployment, now: number, color: CliIo['color']): string[][] {
  const { environment, serving, desired, weights, rollout, reason, since, state } = deployment
  const shares = weights
    .filter(({ weight }) => weight > 0)
    .map(({ version, weight }) => `v${version} ${percent(weight)}`)
    .join(', ')
  const model = serving?.model ?? desired?.model
  const facts = [
    ...(model ? [model] : []),
    ...(shares ? [shares] : serving ? [`v${serving.version}`] : []),
    `since ${timeAgo(since, now)}`,
  ].join('  ')
  const rows = [[environment, stateText(color, deploymentState[state], state), facts]]
  if (reason && state !== 'serving') rows.push(['', '', color.dim(reason)])
  if (rollout) rows.push(['', stateText(color, rolloutState[rollout.state]), rolloutText(rollout)])
  return [...rows, ...endpointRows(deployment, now, color)]
}

/** What is in memory and what computes it; of requests and inputs only what somebody may want to mend. */
function endpointRows({ endpoint, reason = '' }: Deployment, now: number, color: CliIo['color']): string[][] {
  if (!endpoint) return []
  const { versions, requests, inputs, countedSince } = endpoint
  const crowd = requests && crowdText(requests)
  const lines = [...(crowd ? [crowd] : []), ...(inputs ? inputsTexts(inputs) : [])]
  return [
    ...versions.flatMap((version) => servedRows(version, { told: reason, now, color })),
    ...lines.map((text, i) => [
      '',
      '',
      i === 0 ? `${text}  ${color.dim(`since ${timeAgo(countedSince, now)}`)}` : text,
    ]),
  ]
}

type Telling = { told: string; now: number; color: CliIo['color'] }

/** @param telling `told`: the deployment's own reason, which is not told twice */
function servedRows(version: ServedVersion, { told, now, color }: Telling): string[][] {
  const { state, since, reason, computes, computesReason, replacedForMemory } = version
  const memory = memoryOf(version)
  const text = [
    `v${version.version}`,
    computedText(version),
    ...(memory === undefined ? [] : [formatBytes(memory)]),
    ...(since === undefined ? [] : [color.dim(`since ${timeAgo(since, now)}`)]),
  ]
  const notes = [
    ...(reason && !told.includes(reason) ? [reason] : []),
    // The proof of ONNX is `modelwright why`'s to tell.
    ...(computes === 'python' && computesReason ? [computesReason] : []),
    ...(replacedForMemory ? [replacedText(replacedForMemory)] : []),
  ]
  return [
    ['', stateText(color, servedState[state], servedWord(version)), text.join('  ')],
    ...notes.map((note) => ['', '', color.dim(note)]),
  ]
}

function rolloutText(rollout: NonNullable<Deployment['rollout']>): string {
  const { newcomer, canary, step, traffic, next, state } = rollout
  const at =
    state === 'step' || state === 'waiting'
      ? `step ${step + 1} of ${canary.length} (${percent(canary[step] ?? 1)})`
      : state
  const seen =
    traffic.newcomer.requests > 0
      ? `, ${count(traffic.newcomer.requests, 'request')}, ${traffic.newcomer.failed} failed`
      : ''
  return `v${newcomer.version} ${at}${seen}; ${next}`
}

function promotionRows({ promotions }: Overview, now: number, color: CliIo['color']): string[][] {
  return promotions.map((promotion) => [
    'waiting',
    stateText(color, 'waiting', promotion.approver ? `for ${promotion.approver}` : 'for a person'),
    `${promotion.kind} of ${promotion.model} v${promotion.version} to ${promotion.environment}, ${timeAgo(promotion.createdAt, now)}  ${color.dim(shortId(promotion.id))}`,
  ])
}

function alertRows({ alerts }: Overview, now: number, color: CliIo['color']): string[][] {
  return alerts.map(({ kind, environment, features, subject, openedAt, reasons }) => [
    kind === 'drift' ? 'drift' : 'quality',
    stateText(color, 'warned', environment),
    `${kind === 'drift' && features.length > 0 ? features.slice(0, 5).join(', ') + (features.length > 5 ? ` and ${features.length - 5} more` : '') : subject || (reasons[0] ?? '')}, since ${timeAgo(openedAt, now)}`,
  ])
}
