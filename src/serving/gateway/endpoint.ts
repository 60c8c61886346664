import { randomBytes } from 'node:crypto'
import type { Digest } from '../../kernel/digest.ts'
import type { PredictionId } from '../../kernel/ids.ts'
import { hashShare } from '../../math/hash-share.ts'
import { bindInputs } from '../decide/bind-inputs.ts'
import { chooseVersion, effectiveWeights, isReached, type TrafficFacts, type Weighted } from '../decide/traffic.ts'
import type { EndpointDesired, GatewayObserved, PredictionRecord, ServedVersion } from '../gateway-state.ts'
import { type InputRows, inputFailure } from '../input-failure.ts'
import { InferenceStats } from '../models/inference-stats.ts'
import type { Refusal } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { type BackendSetting, openBackend, type VersionBackend } from '../models/open-backend.ts'
import { refusalError } from '../models/refusal-error.ts'
import { rowsOfTensors } from '../models/tensor-rows.ts'
import { predictionId, randomBytesNeeded } from '../prediction-id.ts'
import type { Inferred, ServedName } from '../protocols/model-repository.ts'
import type { OipRequest } from '../protocols/oip-request.ts'
import { invalidInput, unavailable } from '../scoring-error.ts'
import type { Tensor } from '../tensor.ts'
import { GuardState, type Trip } from './guard-state.ts'
import type { JournalWriter } from './journal-writer.ts'
import type { ScoringRequest } from './scoring-request.ts'

export type EndpointSetting = {
  worker: Omit<BackendSetting, 'changed'>
  journal: JournalWriter
  /** Uniform in [0, 1). */
  draw: () => number
  drainMs: number
  tripped: () => void
}

type Ask<Value> = (backend: VersionBackend) => Promise<{ ok: true; value: Value; outputs: () => Buffer } | Refusal>

export type Prediction = { id: PredictionId; body: Buffer }

/** One deployment's traffic: which version answers, whether its input may, what is written down of it, and the guard. */
export class Endpoint {
  readonly name: string
  readonly #setting: EndpointSetting
  readonly #guard: GuardState
  readonly #workers = new Map<Digest, VersionBackend>()
  readonly #stats = new InferenceStats()
  readonly #leaving = new Set<Promise<void>>()
  #desired: EndpointDesired
  #current: Weighted[] = []
  #effective: Weighted[] = []

  constructor(desired: EndpointDesired, setting: EndpointSetting, trip: Trip | undefined) {
    this.name = `${desired.project}/${desired.environment}`
    this.#setting = setting
    this.#guard = new GuardState(trip)
    this.#desired = desired
    this.apply(desired)
  }

  /** New versions are begun first; the old ones go on until every weighted one is ready. */
  apply(desired: EndpointDesired): void {
    this.#desired = desired
    this.#guard.apply(desired)
    for (const { target } of desired.versions) {
      const known = this.#workers.get(target.digest)
      // The digest is the content: a worker that has it serves on, wherever the next one will find it.
      if (known && (known.state === 'ready' || isSamePlace(known.served, target))) known.served = target
      else this.#begin(target, known)
    }
    this.#settle()
  }

