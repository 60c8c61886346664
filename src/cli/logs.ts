import { setTimeout as sleep } from 'node:timers/promises'
import { getExecution, readLog, searchLog } from '../executions/executions-contract.ts'
import type { Client } from '../kernel/client.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { CliContext } from './context.ts'
import { type ExecutionDetail, findExecution } from './find-execution.ts'
import { isOver } from './follow-execution.ts'

export type LogsOptions = {
  execution: string | undefined
  step: string | undefined
  follow?: boolean
  tail?: string
  grep?: string
  attempt?: string
}

const pollMs = 300

/** Writes whole lines of one step, each with the step's name where several are shown. */
type Source = { node: string; offset: number; rest: string; ended: boolean; prefix: string; attempt?: number }

/** `modelwright logs`: step after step in order; with `-f` side by side, line by line, until the execution is over. */
export async function logs(context: CliContext, options: LogsOptions): Promise<number> {
  const tail = countOf('--tail', options.tail)
  const attempt = countOf('--attempt', options.attempt)
  const client = await context.client()
  const { id, step } = await meant(context, options)
  const detail = await client(getExecution, { params: { id }, query: { nodes: 'folded' } })
  const nodes = step
    ? [nodeNamed(detail, step)]
    : detail.nodes.filter(({ kind }) => kind !== 'matrix' && kind !== 'fan-out').map((node) => node.id)
  const width = Math.max(...nodes.map((node) => node.length))
  const sources = nodes.map((node) => ({
    ...{ node, offset: 0, rest: '', ended: false, ...(attempt === undefined ? {} : { attempt }) },
    prefix: step ? '' : `${context.io.color.dim(`${node.padEnd(width)} │`)} `,
  }))
  if (options.grep !== undefined) return grep(context, client, id, sources, options.grep)
  if (context.io.json) return asJson(context, client, id, { sources, tail })
  for (const source of sources) await drain(context, client, id, source, tail)
  if (options.follow) await follow(context, client, id, sources)
  for (const source of sources) write(context, source, '\n')
  return 0
}

async function follow(context: CliContext, client: Client, id: string, sources: Source[]): Promise<void> {
  for (let over = false; ; ) {
    for (const source of sources.filter(({ ended }) => !ended)) await drain(context, client, id, source)
    if (over || sources.every(({ ended }) => ended)) return
    over = isOver(await client(getExecution, { params: { id }, query: { nodes: 'folded' } }))
    if (!over) await sleep(pollMs)
  }
}

/** All that is there now; with `tail` only its last lines, which the server finds without reading the rest. */
async function drain(context: CliContext, client: Client, id: string, source: Source, tail?: number): Promise<void> {
  for (let asked = tail; ; asked = undefined) {
    const piece = await client(readLog, {
      params: { id, node: source.node },
      query: {
        offset: source.offset,
        ...(asked === undefined ? {} : { tail: asked }),
        ...(source.attempt === undefined ? {} : { attempt: source.attempt }),
      },
    })
    source.offset = piece.offset
    source.ended = piece.ended
    write(context, source, piece.text)
    if (piece.text === '' || piece.ended || asked !== undefined) break
  }
}

/** Lines that hold the text, looked for by the server; 1 where there is none, as grep says it. */
async function grep(
  { io }: CliContext,
  client: Client,
  id: string,
  sources: readonly Source[],
  text: string,
): Promise<number> {
  const found: { step: string; offset: number; line: string }[] = []
  let count = 0
  for (const { node, prefix, attempt } of sources) {
    let offset: number | undefined = 0
    while (offset !== undefined) {
      const query: { text: string; offset: number; attempt?: number } = {
        text,
        offset,
        ...(attempt === undefined ? {} : { attempt }),
      }
      const page: OutputOf<typeof searchLog> = await client(searchLog, { params: { id, node }, query })
      for (const item of page.items) {
        if (io.json) found.push({ step: node, ...item })
        else io.out(`${prefix}${item.line}\n`)
      }
      count += page.items.length
      offset = page.next
    }
  }
  if (io.json) io.out(`${JSON.stringify({ execution: id, items: found })}\n`)
  return count > 0 ? 0 : 1
}

/** What comes after the last line end waits for the rest of its line. */
function write({ io }: CliContext, source: Source, text: string): void {
  const lines = (source.rest + text).split('\n')
  if (text === '\n' && source.rest === '') return
  source.rest = lines.pop() ?? ''
  if (lines.length > 0) io.out(`${lines.map((line) => source.prefix + line).join('\n')}\n`)
}

async function asJson(
  { io }: CliContext,
  client: Client,
  id: string,
  { sources, tail }: { sources: readonly Source[]; tail: number | undefined },
): Promise<number> {
  const texts = await Promise.all(sources.map((source) => wholeOrTail(client, id, source, tail)))
  const steps = sources.map(({ node }, index) => ({ step: node, text: texts[index] }))
  io.out(`${JSON.stringify({ execution: id, steps })}\n`)
  return 0
}

async function wholeOrTail(client: Client, id: string, { node, attempt }: Source, tail?: number): Promise<string> {
  let text = ''
  for (let offset = 0; ; ) {
    const query = { offset, ...(attempt === undefined ? {} : { attempt }), ...(tail === undefined ? {} : { tail }) }
    const piece = await client(readLog, { params: { id, node }, query })
    text += piece.text
    offset = piece.offset
    if (piece.text === '' || piece.ended || tail !== undefined) return text
  }
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
  // One of many that are shown as one: the server knows whether it is there.
  if (names.includes(step) || names.includes(step.split('@', 1)[0]!)) return step
  const nearest = nearestWord(step, names)
  throw new AppError(
    'NotFound',
    `The execution has no step "${step}"; it has ${names.join(', ')}.`,
    nearest ? `Did you mean ${nearest}?` : 'Name one of them.',
  )
}

function countOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new AppError('BadRequest', `${flag} ${text} is no number from 1 on.`, `Write it as ${flag} 50.`)
}
