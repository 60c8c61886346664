import { Worker } from 'node:worker_threads'
import { bug } from '../../kernel/errors.ts'
import type { Span } from '../../traces/index.ts'
import { type OtlpBody, OtlpRefusal, spansOf, TooLarge } from './otlp-decode.ts'
import { spanWire } from './trace-wire.ts'
import type { TraceReply, TraceTask } from './trace-worker.ts'

/** Up to here the work takes a few milliseconds, less than handing it over. */
const smallBytes = 128 * 1024
const smallUnpackedBytes = 512 * 1024
const maxUnpackedBytes = 96 * 1024 * 1024
const idleMs = 30_000

type Pending = { take: (reply: TraceReply) => 'more' | 'done'; reject: (error: unknown) => void }

/** Does small work on traces at once, and large on a thread that is there while it is needed. */
export class TraceThread {
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #lastId = 0

  /** @throws OtlpRefusal */
  async spansOf(body: OtlpBody): Promise<Span[]> {
    if (body.bytes.length > smallBytes) return this.#read(body)
    try {
      return spansOf(body, smallUnpackedBytes)
    } catch (error) {
      if (error instanceof TooLarge) return this.#read(body)
      throw error
    }
  }

  /** A span's kept content in the form of the wire. */
  async wireOf(content: string): Promise<string> {
    if (content.length <= smallBytes) return spanWire(content)
    return this.#ask<string>({ wire: content }, (reply, resolve) => {
      if ('wire' in reply) resolve(reply.wire)
      return 'done'
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle)
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #read(body: OtlpBody): Promise<Span[]> {
    const spans: Span[] = []
    return this.#ask<Span[]>({ read: body, maxBytes: maxUnpackedBytes }, (reply, resolve) => {
      if (!('spans' in reply)) return 'done'
      spans.push(...reply.spans)
      if (!reply.last) return 'more'
      resolve(spans)
      return 'done'
    })
  }

  #ask<T>(
    task: { read: OtlpBody; maxBytes: number } | { wire: string },
    take: (reply: TraceReply, resolve: (value: T) => void) => 'more' | 'done',
  ): Promise<T> {
    clearTimeout(this.#idle)
    this.#worker ??= this.#start()
    const id = ++this.#lastId
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { take: (reply) => take(reply, resolve), reject })
      this.#send({ id, ...task })
    })
  }

  #send(task: TraceTask): void {
    this.#worker?.postMessage(task)
  }

  #start(): Worker {
    const worker = new Worker(new URL('./trace-worker.ts', import.meta.url))
    worker.unref()
    worker.on('message', (reply: TraceReply) => this.#take(reply))
    worker.on('error', (error) => this.#lost(worker, error))
    worker.on('exit', () => this.#lost(worker, new Error('the thread ended')))
    return worker
  }

  #take(reply: TraceReply): void {
    const pending = this.#pending.get(reply.id)
    if (!pending) return
    if ('refused' in reply) pending.reject(new OtlpRefusal(reply.refused.status, reply.refused.detail))
    else if ('failed' in reply) pending.reject(bug(`A trace could not be read: ${reply.failed}`))
    else if (pending.take(reply) === 'more') {
      // Not at once: whoever else waits for this thread goes first.
      setImmediate(() => this.#send({ id: reply.id, more: true }))
      return
    }
    this.#pending.delete(reply.id)
    if (this.#pending.size === 0) this.#idle = setTimeout(() => void this.close(), idleMs).unref()
  }

  /** As when it runs out of memory: whoever waits is told, and the next task starts another. */
  #lost(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const pending of this.#pending.values()) pending.reject(bug('A trace could not be read', error))
    this.#pending.clear()
  }
}
