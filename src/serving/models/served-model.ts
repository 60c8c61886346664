import { Admission, type AdmissionLimits } from '../admission.ts'
import { bindInputs } from '../decide/bind-inputs.ts'
import { asksForExplanations, type Explainers, explainParameter } from '../explain/explainers.ts'
import type { ServedName } from '../protocols/model-repository.ts'
import type { OipRequest } from '../protocols/oip-request.ts'
import { badRequest, invalidInput, ScoringError, unavailable } from '../scoring-error.ts'
import type { Tensor } from '../tensor.ts'
import { InferenceStats } from './inference-stats.ts'
import type { BackendState, Refusal, ScoreQuestion } from './model-backend.ts'
import type { ModelFacts } from './model-facts.ts'
import type { VersionBackend } from './open-backend.ts'
import { refusalError } from './refusal-error.ts'

/** What computes a model. */
type Source = {
  /** One more process (or session) of the model; `changed` is to be called at each change of its state. */
  begin: (changed: () => void) => VersionBackend
  copies: number
}

type Setting = Source & {
  name: string
  version: string
  now: () => number
  admission: AdmissionLimits
  explainers: Explainers
  drainMs: number
  changed: () => void
}

/** One model under one name, carried by one or several equal backends. */
export class ServedModel implements ServedName {
  readonly name: string
  readonly version: string
  readonly stats = new InferenceStats()
  readonly #setting: Setting
  readonly #admission: Admission
  #source: Source
  #backends: VersionBackend[] = []

  constructor(setting: Setting) {
    this.name = setting.name
    this.version = setting.version
    this.#setting = setting
    this.#source = setting
    this.#admission = new Admission({
      now: setting.now,
      limits: () => setting.admission,
      computing: () => this.#source.copies,
      isReady: () => this.state === 'ready',
    })
  }

  get facts(): ModelFacts {
    return this.#backends[0]?.facts ?? noFacts
  }

  get state(): BackendState | 'unloaded' {
    if (this.#backends.length === 0) return 'unloaded'
    for (const state of ['ready', 'loading', 'restarting'] as const)
      if (this.#backends.some((one) => one.state === state)) return state
    return 'failed'
  }

  get reason(): string | undefined {
    return this.state === 'unloaded'
      ? 'It was unloaded.'
      : this.#backends.map((one) => one.reason).find((one) => one !== undefined)
  }

  load(): void {
    if (this.#backends.length > 0) return
    const { begin, copies } = this.#source
    this.#backends = Array.from({ length: copies }, () => begin(this.#setting.changed))
    for (const backend of this.#backends) backend.start()
  }

  /**
   * Others compute it once they are ready: no question meets a gap, and what the former ones have begun they finish.
   * @returns why not, where they do not become ready: then nothing has changed
   */
  async exchange(source: Source): Promise<string | undefined> {
    const { changed, drainMs } = this.#setting
    const coming = await this.#settled(source)
    const failed = coming.find(({ state }) => state === 'failed')
    if (failed) {
      await Promise.all(coming.map((one) => one.drainAndStop(0)))
      return failed.reason ?? 'It was stopped while it loaded.'
    }
    this.#source = source
    // Unloaded meanwhile: the next load takes the new ones.
    const former = this.#backends.length === 0 ? coming : this.#backends
    if (former !== coming) this.#backends = coming
    changed()
    await Promise.all(former.map((one) => one.drainAndStop(drainMs)))
    return undefined
  }

  /** Begins others beside those that answer; until they are all ready, or one has failed. */
  #settled({ begin, copies }: Source): Promise<VersionBackend[]> {
    return new Promise((resolve) => {
      const coming: VersionBackend[] = []
      const look = () => {
        const isReady = coming.length === copies && coming.every(({ state }) => state === 'ready')
        if (isReady || coming.some(({ state }) => state === 'failed')) resolve(coming)
      }
      for (let count = 0; count < copies; count++)
        coming.push(
          begin(() => {
            look()
            this.#setting.changed()
          }),
        )
      for (const backend of coming) backend.start()
    })
  }

  async unload(): Promise<void> {
    const leaving = this.#backends.splice(0)
    await Promise.all(leaving.map((one) => one.drainAndStop(this.#setting.drainMs)))
  }

  expire(now: number): void {
    this.#admission.expire(now)
    for (const backend of this.#backends) backend.expire(now)
  }

  async infer(request: OipRequest, signal?: AbortSignal): Promise<{ tensors: Tensor[] }> {
    const binding = bindInputs(this.facts, request.tensors)
    if ('problem' in binding) throw invalidInput(binding.problem)
    const { explain, parameters } = explainParameter(request.parameters, this.facts)
    const question = { ...binding, parameters }
    const answer = await this.#admission.run(() => this.#backend().infer(question, signal), signal)
    // The protocol's word for an inference that failed is 400; most often it is the input that a model chokes on.
    if (!answer.ok) throw answer.kind === 'model' ? badRequest(modelFailure(answer)) : refusalError(answer)
    if (!explain) return { tensors: answer.tensors }
    const explained = await this.#setting.explainers.outputs(this.#backend(), binding.tensors, signal)
    return { tensors: [...answer.tensors, ...explained] }
  }

  /** The answer as MLflow's scoring server gives it. @throws ScoringError with MLflow's status and code */
  async score(question: ScoreQuestion, signal?: AbortSignal): Promise<Buffer> {
    const answer = await this.#admission.run(() => this.#backend().score(question, signal), signal)
    if (!answer.ok) throw mlflowError(answer)
    if (!asksForExplanations(question)) return answer.body
    return this.#setting.explainers.withAnswer(this.#backend(), question, answer.body, signal)
  }

  /** @throws ScoringError 503 */
  #backend(): VersionBackend {
    let best: VersionBackend | undefined
    for (const one of this.#backends)
      if (one.state === 'ready' && (best === undefined || one.load < best.load)) best = one
    best ??= this.#backends.find((one) => one.isComing)
    if (best) return best
    throw unavailable(`Model "${this.name}" is ${this.state}${this.reason ? `: ${this.reason}` : '.'}`)
  }
}

const modelFailure = ({ message }: Refusal): string => `The model failed on this input: ${message}`

const noFacts: ModelFacts = { platform: '', signature: 'none', inputs: [], outputs: [], params: [] }

function mlflowError(refusal: Refusal): ScoringError {
  const { mlflow, message } = refusal
  return mlflow ? new ScoringError(mlflow.status, mlflow.errorCode, message) : refusalError(refusal)
}
