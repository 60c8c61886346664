import { readdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../kernel/errors.ts'
import type { EpochMs } from '../../kernel/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ServedVersion } from '../gateway-state.ts'
import { sizeOf as bytesOf, elementCount, joinedElements, type Tensor } from '../tensor.ts'
import type { GraphSession } from './graph-session.ts'
import type { MlmodelFile } from './mlmodel-file.ts'
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
import { scoreOnnx } from './onnx-scoring.ts'
import { OnnxSession } from './onnx-session.ts'
import { OnnxThread } from './onnx-thread.ts'
import { probeOnnx } from './probe-onnx.ts'
import type { ServingLog } from './serving-log.ts'

export type OnnxLimits = {
  queueLength: number
  /** How long a client is kept waiting. */
  totalMs: number
  loadMs: number
  /** Rows that are computed at once. */
  batchRows: number
  /** How long a batch is waited for while requests come faster than they are answered; 0: only what is there already. */
  batchDelayMs: number
}

export type OnnxSetting = {
  clock: Clock
  log: ServingLog
  limits: OnnxLimits
  threads?: number
  proofs?: GraphProofs
  changed: () => void
}

/** What is remembered of graphs that were tried in a process of their own, so that it need not be done again at each loading. */
export type GraphProofs = {
  isProven(served: ServedVersion, file: string): boolean
  proved(served: ServedVersion, file: string, bytes: number): void
}

type Waiting = {
  tensors: Tensor[]
  rows: number
  key: string
  deadline: EpochMs
  resolve: (answer: InferAnswer) => void
}

/**
 * Small graphs are computed where the requests are answered, on one thread: handing pieces around costs more than it saves. A large one
 * would keep everybody else waiting. Weights may lie beside the graph, so the folder counts.
 */
const smallGraphBytes = 4_000_000
const triedAgainMs = 30_000
const tooLate = 'Request processing time exceeded limit'

/** A model of the ONNX flavour, computed in this process; requests that wait together are computed together. */
export class OnnxModel implements ModelBackend {
  served: ServedVersion
  readonly pid = undefined
  state: BackendState = 'loading'
  reason: string | undefined
  facts: ModelFacts
  graphBytes: number | undefined
  readonly #file: string
  readonly #mlmodel: MlmodelFile
  readonly #setting: OnnxSetting
  readonly #stopped = new AbortController()
  #session: GraphSession | undefined
  #batches = false
  #waiting: Waiting[] = []
  #begun: readonly Waiting[] = []
  #planned = false
  #usualBatch = 1
  #idle: (() => void)[] = []

  constructor(served: ServedVersion, mlmodel: MlmodelFile, setting: OnnxSetting) {
    this.served = served
    this.#file = join(served.modelPath, mlmodel.onnxFile ?? 'model.onnx')
    this.#mlmodel = mlmodel
    this.#setting = setting
    this.facts = mlmodel.facts
  }

  get isComing(): boolean {
    return this.state === 'loading'
  }

  get load(): number {
    return this.#waiting.length + this.#begun.length
  }

  start(): void {
    void this.#load()
  }

  async #load(): Promise<void> {
    const { limits, log, changed } = this.#setting
    try {
      await this.#prove(limits.loadMs)
      const isSmall = (await sizeOf(this.served.modelPath)) < smallGraphBytes
      const threads = this.#setting.threads ?? (isSmall ? 1 : availableParallelism())
      const session = await (isSmall ? OnnxSession : OnnxThread).open(this.#file, threads)
      if (this.#stopped.signal.aborted) return void (await session.close())
      this.facts = { ...this.facts, signature: 'tensors', ...session.facts }
      const warmed = await this.#warm(session)
      this.#session = session
      this.state = 'ready'
      this.reason = undefined
      log.info({ ...this.#told(), warmed, batches: this.#batches, threads }, 'model is ready')
      this.#plan()
    } catch (error) {
      this.#failed(messageOf(error))
    }
    changed()
  }

  /** @throws Error why the graph cannot be served */
  async #prove(limitMs: number): Promise<void> {
    const { proofs } = this.#setting
    if (proofs?.isProven(this.served, this.#file)) return
    const probed = await probeOnnx(this.#file, limitMs)
    if ('problem' in probed) throw new Error(probed.problem)
    this.graphBytes = probed.bytes
    proofs?.proved(this.served, this.#file, probed.bytes)
  }

  #failed(problem: string): void {
    if (this.#stopped.signal.aborted) return
    this.state = 'failed'
    this.reason = `The ONNX graph cannot be loaded: ${problem}`
    this.#setting.log.warn({ ...this.#told(), reason: this.reason }, 'model cannot be loaded')
    this.#giveUp(this.#waiting.splice(0), 'unavailable', this.reason)
    // Memory or a disk may have been short.
    void this.#setting.clock.sleep(triedAgainMs, this.#stopped.signal).then(() => {
      if (!this.#stopped.signal.aborted) return this.#load()
    })
  }

  /**
   * One run, so that the first user does not pay for it; a second one of two rows shows whether rows may be computed together: an open
   * first size alone is no promise that a graph treats each row by itself.
   */
  async #warm(session: GraphSession): Promise<boolean> {
    const { inputs, outputs } = session.facts
    try {
      const [a, b] = [rowOf(inputs, 1), rowOf(inputs, 2)]
      const alone = [await session.run(a), await session.run(b)]
      const isOpen = [...inputs, ...outputs].every(({ shape }) => shape[0] === -1)
      if (!isOpen || this.#setting.limits.batchRows < 2) return true
      const together = split(await session.run(joined([a, b])), [1, 1])
      this.#batches = together?.every((one, index) => isClose(one, alone[index]!)) ?? false
      return true
    } catch {
      // Rows that are made up need not suit the graph.
      return false
    }
  }

  infer({ tensors }: InferQuestion, signal?: AbortSignal): Promise<InferAnswer> {
    if (this.#stopped.signal.aborted || this.state === 'failed')
      return Promise.resolve(refused('unavailable', this.reason ?? 'The version is being stopped.'))
    // Once it is ready, the door before it says how many may wait.
    if (!this.#session && this.#waiting.length >= this.#setting.limits.queueLength)
      return Promise.resolve(refused('unavailable', `${this.#waiting.length} requests wait for this version already.`))
    return new Promise((resolve) => {
      const deadline = this.#setting.clock.now() + this.#setting.limits.totalMs
      const waiting: Waiting = {
        tensors,
        rows: tensors[0]?.shape[0] ?? 1,
        key: tensors.map(({ shape }) => shape.slice(1).join('x')).join(';'),
        deadline,
        resolve,
      }
      this.#waiting.push(waiting)
      signal?.addEventListener('abort', () => this.#cancel(waiting), { once: true })
      this.#plan()
    })
  }

  score(question: ScoreQuestion, signal?: AbortSignal): Promise<ScoreAnswer> {
    return scoreOnnx(question, {
      graph: this.facts,
      signature: this.#mlmodel.facts,
      infer: (tensors) => this.infer({ layout: 'tensors', tensors, parameters: {} }, signal),
    })
  }

  expire(now: EpochMs): void {
    // A graph that has begun cannot be stopped; its clients need not wait for it.
    for (const one of this.#begun) if (one.deadline <= now) one.resolve(refused('timeout', tooLate))
    const late = this.#waiting.filter((one) => one.deadline <= now)
    if (late.length === 0) return
    this.#waiting = this.#waiting.filter((one) => one.deadline > now)
    this.#giveUp(late, 'timeout', tooLate)
  }

  async drainAndStop(patienceMs: number): Promise<void> {
    const patience = new AbortController()
    const idle = this.load === 0 ? Promise.resolve() : new Promise<void>((resolve) => this.#idle.push(() => resolve()))
    await Promise.race([idle, this.#setting.clock.sleep(patienceMs, patience.signal)])
    patience.abort()
    this.#stopped.abort()
    this.#giveUp(this.#waiting.splice(0), 'unavailable', 'The version is being stopped.')
    const session = this.#session
    this.#session = undefined
    this.state = 'failed'
    await session?.close()
  }

  #cancel(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    this.#giveUp([waiting], 'cancelled', 'The client hung up.')
  }

  #giveUp(waiting: Waiting[], kind: Refusal['kind'], message: string): void {
    for (const one of waiting) one.resolve(refused(kind, message))
    this.#tellIdle()
  }

  /** Once per turn of the event loop, so that all requests that it brought are one batch. */
  #plan(): void {
    if (this.#planned || this.#begun.length > 0 || !this.#session || this.#waiting.length === 0) return
    this.#planned = true
    const { batchDelayMs } = this.#setting.limits
    // Alone nobody waits for company that never came so far.
    if (this.#batches && batchDelayMs > 0 && this.#usualBatch > 1.5) setTimeout(() => this.#compute(), batchDelayMs)
    else setImmediate(() => this.#compute())
  }

  async #compute(): Promise<void> {
    this.#planned = false
    const session = this.#session
    const batch = this.#nextBatch()
    if (!session || batch.length === 0) return
    this.#begun = batch
    this.#usualBatch = 0.9 * this.#usualBatch + 0.1 * batch.length
    try {
      await answerAll(session, batch)
    } finally {
      this.#begun = []
      this.#tellIdle()
      this.#plan()
    }
  }

  /** The first that waits and whoever fits to it. */
  #nextBatch(): Waiting[] {
    const first = this.#waiting.shift()
    if (!first) return []
    const batch = [first]
    if (!this.#batches || this.#waiting.length === 0) return batch
    let { rows } = first
    const stay: Waiting[] = []
    for (const one of this.#waiting) {
      const fits = one.key === first.key && one.rows > 0 && rows + one.rows <= this.#setting.limits.batchRows
      if (fits) rows += one.rows
      ;(fits ? batch : stay).push(one)
    }
    this.#waiting = stay
    return batch
  }

  #tellIdle(): void {
    if (this.load > 0) return
    for (const tell of this.#idle.splice(0)) tell()
  }

  #told(): object {
    const { model, version, digest } = this.served
    return { model, version, digest, runtime: 'onnx' }
  }
}

async function sizeOf(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true })
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const refused = (kind: Refusal['kind'], message: string): Refusal => ({ ok: false, kind, message })

async function answerAll(session: GraphSession, batch: readonly Waiting[]): Promise<void> {
  try {
    if (batch.length > 1) {
      const answered = await session.run(joined(batch.map(({ tensors }) => tensors)))
      const each = split(
        answered,
        batch.map(({ rows }) => rows),
      )
      if (each) {
        for (const [index, one] of batch.entries()) one.resolve({ ok: true, tensors: each[index]! })
        return
      }
    }
  } catch {
    // One of them may be to blame: each is computed alone below.
  }
  for (const one of batch)
    one.resolve(
      await session.run(one.tensors).then(
        (tensors): InferAnswer => ({ ok: true, tensors }),
        (error: unknown) => refused(isInputs(error) ? 'schema' : 'model', messageOf(error)),
      ),
    )
}

/** ONNX Runtime's word for an input that does not suit the graph. */
const isInputs = (error: unknown): boolean =>
  /invalid dimensions|INVALID_ARGUMENT|Unexpected input/i.test(messageOf(error))

/** Several requests as one, row by row. */
function joined(requests: readonly (readonly Tensor[])[]): Tensor[] {
  return requests[0]!.map((tensor, input) => {
    const parts = requests.map((one) => one[input]!)
    const rows = parts.reduce((sum, one) => sum + one.shape[0]!, 0)
    return { ...tensor, shape: [rows, ...tensor.shape.slice(1)], bytes: Buffer.concat(parts.map(({ bytes }) => bytes)) }
  })
}

/** Undefined where an output has not a row for each row. */
function split(outputs: readonly Tensor[], rows: readonly number[]): Tensor[][] | undefined {
  const all = rows.reduce((sum, one) => sum + one, 0)
  if (outputs.some((one) => one.shape[0] !== all || one.datatype === 'BYTES')) return undefined
  let from = 0
  return rows.map((count) => {
    const start = from
    from += count
    return outputs.map((one) => {
      const rowBytes = one.bytes.length / all
      return {
        ...one,
        shape: [count, ...one.shape.slice(1)],
        bytes: one.bytes.subarray(start * rowBytes, from * rowBytes),
      }
    })
  })
}

/** A made-up row of each input: small numbers that differ by `kind`. */
const rowOf = (inputs: ModelFacts['inputs'], kind: number): Tensor[] =>
  inputs.map(({ name, datatype, shape }) => {
    const fixed = shape.map((size) => (size < 0 ? 1 : size))
    const count = elementCount(fixed)
    if (datatype === 'BYTES')
      return {
        name,
        datatype,
        shape: fixed,
        bytes: joinedElements(Array.from({ length: count }, () => Buffer.from(`${kind}`))),
      }
    const bytes = Buffer.alloc(count * bytesOf(datatype))
    const tensor = { name, datatype, shape: fixed, bytes }
    fill(tensor, kind)
    return tensor
  })

function fill({ datatype, bytes }: Tensor, kind: number): void {
  const count = bytes.length / bytesOf(datatype)
  for (let index = 0; index < count; index++)
    if (datatype === 'FP32') bytes.writeFloatLE(((index * 7 + kind * 13) % 11) / 4, index * 4)
    else if (datatype === 'FP64') bytes.writeDoubleLE(((index * 7 + kind * 13) % 11) / 4, index * 8)
    // Indices into tables are small: 0 or 1 suits them all.
    else if (datatype !== 'FP16' && datatype !== 'BF16') bytes[index * bytesOf(datatype)] = (index + kind) % 2
}

/** Whether a row came out the same: alone and in company the order of sums may differ in the last digits. */
function isClose(a: readonly Tensor[], b: readonly Tensor[]): boolean {
  return a.every((one, index) => {
    const other = b[index]!
    if (one.bytes.equals(other.bytes)) return true
    if (one.datatype !== 'FP32' || one.bytes.length !== other.bytes.length) return false
    for (let at = 0; at < one.bytes.length; at += 4) {
      const [x, y] = [one.bytes.readFloatLE(at), other.bytes.readFloatLE(at)]
      if (!(Math.abs(x - y) <= 1e-4 * Math.max(1, Math.abs(x))) && !(Number.isNaN(x) && Number.isNaN(y))) return false
    }
    return true
  })
}
