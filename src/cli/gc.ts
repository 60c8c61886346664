import { collectGarbage, retentionState } from '../artifacts/retention-contract.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { parseDuration } from '../kernel/time.ts'
import { formatBytes } from '../kernel/units.ts'
import type { CliContext } from './context.ts'
import { count } from './words.ts'

export type GcOptions = {
  olderThan?: string
  experiments?: string
  runs?: string
  grace?: string
  dryRun?: boolean
  /** How long between two looks at a server that is at it. */
  everyMs?: number
}

type Going = OutputOf<typeof collectGarbage>
type State = OutputOf<typeof retentionState>

/** `modelwright gc`: what was deleted goes for good, and what nothing needs is freed. Waits until the server has done it. */
export async function gc(context: CliContext, options: GcOptions): Promise<number> {
  const client = await context.client()
  const body = {
    ...duration('--older-than', 'olderThanMs', options.olderThan),
    ...duration('--grace', 'graceMs', options.grace),
    ...list('experiments', options.experiments),
    ...list('runs', options.runs),
    dryRun: options.dryRun ?? false,
  }
  const going = await client(collectGarbage, { body })
  if (options.dryRun)
    return tell(
      context,
      going,
      `Would be purged: ${whatText(going)}.`,
      freedText(going.wouldFree),
      environmentsText(going),
    )
  for (;;) {
    const state = await client(retentionState, {})
    if (state.done >= going.ticket) {
      if (state.failure !== undefined)
        throw new AppError(
          'Conflict',
          `Not all was freed: ${state.failure}`,
          'What is purged goes on; see the log of the server.',
        )
      return tell(
        context,
        { ...going, ...state },
        `Purged: ${whatText(going)}.`,
        freedText(state.swept, state),
        environmentsText(state),
      )
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 300))
  }
}

function tell({ io }: CliContext, facts: object, ...lines: string[]): number {
  io.out(
    io.json
      ? `${JSON.stringify(facts)}\n`
      : lines
          .filter(Boolean)
          .map((line) => `${line}\n`)
          .join(''),
  )
  return 0
}

const whatText = ({ experiments, runs, loggedModels }: Going): string =>
  [
    count(experiments.length, 'experiment'),
    count(runs.length, 'run of its own', 'runs of their own'),
    count(loggedModels.length, 'logged model'),
  ].join(', ')

function freedText(swept: State['swept'], state?: State): string {
  if (!swept) return ''
  const freed = `${state ? 'Freed' : 'Nothing refers to'}: ${count(swept.objects, 'object')}, ${formatBytes(swept.bytes)}.`
  const waiting =
    swept.waiting > 0 ? ` ${swept.waiting} more wait until nothing has referred to them for the grace period.` : ''
  return freed + waiting
}

function environmentsText({ unusedEnvironments = [] }: Pick<State, 'unusedEnvironments'>): string {
  if (unusedEnvironments.length === 0) return ''
  return `${count(unusedEnvironments.length, 'Python environment')} that nobody used for 30 days.`
}

function duration(flag: string, name: 'olderThanMs' | 'graceMs', text: string | undefined) {
  if (text === undefined) return {}
  const ms = parseDuration(text)
  if (ms === undefined) throw new AppError('BadRequest', `${flag} ${text} is no duration.`, 'Say 30d, 12h, 90m or 0s.')
  return { [name]: ms }
}

const list = (name: 'experiments' | 'runs', text: string | undefined) =>
  text === undefined
    ? {}
    : {
        [name]: text
          .split(',')
          .map((id) => id.trim())
          .filter(Boolean),
      }
