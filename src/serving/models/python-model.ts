import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { shortDigest } from '../../kernel/digest.ts'
import { messageOf } from '../../kernel/errors.ts'
import type { EpochMs } from '../../kernel/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ServedVersion } from '../gateway-state.ts'
import type { Tensor } from '../tensor.ts'
import { encodeFrame, type Frame, FrameReader } from './frames.ts'
import type {
  BackendState,
  InferAnswer,
  InferQuestion,
  ModelBackend,
  Refusal,
  ScoreAnswer,
  ScoreQuestion,
} from './model-backend.ts'
import type { ModelFacts } from './model-facts.ts'
import type { ServingLog } from './serving-log.ts'
import { WorkerLog } from './worker-log.ts'

export type WorkerLimits = {
  /** Questions that may wait for one worker. */
  queueLength: number
  /** How long a question may wait before it is begun. */
  waitMs: number
  /** How long one may be computed; then the worker counts as stuck and is replaced. */
  answerMs: number
  /** How long a client is kept waiting for both together; for ever where it is left out. */
  totalMs?: number
  loadMs: number
}

export type WorkerSetting = {
  clock: Clock
  log: ServingLog
  limits: WorkerLimits
  script: string
  /** Folder for the workers' logs and working folders. */
  folder: string
  /** What the model's code sees of the environment besides PATH, HOME and what keeps mlflow off the network. */
  env: Record<string, string>
  changed: () => void
}

type Answer = { ok: true; frame: Frame } | Refusal
type Waiting = {
  question: (id: number) => Buffer
  resolve: (answer: Answer) => void
  deadline: EpochMs
  /** When its client is told that it took too long; what has begun may still be computed. */
  clientDeadline: EpochMs
}
type Begun = Waiting & { id: number }

const backOffMs = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000]
/** Deaths without ever having been ready, after which the version counts as failed (and is still tried, at the longest interval). */
const deathsToFail = 3

/**
 * One Python process for one version, kept alive: it is begun again with a growing pause when it dies. It carries out one
 * question at a time; the others wait here, so that a death costs the one that was begun and no other.
 */
export class PythonModel implements ModelBackend {
  served: ServedVersion
  state: BackendState = 'loading'
  reason: string | undefined
  readonly facts: ModelFacts
  readonly #setting: WorkerSetting
  readonly #log: WorkerLog
  readonly #stopped = new AbortController()
  #child: ChildProcess | undefined
  #startedAt: EpochMs = 0
  #waiting: Waiting[] = []
  #begun: Begun | undefined
  #nextId = 1
  #deaths = 0
  #wasReady = false
  #idle: (() => void)[] = []