  /** @throws ScoringError what the client is told; its `predictionId` leads to the record where there is one */
  async predict(request: ScoringRequest, signal?: AbortSignal): Promise<Prediction> {
    const { id, value } = await this.#answered(request, async (backend) => {
      const { form, body } = request
      const answer = await backend.score({ form, body, drop: droppedColumns(backend.served) }, signal)
      return answer.ok ? { ok: true, value: answer.body, outputs: () => answer.body } : answer
    })
    return { id, body: value }
  }

  /** The same in the Open Inference Protocol. @throws ScoringError */
  async infer(request: OipRequest, signal?: AbortSignal): Promise<Inferred> {
    const { tensors, parameters } = request
    const { id, version, value } = await this.#answered(inputRows(this.#anyVersion, tensors), async (backend) => {
      const binding = bindInputs(backend.facts, withoutKey(backend.served, tensors))
      if ('problem' in binding) return { ok: false, kind: 'schema', message: binding.problem }
      const answer = await backend.infer({ ...binding, parameters }, signal)
      return answer.ok ? { ok: true, value: answer.tensors, outputs: () => outputsOf(answer.tensors) } : answer
    })
    return { tensors: value, id, version: String(version) }
  }

  /** As a model of the Open Inference Protocol: of several versions that share the traffic, the one with the most of it speaks. */
  get served(): ServedName {
    const backend = this.#anyVersion
    return {
      name: this.#desired.model,
      version: String(backend?.served.version ?? ''),
      facts: backend?.facts ?? noFacts,
      state: backend?.state ?? 'unloaded',
      reason: backend?.reason,
      stats: this.#stats,
      infer: (request, signal) => this.infer(request, signal),
    }
  }

  get #anyVersion(): VersionBackend | undefined {
    const [most] = this.#effective.toSorted((a, b) => b.weight - a.weight)
    return (most && this.#workers.get(most.digest)) ?? this.#comingWorker() ?? [...this.#workers.values()][0]
  }

  /** Chooses a version, holds the input against its contract, asks, and writes down what came of it. */
  async #answered<Value>(
    request: InputRows,
    ask: Ask<Value>,
  ): Promise<{ id: PredictionId; version: number; value: Value }> {
    const started = performance.now()
    const worker = this.#choose(request)
    const { served } = worker
    const at = this.#setting.worker.clock.now()
    const id = predictionId({ at, version: served.version, digest: served.digest }, randomBytes(randomBytesNeeded))
    const finish = (outcome: PredictionRecord['outcome'], more: { error?: string; outputs?: Buffer }) =>
      this.#record({ served, id, at, latencyMs: round(performance.now() - started), outcome, request, ...more })

    const refused = inputFailure(served.inputs, request)
    if (refused !== undefined) {
      finish('input refused', { error: refused })
      throw Object.assign(invalidInput(refused), { predictionId: id })
    }
    const answer = await ask(worker)
    if (answer.ok) {
      finish('answered', { outputs: answer.outputs() })
      return { id, version: served.version, value: answer.value }
    }
    finish(answer.kind === 'schema' || answer.kind === 'request' ? 'input refused' : 'failed', {
      error: answer.message,
    })
    throw Object.assign(refusalError(answer), { predictionId: id })
  }

  expire(now: number): void {
    for (const worker of this.#workers.values()) worker.expire(now)
  }

  observed(): GatewayObserved['endpoints'][number] {
    const weightOf = new Map(this.#effective.map((one) => [one.digest, one.weight]))
    return {
      project: this.#desired.project,
      environment: this.#desired.environment,
      versions: [...this.#workers.values()].map((worker) => ({
        digest: worker.served.digest,
        version: worker.served.version,
        weight: weightOf.get(worker.served.digest) ?? 0,
        state: worker.state,
        ...(worker.state !== 'ready' && worker.reason ? { reason: worker.reason } : {}),
        ...(worker.pid === undefined ? {} : { workerPid: worker.pid }),
      })),
      ...(this.#guard.trip ? { guardTripped: this.#guard.trip } : {}),
    }
  }

  get trip(): Trip | undefined {
    return this.#guard.trip
  }

  get isServing(): boolean {
    return this.#effective.length > 0 || this.#desired.versions.length === 0
  }

  async stop(patienceMs: number): Promise<void> {
    await Promise.all([
      ...[...this.#workers.values()].map((worker) => worker.drainAndStop(patienceMs)),
      ...this.#leaving,
    ])
  }

  #begin(target: ServedVersion, replaced: VersionBackend | undefined): void {
    if (replaced) this.#retire(replaced)
    const worker = openBackend(target, { ...this.#setting.worker, changed: () => this.#settle() })
    this.#workers.set(target.digest, worker)
    worker.start()
  }

  /** Brings weights and workers to what is possible now; called at each change of either. */
  #settle(): void {
    const wanted = this.#desired.versions.map(({ target, weight }) => ({ digest: target.digest, weight }))
    if (isReached(this.#facts(wanted))) {
      this.#current = wanted
      for (const [digest, worker] of this.#workers)
        if (!wanted.some((one) => one.digest === digest)) {
          this.#workers.delete(digest)
          this.#retire(worker)
        }
    } else this.#retireNeverServed(wanted)
    this.#effective = effectiveWeights(this.#facts(wanted))
  }

  /** A version of an earlier wish that was never reached serves nobody. */
  #retireNeverServed(wanted: Weighted[]): void {
    for (const [digest, worker] of this.#workers)
      if (![...wanted, ...this.#current].some((one) => one.digest === digest)) {
        this.#workers.delete(digest)
        this.#retire(worker)
      }
  }

  #retire(worker: VersionBackend): void {
    const leaving = worker.drainAndStop(this.#setting.drainMs).finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
  }

  #facts(wanted: Weighted[]): TrafficFacts {
    const ready = new Set([...this.#workers].filter(([, worker]) => worker.state === 'ready').map(([digest]) => digest))
    return { current: this.#current, wanted, ready, ...(this.#guard.trip ? { barred: this.#guard.trip.newcomer } : {}) }
  }

  #choose(request: InputRows): VersionBackend {
    const chosen = chooseVersion(this.#effective, this.#placeOf(request))
    const worker = chosen ? this.#workers.get(chosen) : this.#comingWorker()
    if (worker) return worker
    const reasons = [...this.#workers.values()].map(
      (one) => `version ${one.served.version} is ${one.state}${one.reason ? ` (${one.reason})` : ''}`,
    )
    throw unavailable(`No version of ${this.name} can answer: ${reasons.join('; ') || 'none is deployed'}.`)
  }

  /** While nobody is ready, requests wait for the version with the largest share that will be. */
  #comingWorker(): VersionBackend | undefined {
    const byWeight = [
      ...this.#current,
      ...this.#desired.versions.map(({ target, weight }) => ({ digest: target.digest, weight })),
    ]
    return byWeight
      .filter((one) => one.weight > 0 && one.digest !== this.#guard.trip?.newcomer)
      .sort((a, b) => b.weight - a.weight)
      .map((one) => this.#workers.get(one.digest))
      .find((worker) => worker?.isComing)
  }

  /** A request with a key always falls to the same place, so that a subject meets one version; others are drawn. */
  #placeOf(request: InputRows): number {
    if (this.#effective.length < 2) return 0
    const keyColumn = this.#desired.versions[0]?.target.inputs.key
    const key = keyColumn === undefined ? undefined : request.rows[0]?.[keyColumn]
    return key === undefined || key === null ? this.#setting.draw() : hashShare(String(key), `traffic:${this.name}:`)
  }

  #record(facts: {
    served: ServedVersion
    id: string
    at: number
    latencyMs: number
    outcome: PredictionRecord['outcome']
    request: InputRows
    error?: string
    outputs?: Buffer
  }): void {
    const { served, request, outputs, ...rest } = facts
    const keyColumn = served.inputs.key
    const { project, environment } = this.#desired
    const record: PredictionRecord = {
      ...rest,
      project,
      environment,
      model: served.model,
      version: served.version,
      digest: served.digest,
      rows: request.rows.map((input) => {
        const key = keyColumn === undefined ? undefined : input[keyColumn]
        return key === undefined || key === null ? { input } : { key: String(key), input }
      }),
    }
    this.#setting.journal.record(outputs ? { record, outputs } : { record })
    const broke = this.#guard.count(served.digest, facts.outcome, () => this.#someoneElse(served.digest), facts.at)
    if (!broke) return
    this.#settle()
    this.#setting.worker.log.warn(
      { endpoint: this.name, ...this.#guard.trip },
      'guard took the newcomer out of traffic',
    )
    this.#setting.tripped()
  }

  #someoneElse(digest: Digest): boolean {
    return [...this.#workers.values()].some((worker) => worker.served.digest !== digest && worker.state === 'ready')
  }
}

const noFacts: ModelFacts = { platform: '', signature: 'none', inputs: [], outputs: [], params: [] }

/** The tensors as the rows that the checks and the log speak of. */
function inputRows(version: VersionBackend | undefined, tensors: readonly Tensor[]): InputRows {
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

const isSamePlace = (a: ServedVersion, b: ServedVersion): boolean =>
  a.modelPath === b.modelPath && a.pythonPath === b.pythonPath

const round = (ms: number): number => Math.round(ms * 1000) / 1000
