import { setTimeout as sleep } from 'node:timers/promises'
import { getExecution, readLog } from '../executions/executions-contract.ts'
import type { Client } from '../kernel/client.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { CliContext } from './context.ts'
import { type ExecutionDetail, findExecution } from './find-execution.ts'
import { isOver } from './follow-execution.ts'

export type LogsOptions = {
  execution: string | undefined
  step: string | undefined
  follow?: boolean
  tail?: string
}

const pollMs = 300

/** Writes whole lines of one step, each with the step's name where several are shown. */
type Source = { node: string; offset: number; rest: string; ended: boolean; prefix: string }

/** `modelwright logs`: step after step in order; with `-f` side by side, line by line, until the execution is over. */
export async function logs(context: CliContext, options: LogsOptions): Promise<number> {
  const client = await context.client()
  const { id, step } = await meant(context, options)
  const detail = await client(getExecution, { params: { id } })
  const nodes = step ? [nodeNamed(detail, step)] : detail.nodes.map((node) => node.id)
  const width = Math.max(...nodes.map((node) => node.length))
  const sources = nodes.map((node) => ({
    ...{ node, offset: 0, rest: '', ended: false },
    prefix: step ? '' : `${context.io.color.dim(`${node.padEnd(width)} │`)} `,
  }))
  const tail = tailOf(options.tail)
  if (context.io.json) return asJson(context, client, id, sources)
  for (const source of sources) await drain(context, client, id, source, tail)
  if (options.follow) await follow(context, client, id, sources)
  for (const source of sources) write(context, source, '\n')
  return 0
}

async function follow(context: CliContext, client: Client, id: string, sources: Source[]): Promise<void> {
  for (let over = false; ; ) {
    for (const source of sources.filter(({ ended }) => !ended)) await drain(context, client, id, source)
    if (over || sources.every(({ ended }) => ended)) return
    over = isOver(await client(getExecution, { params: { id } }))
    if (!over) await sleep(pollMs)
  }
}

/** All that is there now; with `tail` only its last lines. */
async function drain(context: CliContext, client: Client, id: string, source: Source, tail?: number): Promise<void> {
  let held = ''
  for (;;) {
    const piece = await client(readLog, { params: { id, node: source.node }, query: { offset: source.offset } })
    source.offset = piece.offset
    source.ended = piece.ended
    if (tail === undefined) write(context, source, piece.text)
    else held = lastLines(held + piece.text, tail)
    if (piece.text === '' || piece.ended) break
  }
  if (tail !== undefined) write(context, source, held)
}

/** What comes after the last line end waits for the rest of its line. */
function write({ io }: CliContext, source: Source, text: string): void {
  const lines = (source.rest + text).split('\n')
  if (text === '\n' && source.rest === '') return
  source.rest = lines.pop() ?? ''
  if (lines.length > 0) io.out(`${lines.map((line) => source.prefix + line).join('\n')}\n`)
}

function lastLines(text: string, count: number): string {
  const lines = text.split('\n')
  const unfinished = lines.at(-1) === '' ? 1 : 0
  return lines.slice(-(count + unfinished)).join('\n')
}

async function asJson(context: CliContext, client: Client, id: string, sources: readonly Source[]): Promise<number> {
  const { wholeLog } = await import('./follow-execution.ts')
  const steps = await Promise.all(
    sources.map(async ({ node }) => ({ step: node, text: await wholeLog(client, id, node) })),
  )
  context.io.out(`${JSON.stringify({ execution: id, steps })}\n`)
  return 0
}

/** `logs train` names a step of the newest execution, where no execution is called so. */
async function meant(context: CliContext, options: LogsOptions): Promise<{ id: string; step: string | undefined }> {
  try {
    return { id: await findExecution(context, options.execution), step: options.step }
  } catch (error) {
    if (!options.execution || options.step || !isAppError(error, 'NotFound')) throw error
    return { id: await findExecution(context), step: options.execution }
  }
}

function nodeNamed(detail: ExecutionDetail, step: string): string {
  const names = detail.nodes.map(({ id }) => id)
  if (names.includes(step)) return step
  const nearest = nearestWord(step, names)
  throw new AppError(
    'NotFound',
    `The execution has no step "${step}"; it has ${names.join(', ')}.`,
    nearest ? `Did you mean ${nearest}?` : 'Name one of them.',
  )
}

function tailOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw new AppError('BadRequest', `--tail ${text} is no number of lines.`, 'Write it as --tail 50.')
}
