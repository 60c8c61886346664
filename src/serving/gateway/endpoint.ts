import type { PredictionId } from '../../kernel/ids.ts'
import { hashShare } from '../../math/hash-share.ts'
import { Admission } from '../admission.ts'
import { bindInputs } from '../decide/bind-inputs.ts'
import { endpointName } from '../decide/endpoint-name.ts'
import { textOf } from '../decide/log-policy.ts'
import { chooseVersion } from '../decide/traffic.ts'
import { asksForExplanations, type Explainers, explainParameter } from '../explain/explainers.ts'
import type { EndpointDesired, GatewayObserved, ServedVersion } from '../gateway-state.ts'
import type { InputRows } from '../input-failure.ts'
import { handleInput, type Imputed, type ProblemCounts } from '../input-handling.ts'
import type { LogHash } from '../log-hash.ts'
import { InferenceStats } from '../models/inference-stats.ts'
import type { Refusal } from '../models/model-backend.ts'
import type { BackendSetting, VersionBackend } from '../models/open-backend.ts'
import { refusalError } from '../models/refusal-error.ts'
import { rowsOfTensors } from '../models/tensor-rows.ts'
import { predictionId, randomBytesNeeded } from '../prediction-id.ts'
import type { Inferred, ServedName } from '../protocols/model-repository.ts'
import type { OipRequest } from '../protocols/oip-request.ts'
import { RandomPool } from '../random-pool.ts'
import { invalidInput, unavailable } from '../scoring-error.ts'
import type { Tensor } from '../tensor.ts'
import { EndpointVersions } from './endpoint-versions.ts'
import { GuardState, type GuardTally, type Trip } from './guard-state.ts'
import { imputedQuestion, imputedTensors } from './imputed-request.ts'
import { InputCounts } from './input-counts.ts'
import { journalEntry, type Outcome } from './journal-entry.ts'
import type { JournalWriter } from './journal-writer.ts'
import type { MemoryBudget } from './memory-budget.ts'
import type { ModelSizes } from './model-sizes.ts'
import type { ScoringRequest } from './scoring-request.ts'
import { noFacts, type VersionSlot } from './version-slot.ts'
import { type LineLimits, WaitingLine } from './waiting-line.ts'

export type EndpointSetting = {
  worker: Omit<BackendSetting, 'changed'>
  journal: JournalWriter
  /** Uniform in [0, 1). */
  draw: () => number
  drainMs: number
  budget: MemoryBudget
  sizes: ModelSizes
  explainers: Explainers
  /** For requests that come while no version is there to take them. */
  line: LineLimits & { waitMs: number }
  tripped: () => void
  /** For values of which the log keeps only a hash. */
  logHash: LogHash
}

type Ask<Value> = (
  backend: VersionBackend,
  imputed: readonly Imputed[],
) => Promise<{ ok: true; value: Value; outputs: () => Buffer } | Refusal>

type Answered<Value> = { id: PredictionId; version: number; value: Value; warnings: ProblemCounts }

/** Adds to an answer what explains it, of the version that gave it. What goes wrong there says nothing against the version. */
type Explain<Value> = (value: Value) => Promise<Value>

/** A request before its version is known: its size, its rows as that version's facts make them, and what explains its answer. */
type Incoming<Value> = {
  bytes: number
  rows: (speaker: () => VersionSlot | undefined) => InputRows
  explained: (answered: Answered<Value>) => Promise<Value>
}

export type Prediction = { id: PredictionId; body: Buffer; warnings: ProblemCounts }

/** One deployment's traffic: which version answers, whether its input may, what is written down of it, and the guard. */
export class Endpoint {
  readonly name: string
  readonly #setting: EndpointSetting
  readonly #guard: GuardState
  readonly #versions: EndpointVersions
  readonly #line: WaitingLine
  readonly #stats = new InferenceStats()
  readonly #admission: Admission
  readonly #random = new RandomPool()
  readonly #inputCounts = new InputCounts()
  #desired: EndpointDesired
  /** Requests that a version computes, and those that were just told to go to one. */
  #inside = 0
  #called = 0

