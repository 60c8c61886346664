import { isUtf8 } from 'node:buffer'
import { join } from 'node:path'
import { shortDigest } from '../../kernel/digest.ts'
import { isObject } from '../../kernel/is-object.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { formatBytes } from '../../kernel/units.ts'
import { floatInputOf, isOfShape, plainNumbers } from '../decide/plain-numbers.ts'
import type { ServedVersion } from '../gateway-state.ts'
import type { Tensor } from '../tensor.ts'
import { encodeFrame, type Frame } from './frames.ts'
import type {
  BackendState,
  InferAnswer,
  InferQuestion,
  ModelBackend,
  ModelMemory,
  ScoreAnswer,
  ScoreQuestion,
} from './model-backend.ts'
import type { ModelFacts } from './model-facts.ts'
import { type Answer, type ProcessLimits, type ProcessSetting, PythonWorker, type Question } from './python-worker.ts'
import { WorkerLog } from './worker-log.ts'

export type WorkerLimits = ProcessLimits & {
  /** Questions that may wait for a version that is not ready. */
  queueLength: number
  /** How long a question may wait before it is begun. */
  waitMs: number
  /** How long a client is kept waiting for waiting and computing together; for ever where it is left out. */
  totalMs?: number
  /** Processes that compute at once (1). */
  workers?: number
  /** One process more than compute: it takes over when one of them dies. */
  spare?: boolean
}

export type WorkerSetting = Omit<ProcessSetting, 'limits' | 'output' | 'served'> & { limits: WorkerLimits }

type Waiting = Question & { deadline: EpochMs }

/** What is said of one process of a version. */
export type WorkerFacts = { pid: number; state: BackendState; memoryBytes?: number }

/**
 * One version in Python: the processes that carry it, and the questions that wait for the next free one. They wait here and not at a
 * process, so that a death costs the one that was begun there and no other.
 */
export class PythonModel implements ModelBackend {
  served: ServedVersion
  readonly facts: ModelFacts
  /** Processes that were replaced because they took more memory than they may. */
  replacedForMemory = 0
  readonly #setting: WorkerSetting
  #limits: WorkerLimits
  readonly #output: WorkerLog
  #workers: PythonWorker[] = []
  /** Replaced ones, until they have answered and ended. */
  readonly #leaving = new Set<PythonWorker>()
  #isStopped = false
  #waiting: Waiting[] = []
  #idle: (() => void)[] = []
  #told = ''

  constructor(served: ServedVersion, facts: ModelFacts, setting: WorkerSetting) {
    this.served = served
    this.facts = facts
    this.#setting = setting
    this.#limits = setting.limits
    const name = `${served.model.replaceAll(/[^\w.-]/g, '_')}-${served.version}-${shortDigest(served.digest)}`
    this.#output = new WorkerLog(join(setting.folder, 'logs', `${name}.log`))
    // The first one shows that the model can be loaded at all; the others follow.
    this.#workers.push(this.#newWorker())
  }