  constructor(served: ServedVersion, facts: ModelFacts, setting: WorkerSetting) {
    this.served = served
    this.facts = facts
    this.#setting = setting
    const name = `${served.model.replaceAll(/[^\w.-]/g, '_')}-${served.version}-${shortDigest(served.digest)}`
    this.#log = new WorkerLog(join(setting.folder, 'logs', `${name}.log`))
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Whether a question may be left here although the worker is not ready: it will be soon. */
  get isComing(): boolean {
    return this.state === 'loading' || this.state === 'restarting'
  }

  start(): void {
    if (this.#stopped.signal.aborted) return
    this.#startedAt = this.#setting.clock.now()
    try {
      this.#child = this.#spawn()
    } catch (error) {
      this.#failed(`Its worker could not be started: ${messageOf(error)}`)
    }
    this.#setting.changed()
  }

  #spawn(): ChildProcess {
    mkdirSync(join(this.#setting.folder, 'logs'), { recursive: true, mode: 0o700 })
    mkdirSync(this.#workFolder, { recursive: true, mode: 0o700 })
    const child = spawn(this.served.pythonPath, ['-u', this.#setting.script, this.served.modelPath], {
      cwd: this.#workFolder,
      env: this.#environment(),
      stdio: ['pipe', 'pipe', 'pipe'],
      // Its own process group: Ctrl-C reaches the gateway alone, and what the model started ends with it.
      detached: true,
    })
    let told: string | undefined
    const frames = new FrameReader((frame) => {
      if (this.#child !== child) return
      if (frame.header.op === 'failed') told = failureText(frame)
      else this.#take(frame)
    })
    child.stdout.on('data', (chunk: Buffer) => frames.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => this.#log.write(chunk))
    // The pipe of a dying process: its exit is what counts.
    child.stdin.on('error', () => undefined)
    child.once('error', (error) => {
      told = `Python could not be started (${this.served.pythonPath}): ${error.message}`
      if (child.pid === undefined) this.#ended(child, told)
    })
    // Not on 'exit': the last words in the pipe come before 'close'; a grandchild may keep the pipe, so not for long.
    child.once('exit', (code, signal) => {
      const end = () => this.#ended(child, told, signal ? `killed by ${signal}` : `exit code ${code}`)
      if (this.#child === child) this.#noLongerReady()
      child.once('close', end)
      setTimeout(end, 500).unref()
    })
    return child
  }

  async score({ body, ...facts }: ScoreQuestion, signal?: AbortSignal): Promise<ScoreAnswer> {
    const answer = await this.#ask((id) => encodeFrame({ op: 'predict', id, ...facts }, body), signal)
    return answer.ok ? { ok: true, body: answer.frame.body } : answer
  }

  async infer(question: InferQuestion, signal?: AbortSignal): Promise<InferAnswer> {
    const answer = await this.#ask((id) => inferFrame(id, question), signal)
    return answer.ok ? { ok: true, tensors: tensorsOf(answer.frame) } : answer
  }

  #ask(question: Waiting['question'], signal: AbortSignal | undefined): Promise<Answer> {
    if (this.#stopped.signal.aborted || this.state === 'failed')
      return Promise.resolve({
        ok: false,
        kind: 'unavailable',
        message: this.reason ?? 'The version is being stopped.',
      })
    if (this.#waiting.length >= this.#setting.limits.queueLength)
      return Promise.resolve({
        ok: false,
        kind: 'busy',
        message: `${this.#waiting.length} requests wait for this version already.`,
      })
    return new Promise((resolve) => {
      const now = this.#setting.clock.now()
      const { waitMs, totalMs = Number.POSITIVE_INFINITY } = this.#setting.limits
      const waiting: Waiting = { question, resolve, deadline: now + waitMs, clientDeadline: now + totalMs }
      this.#waiting.push(waiting)
      signal?.addEventListener('abort', () => this.#cancel(waiting), { once: true })
      this.#next()
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

  /** Questions that wait or are computed. */
  get load(): number {
    return this.#waiting.length + (this.#begun ? 1 : 0)
  }

  /** Called every fraction of a second: what waited or computed too long is given up. */
  expire(now: EpochMs): void {
    const late = this.#waiting.filter((one) => one.deadline <= now)
    if (late.length > 0) {
      this.#waiting = this.#waiting.filter((one) => one.deadline > now)
      for (const one of late)
        one.resolve({
          ok: false,
          kind: 'unavailable',
          message: `The version was not ${this.state === 'ready' ? 'free' : 'ready'} in time.`,
        })
    }
    if (this.#begun && this.#begun.clientDeadline <= now)
      this.#begun.resolve({ ok: false, kind: 'timeout', message: 'Request processing time exceeded limit' })
    if (this.#begun && this.#begun.deadline <= now) {
      const stuck = this.#begun
      this.#begun = undefined
      stuck.resolve({
        ok: false,
        kind: 'timeout',
        message: `The model did not answer within ${this.#setting.limits.answerMs} ms.`,
      })
      this.#noLongerReady()
      this.#kill()
    } else if (this.#child && this.state !== 'ready' && now - this.#startedAt > this.#setting.limits.loadMs)
      this.#kill()
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
    this.#stopped.abort()
    this.#giveUpAll('unavailable', 'The version is being stopped.')
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.stdin?.end()
      const { pid } = child
      const late = setTimeout(() => killGroup(pid), 2_000)
      await gone
      clearTimeout(late)
      // What the model's code started and left.
      killGroup(pid)
    }
    this.#log.close()
  }

  get #workFolder(): string {
    return join(this.#setting.folder, 'work', shortDigest(this.served.digest))
  }

  #environment(): Record<string, string> {
    return {
      PATH: `${dirname(this.served.pythonPath)}:/usr/local/bin:/usr/bin:/bin`,
      HOME: this.#workFolder,
      LANG: 'C.UTF-8',
      PYTHONHASHSEED: '0',
      // A model is data from the disk: loading it must not talk to anyone.
      MLFLOW_TRACKING_URI: 'file:///nonexistent',
      MLFLOW_DISABLE_TELEMETRY: 'true',
      ORT_DISABLE_TELEMETRY: '1',
      DO_NOT_TRACK: 'true',
      GIT_PYTHON_REFRESH: 'quiet',
      ...this.#setting.env,
    }
  }

  #take(frame: Frame): void {
    if (frame.header.op === 'ready') {
      this.state = 'ready'
      this.reason = undefined
      this.#wasReady = true
      this.#deaths = 0
      this.#setting.log.info({ ...this.#facts(), warmed: frame.header.warmed }, 'model is ready')
      this.#setting.changed()
      this.#next()
      return
    }
    const begun = this.#begun
    if (!begun || begun.id !== frame.header.id) return
    this.#begun = undefined
    begun.resolve(answerOf(frame))
    this.#next()
  }

  #next(): void {
    if (this.state !== 'ready' || this.#begun || !this.#child) return
    const next = this.#waiting.shift()
    if (!next) {
      this.#tellIdle()
      return
    }
    const id = this.#nextId++
    this.#begun = { ...next, id, deadline: this.#setting.clock.now() + this.#setting.limits.answerMs }
    this.#child.stdin?.write(next.question(id))
  }

  #ended(child: ChildProcess, told: string | undefined, how = 'it did not start'): void {
    if (this.#child !== child) return
    this.#child = undefined
    const begun = this.#begun
    this.#begun = undefined
    // Whether it may be asked twice only the client knows: it is told, not repeated here.
    begun?.resolve({ ok: false, kind: 'died', message: `The model's process ended while it answered (${how}).` })
    this.#failed(told ?? `The model's process ended (${how}).`, told !== undefined)
  }

  #failed(reason: string, saidSo = true): void {
    if (this.#stopped.signal.aborted) return
    this.#deaths++
    this.reason = reason
    this.state =
      this.#wasReady && this.#deaths < deathsToFail
        ? 'restarting'
        : saidSo || this.#deaths >= deathsToFail
          ? 'failed'
          : 'loading'
    // A model that said why it cannot be loaded will say so again: it is tried rarely, in case memory or a disk was short.
    const pauseMs =
      saidSo && !this.#wasReady ? backOffMs.at(-1)! : backOffMs[Math.min(this.#deaths, backOffMs.length) - 1]!
    this.#setting.log.warn({ ...this.#facts(), reason: this.reason, pauseMs }, 'model worker ended')
    if (this.state === 'failed') this.#giveUpAll('unavailable', this.reason)
    this.#setting.changed()
    void this.#setting.clock.sleep(pauseMs, this.#stopped.signal).then(() => this.start())
  }

  #giveUpAll(kind: 'unavailable', message: string): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) one.resolve({ ok: false, kind, message })
    this.#tellIdle()
  }

  /** From the first sign of its end on nothing more is begun there, and other versions take its share. */
  #noLongerReady(): void {
    if (this.state !== 'ready') return
    this.state = 'restarting'
    this.#setting.changed()
  }

  #kill(): void {
    if (this.#child?.pid !== undefined) killGroup(this.#child.pid)
  }

  #whenIdle(): Promise<void> {
    if (!this.#begun && this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #tellIdle(): void {
    if (this.#begun || this.#waiting.length > 0) return
    for (const tell of this.#idle.splice(0)) tell()
  }

  #facts(): object {
    const { model, version, digest } = this.served
    return { model, version, digest, pid: this.pid }
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}

const failureText = (frame: Frame): string =>
  frame.header.stage === 'warm'
    ? `The model cannot answer its own input example: ${frame.header.message}`
    : `The model cannot be loaded: ${frame.header.message}`

function inferFrame(id: number, { layout, tensors, parameters }: InferQuestion): Buffer {
  const inputs = tensors.map(({ bytes, ...facts }) => ({ ...facts, length: bytes.length }))
  return encodeFrame({ op: 'infer', id, layout, inputs, parameters }, Buffer.concat(tensors.map(({ bytes }) => bytes)))
}

function tensorsOf({ header, body }: Frame): Tensor[] {
  let at = 0
  return (header.outputs as (Omit<Tensor, 'bytes'> & { length: number })[]).map(({ length, ...facts }) => {
    at += length
    return { ...facts, bytes: body.subarray(at - length, at) }
  })
}

function answerOf(frame: Frame): Answer {
  if (frame.header.ok) return { ok: true, frame }
  const { kind, message, status, code } = frame.header as RefusalHeader
  return { ok: false, kind, message, ...(status && code ? { mlflow: { status, errorCode: code } } : {}) }
}

type RefusalHeader = Pick<Refusal, 'kind' | 'message'> & { status?: number; code?: string }
