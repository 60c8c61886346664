import { setTimeout as sleep } from 'node:timers/promises'
import { cancelExecution, getExecution, readLog } from '../executions/executions-contract.ts'
import type { Client } from '../kernel/client.ts'
import { isAppError } from '../kernel/errors.ts'
import { nodeState } from '../lineage/shown-states-contract.ts'
import type { CliContext } from './context.ts'
import type { ExecutionDetail } from './find-execution.ts'
import type { CliIo } from './io.ts'
import { stateText } from './state-text.ts'
import { aligned, cut } from './table.ts'
import { count, tookText } from './words.ts'

type Node = ExecutionDetail['nodes'][number]

const pollMs = 250
const unreachableForMs = 60_000
const tailLines = 30

export type Followed = { detail: ExecutionDetail; cancelled: boolean }

/**
 * Shows an execution until it is over: lines that update themselves on a terminal, else a line per change. The first Ctrl-C
 * cancels it and says so, the second leaves at once.
 */
export async function followExecution(context: CliContext, id: string): Promise<Followed> {
  const { io, now } = context
  const client = await context.client()
  const show = progressOn(io)
  const stop = cancelOnInterrupt(context, client, id)
  try {
    for (let lastAnswer = now(); ; ) {
      const detail = await client(getExecution, { params: { id }, query: { nodes: 'folded' } }).catch(
        (error: unknown) => {
          // The server may be restarted while a step goes on.
          if (isAppError(error, 'ServerUnreachable') && now() - lastAnswer < unreachableForMs) return undefined
          throw error
        },
      )
      if (detail) {
        lastAnswer = now()
        show(detail, lastAnswer)
        if (isOver(detail)) return { detail, cancelled: stop.asked() }
      }
      await sleep(pollMs)
    }
  } finally {
    stop.end()
  }
}

export const isOver = (detail: Pick<ExecutionDetail, 'state'>): boolean =>
  detail.state === 'succeeded' || detail.state === 'failed' || detail.state === 'cancelled'

/** One line per node: state, name, time, and why. */
export function stepLines(nodes: readonly Node[], now: number, color: CliIo['color'], columns = 100): string[] {
  const rows = nodes.map((node) => [
    stateText(color, nodeState[node.state], nodeWord(node)),
    node.id,
    node.startedAt === undefined ? '' : tookText(node.startedAt, node.endedAt ?? now),
    color.dim(cut(noteOf(node), Math.max(20, columns - 50))),
  ])
  return aligned(rows, ['left', 'left', 'right', 'left']).map((line) => `  ${line}`)
}

const nodeWord = (node: Node): string => (node.state === 'skipped' ? 'skipped' : nodeState[node.state])

function noteOf({ state, decision, error, attempt, group, notBefore, failure }: Node): string {
  if (group) return groupNote(group)
  if (error) return error.message.split('\n')[0]!
  const reasons = decision?.reasons.join('; ') ?? ''
  if (state === 'waiting' && notBefore !== undefined)
    return `tries again at ${new Date(notBefore).toLocaleTimeString()} after ${failure ?? 'a failure'}`
  if (state === 'waiting')
    return decision?.outcome === 'decided later' ? `decided after ${decision.after?.join(', ')}` : ''
  return attempt > 1 ? `attempt ${attempt}; ${reasons}` : reasons
}

/** What a node that stands for many says: how many of them are in which state. */
const groupNote = ({ of, states }: NonNullable<Node['group']>): string =>
  `${of} steps: ${Object.entries(states)
    .map(([state, n]) => `${n} ${state}`)
    .join(', ')}`

function progressOn(io: CliIo): (detail: ExecutionDetail, now: number) => void {
  if (io.json) return () => {}
  return io.isTty ? updatingLines(io) : linePerChange(io)
}

function updatingLines(io: CliIo): (detail: ExecutionDetail, now: number) => void {
  let drawn = 0
  return ({ nodes }, now) => {
    const columns = process.stdout.columns || 100
    const room = Math.max(6, (process.stdout.rows || 40) - 4)
    const lines = stepLines(nodes, now, io.color, columns)
    const hidden = lines.length - room
    const shown = hidden > 0 ? [...lines.slice(-room), io.color.dim(`  … and ${count(hidden, 'step')} above`)] : lines
    const up = drawn > 0 ? `\x1b[${drawn}A` : ''
    io.out(`${up}${shown.map((line) => `\x1b[2K${line}\n`).join('')}\x1b[0J`)
    drawn = shown.length
  }
}

function linePerChange(io: CliIo): (detail: ExecutionDetail) => void {
  const told = new Map<string, string>()
  return ({ nodes }) => {
    for (const node of nodes) {
      const state = nodeState[node.state]
      if (state === 'queued' || told.get(node.id) === state) continue
      told.set(node.id, state)
      const took =
        node.endedAt !== undefined && node.state !== 'reused' ? `  ${tookText(node.startedAt, node.endedAt)}` : ''
      const note = noteOf(node)
      io.out(`${stateText(io.color, state, nodeWord(node)).padEnd(12)}  ${node.id}${took}${note ? `  ${note}` : ''}\n`)
    }
  }
}

function cancelOnInterrupt(context: CliContext, client: Client, id: string) {
  let asked = false
  const onInterrupt = () => {
    if (asked) process.exit(130)
    asked = true
    context.io.err('\nCancelling the execution; Ctrl-C again leaves without waiting.\n')
    client(cancelExecution, { params: { id } }).catch((error: unknown) => {
      // Over before the cancel came: what it ended as is shown anyway.
      if (!isAppError(error, 'Conflict')) context.io.err(`It could not be cancelled: ${String(error)}\n`)
    })
  }
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', onInterrupt)
  return {
    asked: () => asked,
    end: () => {
      process.off('SIGINT', onInterrupt)
      process.off('SIGTERM', onInterrupt)
    },
  }
}

/** The last lines of each step that failed. */
export async function showFailures(context: CliContext, detail: ExecutionDetail): Promise<void> {
  const { io } = context
  const client = await context.client()
  for (const node of detail.nodes.filter(({ state, kind }) => state === 'failed' && kind !== 'matrix')) {
    // Of a log of gigabytes too, only its end is asked for.
    const { text } = await client(readLog, {
      params: { id: detail.id, node: node.id },
      query: { tail: 10 * tailLines },
    })
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    const shown = lines.slice(-tailLines)
    io.out(`\n${io.color.red(`✗ ${node.id}`)} ${node.error?.message.split(' Its last words:')[0] ?? 'failed'}\n`)
    if (lines.length > shown.length) io.out(io.color.dim('  … more lines before\n'))
    for (const line of shown) io.out(`  ${io.color.dim('│')} ${line}\n`)
    if (node.error) io.out(`  ${io.color.dim(node.error.next)}\n`)
  }
}
