import { parentPort } from 'node:worker_threads'
import { messageOf } from '../../kernel/errors.ts'
import type { Span } from '../../traces/index.ts'
import { type OtlpBody, OtlpRefusal, spansOf, TooLarge } from './otlp-decode.ts'
import { spanWire } from './trace-wire.ts'

/** What takes long is done here, away from the thread that answers requests: reading large bodies, and writing large spans. */
export type TraceTask =
  | { id: number; read: OtlpBody; maxBytes: number }
  /** Spans are given in pieces that are quick to take, each after the one before was taken. */
  | { id: number; more: true }
  | { id: number; wire: string }

export type TraceReply =
  | { id: number; spans: Span[]; last: boolean }
  | { id: number; wire: string }
  | { id: number; refused: { status: number; detail: string } }
  | { id: number; failed: string }

const charactersAPiece = 256 * 1024
const spansAPiece = 200

const waiting = new Map<number, Span[]>()

parentPort?.on('message', (task: TraceTask) => parentPort!.postMessage(answerTo(task)))

function answerTo(task: TraceTask): TraceReply {
  const { id } = task
  try {
    if ('wire' in task) return { id, wire: spanWire(task.wire) }
    if ('read' in task) waiting.set(id, spansOf(task.read, task.maxBytes))
    return nextPiece(id)
  } catch (error) {
    if (error instanceof OtlpRefusal) return { id, refused: { status: error.status, detail: error.message } }
    if (error instanceof TooLarge) return { id, refused: { status: 413, detail: 'The body unpacks to too many bytes' } }
    return { id, failed: messageOf(error) }
  }
}

function nextPiece(id: number): TraceReply {
  const spans = waiting.get(id) ?? []
  let count = 0
  for (let size = 0; count < spans.length && count < spansAPiece && size < charactersAPiece; count++)
    size += spans[count]!.content.length
  const piece = spans.slice(0, count)
  const rest = spans.slice(count)
  if (rest.length > 0) waiting.set(id, rest)
  else waiting.delete(id)
  return { id, spans: piece, last: rest.length === 0 }
}
