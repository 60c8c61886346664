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

/**
 * Writes whole lines of one step, each with the step's name where several are shown. `attempt`: the one that was asked for; `seen`: the
 * one that is being read.
 */
type Source = {
  node: string
  offset: number
  rest: string
  ended: boolean
  prefix: string
  seen: number
  attempt?: number
}

/** `only`: the step that was asked for. */
type Shown = { sources: Source[]; only: string | undefined; attempt: number | undefined }

/** Of a line that is longer, what there is of it is written before its end is known: a line may be a gigabyte. */
const longestHeld = 100_000

/** What `--json` gives is held as a whole, where a letter may take six; an engine's text has 2^29 at most. */
const mostAsJson = 80_000_000

/** `modelwright logs`: step after step in order; with `-f` side by side, line by line, until the execution is over. */
export async function logs(context: CliContext, options: LogsOptions): Promise<number> {
  const tail = countOf('--tail', options.tail)
  const attempt = countOf('--attempt', options.attempt)
  const client = await context.client()
  const { id, step } = await meant(context, options)
  const detail = await client(getExecution, { params: { id }, query: { nodes: 'folded' } })
  const shown: Shown = { sources: [], only: step ? nodeNamed(detail, step) : undefined, attempt }
  include(context, shown, detail)
  const { sources } = shown
  if (options.grep !== undefined) return grep(context, client, id, sources, options.grep)
  if (context.io.json) return asJson(context, client, detail, { sources, tail })
  for (const source of sources) await drain(context, client, id, source, tail)
  const last = options.follow ? await follow(context, client, detail, shown) : detail
  for (const source of sources) endLine(context, source)
  tellFailures(context, last, shown.only)
  return 0
}

/** Steps that are not shown yet: the items of a list are there when the list is. A further attempt has a log of its own. */
function include({ io }: CliContext, { sources, only, attempt }: Shown, { nodes }: ExecutionDetail): void {
  const names = only ? [only] : nodes.filter(({ kind }) => !isDrawnFrom(kind)).map(({ id }) => id)
  const width = Math.max(0, ...names.map((name) => name.length))
  const attempts = new Map(nodes.map((node) => [node.id, node.attempt]))
  for (const node of names) {
    const seen = attempts.get(node) ?? 0
    const known = sources.find((source) => source.node === node)
    if (!known)
      sources.push({
        ...{ node, offset: 0, rest: '', ended: false, seen, ...(attempt === undefined ? {} : { attempt }) },
        prefix: only ? '' : `${io.color.dim(`${node.padEnd(width)} │`)} `,
      })
    else if (attempt === undefined && seen > known.seen) {
      endLine({ io }, known)
      Object.assign(known, { offset: known.seen === 0 ? known.offset : 0, ended: false, seen })
    }
  }
}

/** What stands for many steps writes nothing itself. */
const isDrawnFrom = (kind: ExecutionDetail['nodes'][number]['kind']): boolean => kind === 'matrix' || kind === 'fan-out'

async function follow(
  context: CliContext,
  client: Client,
  begun: ExecutionDetail,
  shown: Shown,
): Promise<ExecutionDetail> {
  const { sources, only } = shown
  for (let detail = begun; ; ) {
    for (const source of sources.filter(({ ended }) => !ended)) await drain(context, client, begun.id, source)
    if (isOver(detail) || (only && sources.every(({ ended }) => ended) && !isOpen(detail, only))) return detail
    await sleep(pollMs)
    detail = await client(getExecution, { params: { id: begun.id }, query: { nodes: 'folded' } })
    include(context, shown, detail)
  }
}

/** It may be tried again: the log of the attempt that failed is over, the step is not. */
const isOpen = ({ nodes }: ExecutionDetail, step: string): boolean =>
  nodes.find(({ id }) => id === step)?.state === 'waiting'

/** What failed, why, and what to do, which no log of a step says: a step that was never begun has none. */
function tellFailures({ io }: CliContext, { nodes }: ExecutionDetail, only: string | undefined): void {
  for (const { id, kind, error, state } of nodes) {
    if (state !== 'failed' || !error || kind === 'matrix' || (only !== undefined && id !== only)) continue
    const isHere = error.next.startsWith('Read its log')
    const next = isHere ? '' : `  ${io.color.dim(error.next)}\n`
    io.err(`${io.color.red(`✗ ${id}`)} ${error.message.split(' Its last words:')[0]}\n${next}`)
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
        ...attemptOf(source),
      },
    })
    source.offset = piece.offset
    source.ended = piece.ended
    write(context, source, piece.text)
    if (piece.text === '' || piece.ended || asked !== undefined) break
  }
}

/** Once it has begun, by number: the last one may be another by now. */
const attemptOf = ({ attempt, seen }: Source): { attempt?: number } =>
  attempt !== undefined ? { attempt } : seen > 0 ? { attempt: seen } : {}

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

/** What comes after the last line end waits for the rest of its line; one step alone has nobody to wait for. */
function write({ io }: Pick<CliContext, 'io'>, source: Source, text: string): void {
  if (source.prefix === '') {
    if (text !== '') io.out(text)
    source.rest = text === '' ? source.rest : text.endsWith('\n') ? '' : 'open'
    return
  }
  const lines = (source.rest + text).split('\n')
  const rest = lines.pop() ?? ''
  const isHeld = rest.length <= longestHeld
  source.rest = isHeld ? rest : ''
  if (!isHeld) lines.push(rest)
  if (lines.length > 0) io.out(`${lines.map((line) => source.prefix + line).join('\n')}\n`)
}

function endLine(context: Pick<CliContext, 'io'>, source: Source): void {
  if (source.rest !== '') write(context, source, '\n')
}

async function asJson(
  { io }: CliContext,
  client: Client,
  { id, nodes }: ExecutionDetail,
  { sources, tail }: { sources: readonly Source[]; tail: number | undefined },
): Promise<number> {
  const texts: string[] = []
  let length = 0
  for (const source of sources) {
    const text = await wholeOrTail(client, id, source, { tail, most: mostAsJson - length })
    length += text.length
    texts.push(text)
  }
  const errors = new Map(nodes.map((node) => [node.id, node.error]))
  const steps = sources.map(({ node }, index) => {
    const error = errors.get(node)
    return { step: node, text: texts[index], ...(error ? { error } : {}) }
  })
  io.out(`${JSON.stringify({ execution: id, steps })}\n`)
  return 0
}

async function wholeOrTail(
  client: Client,
  id: string,
  { node, attempt }: Source,
  { tail, most }: { tail: number | undefined; most: number },
): Promise<string> {
  let text = ''
  for (let offset = 0; ; ) {
    const query = { offset, ...(attempt === undefined ? {} : { attempt }), ...(tail === undefined ? {} : { tail }) }
    const piece = await client(readLog, { params: { id, node }, query })
    text += piece.text
    offset = piece.offset
    if (text.length > most)
      throw new AppError(
        'BadRequest',
        `With the log of "${node}" it is more than ${mostAsJson / 1e6} million characters, too many for one JSON value.`,
        `Ask for its end (--tail 1000), for lines (--grep TEXT), or for the text itself: modelwright logs ${id} ${node}`,
      )
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
