import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { shortDigest } from '../../kernel/digest.ts'
import { messageOf } from '../../kernel/errors.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { formatBytes } from '../../kernel/units.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ServedVersion } from '../gateway-state.ts'
import { type Frame, FrameReader } from './frames.ts'
import type { BackendState, Refusal } from './model-backend.ts'
import { treeMemory } from './process-memory.ts'
import type { ServingLog } from './serving-log.ts'
import type { WorkerLog } from './worker-log.ts'

export type ProcessLimits = {
  /** How long a question may be computed; then the process counts as stuck and is replaced. */
  answerMs: number
  loadMs: number
  /** What the process may take; it is the pool that replaces one that took more. */
  memoryBytes?: number
  /** Whether the model's code may use the network. */
  network?: boolean
}

export type ProcessSetting = {
  clock: Clock
  log: ServingLog
  /** They may change while it runs. */
  limits: () => ProcessLimits
  script: string
  /** Folder for the workers' logs and working folders. */
  folder: string
  /** What the model's code sees of the environment besides PATH, HOME and what keeps mlflow off the network. */
  env: Record<string, string>
  output: WorkerLog
  /** Where the version lies now. */
  served: () => ServedVersion
  /** Its state changed, or it has answered. */
  changed: () => void
}

export type Answer = { ok: true; frame: Frame } | Refusal
export type Question = {
  frame: (id: number) => Buffer
  resolve: (answer: Answer) => void
  /** When its client is told that it took too long; what has begun may still be computed. */
  clientDeadline: EpochMs
}
type Begun = Question & { id: number; deadline: EpochMs }

const backOffMs = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000]
/** Deaths without ever having been ready, after which it counts as failed (and is still tried, at the longest interval). */
const deathsToFail = 3
const measuredEveryMs = 2_000
/** The machine is the same for all: one word of it is enough for each who listens. */
const toldOfMachine = new WeakSet<ServingLog>()

/** One Python process of a version, kept alive: it is begun again with a growing pause when it dies. It carries out one question at a time. */
export class PythonWorker {
  state: BackendState = 'loading'
  reason: string | undefined
  /** As measured last. */
  memoryBytes: number | undefined
  /** When it answered last: requests keep to the process whose caches are warm. */
  answeredAt: EpochMs = 0
  readonly #setting: ProcessSetting
  readonly #stopped = new AbortController()
  #child: ChildProcess | undefined
  /** Of the process that computes, where that is not the one that was begun. */
  #apartPid: number | undefined
  #startedAt: EpochMs = 0
  #begun: Begun | undefined
  #nextId = 1
  #deaths = 0
  #wasReady = false
  #measuredAt: EpochMs = 0
  #measuring: Promise<number | undefined> | undefined

  constructor(setting: ProcessSetting) {
    this.#setting = setting
  }

  get pid(): number | undefined {
    return this.#child && (this.#apartPid ?? this.#child.pid)
  }

  get isBusy(): boolean {
    return this.#begun !== undefined
  }

  get isStopped(): boolean {
    return this.#stopped.signal.aborted
  }

  /** Whether it took more than it may. */
  get isTooLarge(): boolean {
    const { memoryBytes: limit = Number.POSITIVE_INFINITY } = this.#setting.limits()
    return (this.memoryBytes ?? 0) > limit
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

  /** Only of one that is ready and not busy. */
  ask(question: Question): void {
    const id = this.#nextId++
    this.#begun = { ...question, id, deadline: this.#setting.clock.now() + this.#setting.limits().answerMs }
    this.#child?.stdin?.write(question.frame(id))
  }

  /** Called every fraction of a second: what is computed too long is given up, and now and then its memory is measured. */
  expire(now: EpochMs): void {
    const begun = this.#begun
    if (begun && begun.clientDeadline <= now)
      begun.resolve({ ok: false, kind: 'timeout', message: 'Request processing time exceeded limit' })
    if (begun && begun.deadline <= now) {
      this.#begun = undefined
      const { answerMs } = this.#setting.limits()
      begun.resolve({ ok: false, kind: 'timeout', message: `The model did not answer within ${answerMs} ms.` })
      this.#noLongerReady()
      this.#kill()
    } else if (this.#child && this.state !== 'ready' && now - this.#startedAt > this.#setting.limits().loadMs)
      this.#kill()
    if (this.state === 'ready' && now - this.#measuredAt >= measuredEveryMs) void this.measure()
  }

  /** What it and all that it began take now. */
  measure(): Promise<number | undefined> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined
    })
    return this.#measuring
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.stdin?.end()
    const { pid } = child
    const late = setTimeout(() => killGroup(pid), 2_000)
    await gone
    clearTimeout(late)
    // What the model's code started and left.
    killGroup(pid)
  }

