import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { listVersions } from '../lineage/lineage-contract.ts'
import { reproductionState, verdictState } from '../lineage/shown-states-contract.ts'
import { getModel, listModels } from '../registry/registry-contract.ts'
import type { CliContext } from './context.ts'
import { limitOf } from './runs.ts'
import { stateText } from './state-text.ts'
import { table } from './table.ts'
import { percent, shortId, timeAgo } from './words.ts'

type Judged = OutputOf<typeof listVersions>['items'][number]

/** `modelwright versions [MODEL]`: what a verdict made a version; with `--all` also what user code registered itself. */
export async function versions(
  context: CliContext,
  model: string | undefined,
  options: { limit: string; all?: boolean },
): Promise<number> {
  if (options.all) return allVersions(context, model)
  const { io, now } = context
  const project = await context.project()
  const { items } = await (await context.client())(listVersions, {
    params: { project },
    query: { limit: limitOf(options.limit), ...(model ? { model } : {}) },
  })
  if (io.json) {
    io.out(`${JSON.stringify({ items })}\n`)
    return 0
  }
  if (items.length === 0)
    io.out(
      `${project} has no version${model ? ` of ${model}` : ''} yet: a candidate becomes one when its gate lets it pass.\n`,
    )
  const rows = items.map((one) => [
    one.model,
    `v${one.version}`,
    stateText(io.color, verdictState[one.verdict]),
    placesText(one, io.color),
    reproducedText(one, io.color),
    timeAgo(one.createdAt, now()),
    io.color.dim(shortId(one.executionId)),
    io.color.dim(one.digest.replace('sha256:', '').slice(0, 12)),
  ])
  const heads = [
    'MODEL',
    { head: 'VERSION', align: 'right' as const },
    'VERDICT',
    'WHERE',
    'MADE AGAIN',
    'MADE',
    'EXECUTION',
    'DIGEST',
  ]
  for (const line of table(heads, rows)) io.out(`${line}\n`)
  return 0
}

function placesText({ serves, declared, barred }: Judged, color: CliContext['io']['color']): string {
  const serving = serves.map(({ environment, weight }) => `${environment} ${percent(weight)}`)
  const ahead = declared
    .filter((environment) => !serves.some((one) => one.environment === environment))
    .map((environment) => `declared for ${environment}`)
  const bars = barred.map(({ environment }) => color.red(`barred from ${environment}`))
  return [...serving, ...ahead, ...bars].join(', ')
}

/** Whether it can be made again: in one word where it was looked into. */
function reproducedText({ reproduced }: Judged, color: CliContext['io']['color']): string {
  if (!reproduced) return color.dim('not tried')
  const { outcome, state } = reproduced
  if (!outcome) return state === 'running' ? stateText(color, 'running') : stateText(color, 'failed')
  return stateText(color, reproductionState[outcome], outcome === 'identical' ? 'bit for bit' : outcome)
}

async function allVersions(context: CliContext, model: string | undefined): Promise<number> {
  const { io, now } = context
  const client = await context.client()
  const names = model ? [model] : (await client(listModels, { query: { limit: 1000 } })).items.map(({ name }) => name)
  const models = await Promise.all(names.map((name) => client(getModel, { params: { model: name } })))
  const items = models.flatMap((one) => one.versions)
  if (io.json) {
    io.out(`${JSON.stringify({ items })}\n`)
    return 0
  }
  const rows = items.map((one) => [
    one.model,
    `v${one.version}`,
    one.origin === 'modelwright' ? 'judged' : 'registered by user code, not deployable',
    one.aliases.map((alias) => `@${alias}`).join(' '),
    timeAgo(one.createdAt, now()),
  ])
  for (const line of table(['MODEL', { head: 'VERSION', align: 'right' }, 'ORIGIN', 'ALIASES', 'MADE'], rows))
    io.out(`${line}\n`)
  return 0
}

/** `MODEL@3`, or `3` where the project has one model, → the digest that names the version. */
export async function digestOfVersion(context: CliContext, model: string, version: number): Promise<string> {
  const project = await context.project()
  const { items } = await (await context.client())(listVersions, { params: { project }, query: { model, limit: 1000 } })
  const found = items.find((one) => one.version === version)
  if (found) return found.digest
  throw new AppError(
    'NotFound',
    `${project} has no judged version ${version} of "${model}".`,
    '`modelwright versions` lists them.',
  )
}