  get state(): BackendState {
    for (const state of ['ready', 'restarting', 'loading'] as const)
      if (this.#workers.some((one) => one.state === state)) return state
    return 'failed'
  }

  get reason(): string | undefined {
    return this.#workers.map(({ reason }) => reason).find((reason) => reason !== undefined)
  }

  get pid(): number | undefined {
    return (this.#workers.find(({ state }) => state === 'ready') ?? this.#workers[0])?.pid
  }

  get workers(): WorkerFacts[] {
    return this.#processes.flatMap(({ pid, state, memoryBytes }) =>
      pid === undefined ? [] : [{ pid, state, ...(memoryBytes === undefined ? {} : { memoryBytes }) }],
    )
  }

  /** Whether a question may be left here although nothing is ready: it will be soon. */
  get isComing(): boolean {
    return this.state === 'loading' || this.state === 'restarting'
  }

  /** Questions that wait or are computed. */
  get load(): number {
    return this.#waiting.length + this.#processes.filter(({ isBusy }) => isBusy).length
  }

  start(): void {
    this.#workers[0]?.start()
  }

  adjust(limits: WorkerLimits): void {
    this.#limits = limits
    this.#settle()
  }

  async score(question: ScoreQuestion, signal?: AbortSignal): Promise<ScoreAnswer> {
    const { header, body } = scoreFrame(question, this.facts)
    const answer = await this.#ask((id) => encodeFrame({ op: 'predict', id, ...header }, body), signal)
    return answer.ok ? { ok: true, body: answer.frame.body } : answer
  }

  async infer(question: InferQuestion, signal?: AbortSignal): Promise<InferAnswer> {
    const answer = await this.#ask((id) => inferFrame(id, question), signal)
    return answer.ok ? { ok: true, tensors: tensorsOf(answer.frame) } : answer
  }

  /** What all of its processes take now; `each`: one that is loaded, for those that begin only now take little yet. */
  async measure(): Promise<ModelMemory | undefined> {
    const measured = await Promise.all(
      this.#processes.map(async (one) => ({ bytes: (await one.measure()) ?? 0, isLoaded: one.state === 'ready' })),
    )
    const loaded = measured.flatMap(({ bytes, isLoaded }) => (isLoaded && bytes > 0 ? [bytes] : []))
    if (loaded.length === 0) return undefined
    return { bytes: measured.reduce((sum, { bytes }) => sum + bytes, 0), each: Math.max(...loaded) }
  }

  /** Called every fraction of a second: what waited or is computed too long is given up. */
  expire(now: EpochMs): void {
    const late = this.#waiting.filter((one) => one.deadline <= now)
    if (late.length > 0) {
      this.#waiting = this.#waiting.filter((one) => one.deadline > now)
      const message = `The version was not ${this.state === 'ready' ? 'free' : 'ready'} in time.`
      for (const one of late) one.resolve({ ok: false, kind: 'unavailable', message })
    }
    for (const worker of this.#processes) worker.expire(now)
    this.#tellIdle()
  }

  /** Ends it once nothing waits (or after `patienceMs`). */
  async drainAndStop(patienceMs: number): Promise<void> {
    const patience = new AbortController()
    await Promise.race([this.#whenIdle(), this.#setting.clock.sleep(patienceMs, patience.signal)])
    patience.abort()
    await this.stop()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#giveUpAll('The version is being stopped.')
    await Promise.all(this.#processes.map((one) => one.stop()))
    this.#output.close()
  }

  #newWorker(): PythonWorker {
    return new PythonWorker({
      ...this.#setting,
      limits: () => this.#limits,
      output: this.#output,
      served: () => this.served,
      changed: () => this.#settle(),
    })
  }

  #ask(frame: Question['frame'], signal: AbortSignal | undefined): Promise<Answer> {
    const { state } = this
    if (this.#isStopped || state === 'failed')
      return Promise.resolve({
        ok: false,
        kind: 'unavailable',
        message: this.reason ?? 'The version is being stopped.',
      })
    // Once it is ready, the door before it says how many may wait.
    if (state !== 'ready' && this.#waiting.length >= this.#limits.queueLength)
      return Promise.resolve({
        ok: false,
        kind: 'unavailable',
        message: `${this.#waiting.length} requests wait for this version already.`,
      })
    return new Promise((resolve) => {
      const now = this.#setting.clock.now()
      const { waitMs, totalMs = Number.POSITIVE_INFINITY } = this.#limits
      const waiting: Waiting = { frame, resolve, deadline: now + waitMs, clientDeadline: now + totalMs }
      this.#waiting.push(waiting)
      signal?.addEventListener('abort', () => this.#cancel(waiting), { once: true })
      this.#dispatch()
    })
  }

  /** Who hung up is not computed for; what has begun is finished, because Python cannot be told to stop. */
  #cancel(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    waiting.resolve({ ok: false, kind: 'cancelled', message: 'The client hung up.' })
    this.#tellIdle()
  }

  /** After each change of a process: as many as there shall be, those that took too much replaced, and the next questions begun. */
  #settle(): void {
    if (this.#isStopped) {
      this.#tellIdle()
      return
    }
    if (this.#workers.some(({ state }) => state === 'ready')) this.#fillUp()
    this.#replaceTooLarge()
    this.#endLeaving()
    if (this.state === 'failed') this.#giveUpAll(this.reason ?? 'The model cannot be loaded.')
    this.#dispatch()
    this.#tellIdle()
    const told = `${this.state} ${this.reason} ${this.pid}`
    if (told === this.#told) return
    this.#told = told
    this.#setting.changed()
  }

  #fillUp(): void {
    const { workers = 1, spare = false } = this.#limits
    const isReplacing = this.#workers.some((one) => one.isTooLarge)
    // Who took too much goes only when somebody stands in for him.
    const wanted = workers + (spare || isReplacing ? 1 : 0)
    while (this.#workers.length < wanted) {
      const worker = this.#newWorker()
      this.#workers.push(worker)
      worker.start()
    }
    const surplus = this.#workers.length - wanted
    // Those that are no use yet go first.
    const byUse = this.#workers.toSorted((a, b) => Number(a.state === 'ready') - Number(b.state === 'ready'))
    for (const worker of surplus > 0 ? byUse.slice(0, surplus) : []) this.#letGo(worker)
  }

  /** It gets no more questions, and ends when it has answered. */
  #letGo(worker: PythonWorker): void {
    this.#workers = this.#workers.filter((one) => one !== worker)
    this.#leaving.add(worker)
  }

  #endLeaving(): void {
    for (const worker of this.#leaving)
      if (!worker.isBusy && !worker.isStopped) void worker.stop().finally(() => this.#leaving.delete(worker))
  }

  #replaceTooLarge(): void {
    const { workers = 1, memoryBytes = 0 } = this.#limits
    for (const large of this.#workers.filter((one) => one.isTooLarge)) {
      const ready = this.#workers.filter((one) => one !== large && one.state === 'ready').length
      if (ready < workers) break
      this.replacedForMemory++
      const { model, version } = this.served
      const facts = { model, version, pid: large.pid, memoryBytes: large.memoryBytes, replaced: this.replacedForMemory }
      this.#setting.log.warn(
        { ...facts, reason: `serve.memory allows ${formatBytes(memoryBytes)}` },
        'model worker is replaced',
      )
      this.#letGo(large)
      this.#fillUp()
    }
  }

  #dispatch(): void {
    const { workers = 1 } = this.#limits
    // One that has just died computes nothing, although its question is not given up yet.
    const computing = () => this.#processes.filter(({ state, isBusy }) => state === 'ready' && isBusy).length
    while (this.#waiting.length > 0 && computing() < workers) {
      const [worker] = this.#workers
        .filter(({ state, isBusy }) => state === 'ready' && !isBusy)
        .sort((a, b) => b.answeredAt - a.answeredAt)
      if (!worker) return
      worker.ask(this.#waiting.shift()!)
    }
  }

  get #processes(): PythonWorker[] {
    return [...this.#workers, ...this.#leaving]
  }

  #giveUpAll(message: string): void {
    for (const one of this.#waiting.splice(0)) one.resolve({ ok: false, kind: 'unavailable', message })
    this.#tellIdle()
  }

  #whenIdle(): Promise<void> {
    if (this.load === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #tellIdle(): void {
    if (this.load > 0) return
    for (const tell of this.#idle.splice(0)) tell()
  }
}

/** Larger bodies are Python's to read: here nothing else would be answered meanwhile. */
const readHereBytes = 1_000_000

/** The client's own bytes, but for plain numbers: Node reads those several times faster than Python. */
function scoreFrame(
  { body, form, drop, json, numbers: rows }: ScoreQuestion,
  facts: ModelFacts,
): { header: object; body: Uint8Array } {
  const asItCame = { header: { form, drop }, body }
  const wanted = floatInputOf(facts)
  if (!wanted || form !== 'json' || body.length > readHereBytes) return asItCame
  if (rows) {
    if (!('shape' in wanted) || !isOfShape(rows.shape, wanted.shape)) return asItCame
    return { header: { form: 'numbers', shape: rows.shape }, body: new Uint8Array(rows.values.buffer) }
  }
  const read = json ?? parsedObject(body)
  const numbers = read && isParams(read.params) && plainNumbers(read, wanted)
  if (!numbers) return asItCame
  const { values, ...layout } = numbers
  return { header: { form: 'numbers', ...layout, params: read.params }, body: new Uint8Array(values.buffer) }
}

/** Undefined where it is no JSON of an object in UTF-8: Python says what is wrong. */
function parsedObject(body: Buffer): Record<string, unknown> | undefined {
  if (!isUtf8(body)) return undefined
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isParams = (value: unknown): boolean => value === undefined || value === null || isObject(value)

function inferFrame(id: number, { layout, tensors, parameters, scores = false }: InferQuestion): Buffer {
  const inputs = tensors.map(({ bytes, ...facts }) => ({ ...facts, length: bytes.length }))
  const header = { op: 'infer', id, layout, inputs, parameters, ...(scores ? { scores } : {}) }
  return encodeFrame(header, Buffer.concat(tensors.map(({ bytes }) => bytes)))
}

function tensorsOf({ header, body }: Frame): Tensor[] {
  let at = 0
  return (header.outputs as (Omit<Tensor, 'bytes'> & { length: number })[]).map(({ length, ...facts }) => {
    at += length
    return { ...facts, bytes: body.subarray(at - length, at) }
  })
}