  #spawn(): ChildProcess {
    this.#apartPid = undefined
    const { script, output, folder } = this.#setting
    const { pythonPath, modelPath } = this.#setting.served()
    const { network = false } = this.#setting.limits()
    mkdirSync(join(folder, 'logs'), { recursive: true, mode: 0o700 })
    mkdirSync(this.#workFolder, { recursive: true, mode: 0o700 })
    const child = spawn(pythonPath, ['-u', script, modelPath, ...(network ? ['--network'] : [])], {
      cwd: this.#workFolder,
      env: this.#environment(pythonPath),
      stdio: ['pipe', 'pipe', 'pipe'],
      // Its own process group: Ctrl-C reaches the gateway alone, and what the model started ends with it.
      detached: true,
    })
    let told: string | undefined
    const frames = new FrameReader((frame) => {
      if (this.#child !== child) return
      if (frame.header.op === 'failed') told = failureText(frame)
      else void this.#take(frame)
    })
    child.stdout.on('data', (chunk: Buffer) => frames.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => output.write(chunk))
    // The pipe of a dying process: its exit is what counts.
    child.stdin.on('error', () => undefined)
    child.once('error', (error) => {
      told = `Python could not be started (${pythonPath}): ${error.message}`
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

  get #workFolder(): string {
    return join(this.#setting.folder, 'work', shortDigest(this.#setting.served().digest))
  }

  #environment(pythonPath: string): Record<string, string> {
    return {
      PATH: `${dirname(pythonPath)}:/usr/local/bin:/usr/bin:/bin`,
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

  async #take(frame: Frame): Promise<void> {
    if (frame.header.op === 'apart') return this.#standsApart(frame)
    if (frame.header.op === 'ready') return this.#loaded(frame)
    const begun = this.#begun
    if (!begun || begun.id !== frame.header.id) return
    this.#begun = undefined
    this.answeredAt = this.#setting.clock.now()
    begun.resolve(answerOf(frame))
    this.#setting.changed()
  }

  /** The frame comes before the model's code, which might say anything. */
  #standsApart({ header: { pid, lacks } }: Frame): void {
    if (typeof pid === 'number') this.#apartPid ??= pid
    const { log } = this.#setting
    if (typeof lacks !== 'string' || toldOfMachine.has(log)) return
    toldOfMachine.add(log)
    log.warn({ reason: lacks }, "this machine does not keep a model's process apart")
  }

  async #loaded({ header }: Frame): Promise<void> {
    const { log, changed, limits } = this.#setting
    const child = this.#child
    await this.measure()
    if (this.#child !== child || this.#stopped.signal.aborted) return
    if (this.isTooLarge) {
      // A new process would be as large: replacing it would never end.
      const [takes, limit] = [this.memoryBytes!, limits().memoryBytes!].map(formatBytes)
      this.#kill()
      this.#child = undefined
      return this.#failed(`Its process takes ${takes} once it is loaded; serve.memory allows ${limit}.`)
    }
    this.state = 'ready'
    this.reason = undefined
    this.#wasReady = true
    this.#deaths = 0
    log.info({ ...this.#facts(), warmed: header.warmed }, 'model is ready')
    changed()
  }

  async #measure(): Promise<number | undefined> {
    const child = this.#child
    if (child?.pid === undefined) return undefined
    this.#measuredAt = this.#setting.clock.now()
    const bytes = await treeMemory(child.pid)
    if (this.#child !== child) return undefined
    this.memoryBytes = bytes
    if (this.state === 'ready' && this.isTooLarge) this.#setting.changed()
    return bytes
  }

  #ended(child: ChildProcess, told: string | undefined, how = 'it did not start'): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.memoryBytes = undefined
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
    this.#setting.log.warn({ ...this.#facts(), reason, pauseMs }, 'model worker ended')
    this.#setting.changed()
    void this.#setting.clock.sleep(pauseMs, this.#stopped.signal).then(() => this.start())
  }

  /** From the first sign of its end on nothing more is begun there, and others take its share. */
  #noLongerReady(): void {
    if (this.state !== 'ready') return
    this.state = 'restarting'
    this.#setting.changed()
  }

  #kill(): void {
    if (this.#child?.pid !== undefined) killGroup(this.#child.pid)
  }

  #facts(): object {
    const { model, version, digest } = this.#setting.served()
    return { model, version, digest, pid: this.pid, memoryBytes: this.memoryBytes }
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

function answerOf(frame: Frame): Answer {
  if (frame.header.ok) return { ok: true, frame }
  const { kind, message, status, code } = frame.header as RefusalHeader
  return { ok: false, kind, message, ...(status && code ? { mlflow: { status, errorCode: code } } : {}) }
}

type RefusalHeader = Pick<Refusal, 'kind' | 'message'> & { status?: number; code?: string }