  /** @param atStart of the gateway: then only what fits is loaded */
  constructor(desired: EndpointDesired, setting: EndpointSetting, trip: Trip | undefined, atStart: boolean) {
    this.name = endpointName(desired)
    this.#setting = setting
    this.#guard = new GuardState(trip)
    this.#desired = desired
    this.#admission = new Admission({
      now: () => setting.worker.clock.now(),
      limits: () => ({ queue: setting.worker.limits.queueLength, ...this.#desired.serve }),
      computing: () => this.#desired.serve?.workers ?? 1,
      isReady: () => this.#versions.effective.length > 0,
    })
    this.#line = new WaitingLine(setting.line)
    this.#versions = new EndpointVersions(desired, {
      ...setting,
      barred: () => this.#guard.trip?.newcomer,
      isWanted: () => this.#line.length + this.#called + this.#inside > 0,
      waitingSince: () => this.#line.since,
      changed: () => this.#callNext(),
    })
    this.apply(desired, atStart)
  }

  apply(desired: EndpointDesired, atStart = false): void {
    this.#desired = desired
    this.#guard.apply(desired)
    this.#versions.apply(desired, atStart)
  }

  /** @throws ScoringError what the client is told; its `predictionId` leads to the record where there is one */
  async predict(request: ScoringRequest, signal?: AbortSignal): Promise<Prediction> {
    const { body } = request
    const isExplained = asksForExplanations(request)
    let explain: Explain<Buffer> | undefined
    const ask: Ask<Buffer> = async (backend, imputed) => {
      const question = { ...imputedQuestion(request, imputed), drop: droppedColumns(backend.served) }
      if (isExplained) explain = (value) => this.#setting.explainers.withAnswer(backend, question, value, signal)
      const answer = await backend.score(question, signal)
      return answer.ok ? { ok: true, value: answer.body, outputs: () => answer.body } : answer
    }
    const incoming = {
      bytes: body.length,
      rows: () => request,
      explained: (it: Answered<Buffer>) => explainedBy(explain, it),
    }
    const { id, value, warnings } = await this.#answered(incoming, ask, signal)
    return { id, body: value, warnings }
  }

  /** The same in the Open Inference Protocol. @throws ScoringError */
  async infer(request: OipRequest, signal?: AbortSignal): Promise<Inferred> {
    const { tensors, parameters } = request
    let explain: Explain<Tensor[]> | undefined
    const ask: Ask<Tensor[]> = async (backend, imputed) => {
      const own = withoutKey(backend.served, tensors)
      const given = imputed.length === 0 ? own : imputedTensors(own, backend.facts, imputed)
      const binding = bindInputs(backend.facts, given)
      if ('problem' in binding) return { ok: false, kind: 'schema', message: binding.problem }
      const asked = explainParameter(parameters, backend.facts)
      if (asked.explain)
        explain = async (value) => [
          ...value,
          ...(await this.#setting.explainers.outputs(backend, binding.tensors, signal)),
        ]
      const answer = await backend.infer({ ...binding, parameters: asked.parameters }, signal)
      return answer.ok ? { ok: true, value: answer.tensors, outputs: () => outputsOf(answer.tensors) } : answer
    }
    const bytes = tensors.reduce((sum, one) => sum + one.bytes.length, 0)
    const rows = (speaker: () => VersionSlot | undefined) => inputRows(speaker(), tensors)
    const explained = (it: Answered<Tensor[]>) => explainedBy(explain, it)
    const { id, version, value, warnings } = await this.#answered({ bytes, rows, explained }, ask, signal)
    return { tensors: value, id, version: String(version), warnings }
  }

  /** As a model of the Open Inference Protocol: of several versions that share the traffic, the one with the most of it speaks. */
  get served(): ServedName {
    const version = this.#versions.speaker
    const state = this.#versions.isAble ? 'ready' : (version?.state ?? 'asleep')
    return {
      name: this.#desired.model,
      version: String(version?.served.version ?? ''),
      facts: version?.facts ?? noFacts,
      // A model that sleeps is one that answers; it takes a little longer.
      state: state === 'asleep' ? 'unloaded' : state,
      reason: version?.reason,
      stats: this.#stats,
      infer: (request, signal) => this.infer(request, signal),
    }
  }

  #answered<Value>(
    request: Incoming<Value>,
    ask: Ask<Value>,
    signal: AbortSignal | undefined,
  ): Promise<Answered<Value>> {
    const started = performance.now()
    return this.#admission.run(() => this.#answer(request, ask, started, signal), signal)
  }

  /** Waits where it must, chooses a version, holds the input against its contract, asks, and writes down what came of it. */
  async #answer<Value>(
    incoming: Incoming<Value>,
    ask: Ask<Value>,
    started: number,
    signal: AbortSignal | undefined,
  ): Promise<Answered<Value>> {
    this.#versions.touch(this.#setting.worker.clock.now())
    if (this.#mustWait) await this.#wait(incoming.bytes, signal)
    const request = incoming.rows(() => this.#versions.speaker)
    const version = this.#choose(request)
    const release = version.lease()
    this.#inside++
    try {
      const answered = await this.#asked(version, request, ask, started)
      // Its explanation asks the same version, which must not be unloaded before.
      return { ...answered, value: await incoming.explained(answered) }
    } finally {
      this.#inside--
      release()
      this.#callNext()
      if (this.#inside === 0) this.#setting.budget.look()
    }
  }

  async #asked<Value>(
    { served, backend }: VersionSlot,
    request: InputRows,
    ask: Ask<Value>,
    started: number,
  ): Promise<Answered<Value>> {
    const at = this.#setting.worker.clock.now()
    const id = predictionId(
      { at, version: served.version, digest: served.digest },
      this.#random.take(randomBytesNeeded),
    )
    const verdict = handleInput(this.#desired.inputs, served.inputs, request)
    const warnings = verdict.outcome === 'taken' ? verdict.warnings : {}
    const facts = { served, id, at, request, warnings }
    const finish = (outcome: Outcome['outcome'], more: Pick<Outcome, 'error' | 'kind' | 'outputs'>) =>
      this.#record({ ...facts, latencyMs: round(performance.now() - started), outcome, ...more })

    this.#inputCounts.count(verdict)
    if (verdict.outcome === 'refused') {
      const { message, kind, columns } = verdict.problem
      finish('input refused', { error: message, kind: `${kind}: ${columns.join(', ')}` })
      throw Object.assign(invalidInput(message), { predictionId: id })
    }
    const answer = await ask(backend!, verdict.imputed)
    if (answer.ok) {
      finish('answered', { outputs: answer.outputs })
      return { id, version: served.version, value: answer.value, warnings }
    }
    finish(answer.kind === 'schema' || answer.kind === 'request' ? 'input refused' : 'failed', {
      error: answer.message,
      kind: answer.kind,
    })
    throw Object.assign(refusalError(answer), { predictionId: id })
  }

  expire(now: number): void {
    this.#admission.expire(now)
    this.#line.expire(now)
    this.#versions.expire(now)
  }

  observed(): GatewayObserved['endpoints'][number] {
    return {
      project: this.#desired.project,
      environment: this.#desired.environment,
      versions: this.#versions.observed(),
      ...(this.#guard.trip ? { guardTripped: this.#guard.trip } : {}),
      requests: {
        inside: this.#admission.inside,
        waiting: this.#admission.waiting + this.#line.length,
        turnedAway: this.#admission.turnedAway,
      },
      inputs: this.#inputCounts,
    }
  }

  get trip(): Trip | undefined {
    return this.#guard.trip
  }

  get stats(): InferenceStats {
    return this.#stats
  }

  /** What other processes of the gateway must know of this endpoint beside its state. */
  get tally(): GuardTally {
    return this.#guard.tally
  }

  get isWatching(): boolean {
    return this.#guard.isWatching
  }

  /** What those processes counted, and the trip of one of them. */
  hear(tallies: readonly GuardTally[], trip: Trip | undefined): void {
    this.#guard.hear(tallies)
    if (trip && this.#versions.someoneElseIsReady(trip.newcomer) && this.#guard.follow(trip)) this.#tookOut()
  }

  get isServing(): boolean {
    return this.#versions.isAble
  }

  async stop(patienceMs: number): Promise<void> {
    const { clock } = this.#setting.worker
    for (const end = clock.now() + patienceMs; this.#line.length > 0 && clock.now() < end; ) await clock.sleep(50)
    this.#line.refuseAll('The gateway is being stopped.')
    await this.#versions.stop()
  }

  /** Order is kept: who comes while others are still being called goes behind them. */
  get #mustWait(): boolean {
    return this.#versions.effective.length === 0 || this.#line.length > 0 || this.#called > 0
  }

  /** @throws ScoringError 503 */
  async #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const { line, worker } = this.#setting
    const since = worker.clock.now()
    const deadline = since + (this.#desired.serve?.deadlineMs ?? line.waitMs)
    do {
      const turn = this.#line.join({ bytes, since, deadline, signal })
      this.#callNext()
      await turn
      this.#called--
      if (signal?.aborted) throw unavailable('The client hung up.')
    } while (this.#versions.effective.length === 0)
  }

  /** As many at once as a version takes without turning one away. */
  #callNext(): void {
    const atOnce = Math.max(1, this.#setting.worker.limits.queueLength)
    if (this.#versions.effective.length > 0)
      for (; this.#line.length > 0 && this.#inside + this.#called < atOnce; this.#called++) this.#line.next()
    else if (this.#line.length > 0 && !this.#versions.isComing) this.#line.refuseAll(this.#whyNobody)
  }

  get #whyNobody(): string {
    return `No version of ${this.name} can answer: ${this.#versions.reasons}.`
  }

  /** @throws ScoringError 503 */
  #choose(request: InputRows): VersionSlot {
    const chosen = chooseVersion(this.#versions.effective, this.#placeOf(request))
    const version = chosen && this.#versions.slot(chosen)
    if (!version) throw unavailable(this.#whyNobody)
    return version
  }

  /** A request with a key always falls to the same place, so that a subject meets one version; others are drawn. */
  #placeOf(request: InputRows): number {
    if (this.#versions.effective.length < 2) return 0
    const keyColumn = this.#desired.versions[0]?.target.inputs.key
    const key = keyColumn === undefined ? undefined : request.rows[0]?.[keyColumn]
    return key === undefined || key === null ? this.#setting.draw() : hashShare(textOf(key), `traffic:${this.name}:`)
  }

  #record(facts: Omit<Outcome, 'project' | 'environment'>): void {
    const { project, environment, log: policy } = this.#desired
    const { served } = facts
    this.#setting.journal.record(
      journalEntry({ project, environment, ...facts }, { policy, hash: this.#setting.logHash.of }),
    )
    const broke = this.#guard.count(
      served.digest,
      facts.outcome,
      () => this.#versions.someoneElseIsReady(served.digest),
      facts.at,
    )
    if (broke) this.#tookOut()
  }

  #tookOut(): void {
    this.#versions.settle()
    this.#setting.worker.log.warn(
      { endpoint: this.name, ...this.#guard.trip },
      'guard took the newcomer out of traffic',
    )
    this.#setting.tripped()
  }
}

/** The tensors as the rows that the checks and the log speak of. */
function inputRows(version: VersionSlot | undefined, tensors: readonly Tensor[]): InputRows {
  const facts = version?.facts ?? noFacts
  const binding = bindInputs(facts, version ? withoutKey(version.served, tensors) : tensors)
  if ('problem' in binding || (binding.layout !== 'matrix' && binding.layout !== 'columns'))
    return { named: true, rows: rowsOfTensors(tensors) }
  const rows = rowsOfTensors(tensors, Number.POSITIVE_INFINITY)
  if (binding.layout === 'columns') return { named: true, rows }
  const matrix = binding.tensors[0]!.name
  return {
    named: true,
    rows: rows.map((row) => {
      const cells = row[matrix] as unknown[]
      return Object.fromEntries(facts.inputs.map(({ name }, at) => [name, cells[at]]))
    }),
  }
}

/** The key tells whom a row is of; the model is not asked for it, unless it is one of its columns. */
function withoutKey({ inputs: { key, columns } }: ServedVersion, tensors: readonly Tensor[]): Tensor[] {
  const isOwn = columns.some(({ name }) => name === key)
  return tensors.filter(({ name }) => isOwn || key === undefined || name !== key)
}

function outputsOf(tensors: readonly Tensor[]): Buffer {
  const rows = rowsOfTensors(tensors)
  const predictions = tensors.length === 1 ? rows.map((row) => row[tensors[0]!.name]) : rows
  return Buffer.from(JSON.stringify({ predictions }))
}

/** Where a model has no signature, MLflow cannot drop the key, which a fitted model does not know. */
const droppedColumns = (served: ServedVersion): string[] =>
  served.inputs.columns.length === 0 && served.inputs.key !== undefined ? [served.inputs.key] : []

/** @throws ScoringError with the id of the prediction, which was made and written down */
async function explainedBy<Value>(
  explain: Explain<Value> | undefined,
  { id, value }: { id: PredictionId; value: Value },
): Promise<Value> {
  try {
    return explain ? await explain(value) : value
  } catch (error) {
    throw error instanceof Error ? Object.assign(error, { predictionId: id }) : error
  }
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000
