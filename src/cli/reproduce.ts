import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { formatMetric } from '../kernel/units.ts'
import { reproductionState } from '../lineage/shown-states-contract.ts'
import { getReproduction, requestReproduction } from '../reproductions/reproductions-contract.ts'
import type { CliContext } from './context.ts'
import { findVersion } from './find-version.ts'
import type { CliIo } from './io.ts'
import { wholeCommit } from './plan.ts'
import { stateText } from './state-text.ts'
import { aligned } from './table.ts'
import { shortCommit, shortId, tookText } from './words.ts'

export type Reproduction = OutputOf<typeof getReproduction>
export type ReproduceOptions = { runs: string; tolerance: string; at?: string; detach?: boolean }

const pollMs = 500
const unreachableForMs = 120_000

/** `modelwright reproduce MODEL`: 0 where it was made again with the same result, or one within the tolerance. */
export async function reproduce(context: CliContext, what: string, options: ReproduceOptions): Promise<number> {
  const { io } = context
  const client = await context.client()
  const version = await findVersion(context, what)
  const commit = options.at ? await wholeCommit(context, options.at) : undefined
  const body = { runs: runsOf(options.runs), tolerance: toleranceOf(options.tolerance), ...(commit ? { commit } : {}) }
  const asked = await client(requestReproduction, { params: { digest: version.digest }, body })
  if (!io.json) {
    const from = commit ? `at commit ${shortCommit(commit)}` : `from its record (commit ${shortCommit(asked.commit)})`
    io.out(`Making ${version.model} version ${version.version} again ${from}: ${io.color.bold(shortId(asked.id))}\n`)
  }
  if (options.detach) {
    if (io.json) io.out(`${JSON.stringify(asked)}\n`)
    return 0
  }
  const ended = await follow(context, asked.id)
  io.out(io.json ? `${JSON.stringify(ended)}\n` : `${reproductionLines(ended, io.color).join('\n')}\n`)
  return ended.state === 'judged' && ended.comparison?.outcome !== 'different' ? 0 : 1
}

async function follow(context: CliContext, id: string): Promise<Reproduction> {
  const { io, now } = context
  const client = await context.client()
  const told = new Set<string>()
  for (let lastAnswer = now(); ; ) {
    const seen = await client(getReproduction, { params: { id } }).catch((error: unknown) => {
      if (isAppError(error, 'ServerUnreachable') && now() - lastAnswer < unreachableForMs) return undefined
      throw error
    })
    if (seen) {
      lastAnswer = now()
      for (const [role, execution] of Object.entries(seen.passes)) {
        if (told.has(role) || execution === undefined) continue
        told.add(role)
        if (!io.json) io.out(`${stateText(io.color, 'running')}  ${role.padEnd(18)}  execution ${shortId(execution)}\n`)
      }
      if (seen.state !== 'running') return seen
    }
    await sleep(pollMs)
  }
}

/** The verdict, then what differs step by step. */
export function reproductionLines(one: Reproduction, color: CliIo['color']): string[] {
  const { comparison, error, sentence } = one
  const took = one.endedAt === undefined ? '' : ` in ${tookText(one.createdAt, one.endedAt)}`
  if (error) return [`${stateText(color, 'failed')}${took}: ${error.message}`, color.dim(error.next)]
  if (!comparison) return [stateText(color, 'running')]
  const rows = comparison.steps.flatMap(({ step, outcome, files, metrics, model }) => [
    [stateText(color, reproductionState[outcome], outcome), step],
    ...files.slice(0, 10).map(({ path, change }) => ['', '', change, path]),
    ...(files.length > 10 ? [['', '', '', `and ${files.length - 10} more files`]] : []),
    ...metrics.map(({ name, was, is }) => ['', '', 'metric', `${name}: ${numberText(was)} → ${numberText(is)}`]),
    ...(model && !model.same ? [['', '', 'model', modelText(model)]] : []),
  ])
  return [
    '',
    `${stateText(color, reproductionState[comparison.outcome], comparison.outcome)}${took}`,
    sentence ?? '',
    '',
    ...aligned(rows),
  ]
}

const numberText = (value: number | 'NaN' | undefined): string =>
  value === undefined ? 'none' : value === 'NaN' ? value : formatMetric(value)

type ComparedModel = NonNullable<NonNullable<Reproduction['comparison']>['steps'][number]['model']>

function modelText({ name, files, predictions }: ComparedModel): string {
  const changed = files.map(({ path }) => path).join(', ')
  if (!predictions) return `${name}: ${changed}`
  if (!predictions.compared) return `${name}: ${changed}; predictions not compared: ${predictions.reason}`
  const apart = predictions.largest === undefined ? '' : `, at most ${formatMetric(predictions.largest)} apart`
  return `${name}: ${changed}; predictions on ${predictions.rows} rows ${predictions.equal ? 'agree' : 'differ'}${apart}`
}

function runsOf(text: string): 1 | 2 {
  if (text === '1' || text === '2') return text === '1' ? 1 : 2
  throw new AppError('BadRequest', `"${text}" is no number of runs.`, 'Write --runs 1 or --runs 2.')
}

function toleranceOf(text: string): number {
  const tolerance = Number(text)
  if (text.trim() !== '' && tolerance >= 0 && tolerance <= 1) return tolerance
  throw new AppError('BadRequest', `"${text}" is no tolerance.`, 'Write a number from 0 to 1, such as 1e-9.')
}
