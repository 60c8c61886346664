import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

/** What a file holds: its SHA-256 in hex, its size, and the CRC-32 of each of its blocks. */
export type FileFacts = { hex: string; size: number; blockSums: number[] }

type Question = { id: number; path: string; blockBytes: number }
type Answer = { id: number; facts?: FileFacts; error?: { message: string; code: string | undefined } }
type Waiting = { resolve: (facts: FileFacts) => void; reject: (error: unknown) => void }
type Thread = { worker: Worker; waiting: Map<number, Waiting>; idle: NodeJS.Timeout | undefined }

const idleMs = 30_000

/**
 * SHA-256 of files beside the event loop: at some 350 MB/s a large one would hold up every other request. Threads start when
 * they are first needed and end when nobody has needed them for a while.
 */
export class HashThreads {
  readonly #threads: Thread[] = []
  readonly #most: number
  #lastId = 0

  constructor(most = availableParallelism()) {
    this.#most = most
  }

  file(path: string, blockBytes: number): Promise<FileFacts> {
    const thread = this.#leastBusy()
    const id = ++this.#lastId
    const asked = new Promise<FileFacts>((resolve, reject) => thread.waiting.set(id, { resolve, reject }))
    thread.worker.ref()
    thread.worker.postMessage({ id, path, blockBytes } satisfies Question)
    return asked
  }

  /** What is being digested is given up: it can be begun anew. */
  close(): void {
    for (const thread of [...this.#threads]) {
      clearTimeout(thread.idle)
      this.#lose(thread, new Error('The digest was given up: the server stops.'))
      void thread.worker.terminate()
    }
  }

  #leastBusy(): Thread {
    const [quietest] = this.#threads.toSorted((a, b) => a.waiting.size - b.waiting.size)
    const mayStart = this.#threads.length < this.#most
    const thread = quietest && (quietest.waiting.size === 0 || !mayStart) ? quietest : this.#start()
    clearTimeout(thread.idle)
    return thread
  }

  #start(): Thread {
    const worker = new Worker(`(${hashThread})()`, { eval: true, execArgv: [] })
    const thread: Thread = { worker, waiting: new Map(), idle: undefined }
    worker.on('message', (answer: Answer) => this.#settle(thread, answer))
    worker.on('error', (error) => this.#lose(thread, error))
    worker.on('exit', () => this.#lose(thread, new Error('The thread that computes digests ended.')))
    this.#threads.push(thread)
    return thread
  }

  #settle(thread: Thread, { id, facts, error }: Answer): void {
    const waiting = thread.waiting.get(id)
    thread.waiting.delete(id)
    if (thread.waiting.size === 0) this.#rest(thread)
    if (facts) waiting?.resolve(facts)
    else waiting?.reject(Object.assign(new Error(error?.message), { code: error?.code }))
  }

  /** A thread without work keeps no process alive. */
  #rest(thread: Thread): void {
    thread.worker.unref()
    thread.idle = setTimeout(() => {
      this.#forget(thread)
      void thread.worker.terminate()
    }, idleMs).unref()
  }

  #lose(thread: Thread, error: Error): void {
    this.#forget(thread)
    for (const { reject } of thread.waiting.values()) reject(error)
    thread.waiting.clear()
  }

  #forget(thread: Thread): void {
    const at = this.#threads.indexOf(thread)
    if (at >= 0) this.#threads.splice(at, 1)
  }
}

/** What runs in the thread. It travels as text, because a bundle has no file of its own for it: so it names nothing outside itself. */
function hashThread(): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads')
  const { createHash } = process.getBuiltinModule('node:crypto')
  const { crc32 } = process.getBuiltinModule('node:zlib')
  const { closeSync, openSync, readSync } = process.getBuiltinModule('node:fs')

  parentPort?.on('message', ({ id, path, blockBytes }: Question) => {
    try {
      parentPort.postMessage({ id, facts: factsOf(path, blockBytes) })
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException
      parentPort.postMessage({ id, error: { message, code } })
    }
  })

  function factsOf(path: string, blockBytes: number): FileFacts {
    const hash = createHash('sha256')
    const blockSums: number[] = []
    const buffer = Buffer.allocUnsafeSlow(blockBytes)
    const file = openSync(path, 'r')
    let size = 0
    try {
      for (;;) {
        let filled = 0
        for (let read = 1; read > 0 && filled < blockBytes; filled += read)
          read = readSync(file, buffer, filled, blockBytes - filled, size + filled)
        const block = buffer.subarray(0, filled)
        if (filled > 0) blockSums.push(crc32(block))
        hash.update(block)
        size += filled
        if (filled < blockBytes) return { hex: hash.digest('hex'), size, blockSums }
      }
    } finally {
      closeSync(file)
    }
  }
}
