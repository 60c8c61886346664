import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { rolloutState } from '../lineage/shown-states-contract.ts'
import { abortRollout, continueRollout, listDeployments } from '../rollouts/rollouts-contract.ts'
import type { CliContext } from './context.ts'
import { stateText } from './state-text.ts'
import { table } from './table.ts'
import { percent, shortId, timeAgo } from './words.ts'

type Rollout = NonNullable<OutputOf<typeof listDeployments>['items'][number]['rollout']>

export async function listRollouts(context: CliContext): Promise<number> {
  const { io, now } = context
  const rollouts = await underWay(context)
  if (io.json) {
    io.out(`${JSON.stringify({ items: rollouts })}\n`)
    return 0
  }
  if (rollouts.length === 0) io.out('No rollout is under way.\n')
  const rows = rollouts.map((one) => [
    shortId(one.id),
    one.environment,
    `v${one.newcomer.version}`,
    stateText(io.color, rolloutState[one.state], one.state),
    `${one.step + 1} of ${one.canary.length} (${percent(one.canary[one.step] ?? 1)})`,
    timeAgo(one.stepSince, now()),
    one.next,
  ])
  for (const line of table(['ROLLOUT', 'ENVIRONMENT', 'VERSION', 'STATE', 'STEP', 'SINCE', 'NEXT'], rows))
    io.out(`${line}\n`)
  return 0
}

/** By its id, its environment, its version, or as the only one. */
export async function steerRollout(
  context: CliContext,
  what: 'continue' | 'abort',
  which: string | undefined,
): Promise<number> {
  const { io } = context
  const rollout = await meant(context, which)
  const client = await context.client()
  const answer = await client(what === 'continue' ? continueRollout : abortRollout, { params: { id: rollout.id } })
  const name = `The rollout of version ${rollout.newcomer.version} to ${rollout.environment}`
  if (io.json) io.out(`${JSON.stringify(answer)}\n`)
  else
    io.out(
      what === 'continue'
        ? `${name} goes on to its next step.\n`
        : `${name} is stopped: the old version gets all traffic, and the revert is proposed.\n`,
    )
  return 0
}

/** The id of the only rollout that waits for a person and may be meant. */
export async function waitingRollout(context: CliContext, which: string | undefined): Promise<string | undefined> {
  const project = await context.project()
  const { items } = await (await context.client())(listDeployments, { params: { project } })
  const waiting = items.flatMap(({ state, rollout }) => (rollout && state === 'waiting for a person' ? [rollout] : []))
  const found = waiting.filter((one) => isNamed(one, which))
  return found.length === 1 ? found[0]!.id : undefined
}

const isNamed = ({ id, environment, newcomer }: Rollout, which: string | undefined): boolean =>
  which === undefined ||
  environment === which ||
  id.endsWith(which) ||
  [`${newcomer.version}`, `v${newcomer.version}`].includes(which)

async function underWay(context: CliContext): Promise<Rollout[]> {
  const project = await context.project()
  const { items } = await (await context.client())(listDeployments, { params: { project } })
  return items.flatMap(({ rollout }) => rollout ?? [])
}

async function meant(context: CliContext, which: string | undefined): Promise<Rollout> {
  const rollouts = await underWay(context)
  const found = rollouts.filter((one) => isNamed(one, which))
  if (found.length === 1) return found[0]!
  const names = rollouts.map(({ environment, newcomer }) => `${environment} (version ${newcomer.version})`).join(', ')
  if (found.length > 1)
    throw new AppError('BadRequest', `Several rollouts are under way: ${names}.`, 'Name the environment.')
  throw new AppError(
    'NotFound',
    rollouts.length === 0 ? 'No rollout is under way.' : `No rollout "${which}" is under way; there is ${names}.`,
    '`modelwright status` shows what serves where.',
  )
}
