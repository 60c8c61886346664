import { Worker } from 'node:worker_threads'
import type { Tensor } from '../tensor.ts'
import type { GraphSession } from './graph-session.ts'
import type { ModelFacts } from './model-facts.ts'
import { bufferOf } from './onnx-thread-messages.ts'

export type ThreadData = { path: string; threads: number }
export type ToThread = { id: number; tensors: Tensor[] }
export type FromThread =
  | { kind: 'ready'; facts: Pick<ModelFacts, 'inputs' | 'outputs'> }
  | { kind: 'broken'; problem: string }
  | { kind: 'answered'; id: number; tensors: Tensor[] }
  | { kind: 'failed'; id: number; problem: string }

type Asked = { resolve: (tensors: Tensor[]) => void; reject: (error: Error) => void }

/** A graph in a thread of its own: while it computes, this thread answers others. Costs a copy of the tensors each way. */
export class OnnxThread implements GraphSession {
  readonly facts: Pick<ModelFacts, 'inputs' | 'outputs'>
  readonly #worker: Worker
  readonly #asked = new Map<number, Asked>()
  #nextId = 1

  private constructor(worker: Worker, facts: Pick<ModelFacts, 'inputs' | 'outputs'>) {
    this.#worker = worker
    this.facts = facts
    worker.on('message', (message: FromThread) => this.#take(message))
    worker.on('error', (error) => this.#end(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', () => this.#end(new Error('the thread of the graph ended')))
  }

  /** @throws Error as ONNX Runtime words it */
  static async open(path: string, threads: number): Promise<OnnxThread> {
    const worker = new Worker(mainModule, { workerData: { path, threads } satisfies ThreadData })
    const first = await new Promise<FromThread>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    if (first.kind === 'ready') return new OnnxThread(worker, first.facts)
    await worker.terminate()
    throw new Error(first.kind === 'broken' ? first.problem : 'the thread of the graph did not begin')
  }

  run(tensors: readonly Tensor[]): Promise<Tensor[]> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject })
      this.#worker.postMessage({ id, tensors: [...tensors] } satisfies ToThread)
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #take(message: FromThread): void {
    if (message.kind !== 'answered' && message.kind !== 'failed') return
    const asked = this.#asked.get(message.id)
    this.#asked.delete(message.id)
    if (message.kind === 'answered') asked?.resolve(message.tensors.map(bufferOf))
    else asked?.reject(new Error(message.problem))
  }

  #end(error: Error): void {
    for (const { reject } of this.#asked.values()) reject(error)
    this.#asked.clear()
  }
}

/** Beside this file in the sources, beside the bundle in dist (tools/build.mjs names it as an entry). */
const mainModule = new URL(
  import.meta.url.endsWith('.ts') ? './onnx-thread-main.ts' : './onnx-thread-main.js',
  import.meta.url,
)
