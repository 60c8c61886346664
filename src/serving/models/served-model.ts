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

/** What computes a model: `changed` is to be called at each change of its state. */
type Source = {
  begin: (changed: () => void) => VersionBackend
  /** Requests that it computes at once. */
  computing: number
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

/** One model under one name. */
export class ServedModel implements ServedName {
  readonly name: string
  readonly version: string
  readonly stats = new InferenceStats()
  readonly #setting: Setting
  readonly #admission: Admission
  #source: Source
  #backend: VersionBackend | undefined

  constructor(setting: Setting) {
    this.name = setting.name
    this.version = setting.version
    this.#setting = setting
    this.#source = setting
    this.#admission = new Admission({
      now: setting.now,
      limits: () => setting.admission,
      computing: () => this.#source.computing,
      isReady: () => this.state === 'ready',
    })
  }

  get facts(): ModelFacts {
    return this.#backend?.facts ?? noFacts
  }

  get state(): BackendState | 'unloaded' {
    return this.#backend?.state ?? 'unloaded'
  }

  get reason(): string | undefined {
    return this.#backend ? this.#backend.reason : 'It was unloaded.'
  }

  load(): void {
    if (this.#backend) return
    this.#backend = this.#source.begin(this.#setting.changed)
    this.#backend.start()
  }

  /**
   * Another source computes it once it is ready: no question meets a gap, and what the former has begun it finishes.
   * @returns why not, where it does not become ready: then nothing has changed
   */
  async exchange(source: Source): Promise<string | undefined> {
    const { changed, drainMs } = this.#setting
    const coming = await this.#settled(source)
    if (coming.state === 'failed') {
      await coming.drainAndStop(0)
      return coming.reason ?? 'It was stopped while it loaded.'
    }
    this.#source = source
    // Unloaded meanwhile: the next load takes the new one.
    const former = this.#backend ?? coming
    if (former !== coming) this.#backend = coming
    changed()
    await former.drainAndStop(drainMs)
    return undefined
  }

  /** Begins another beside the one that answers; until it is ready, or has failed. */
  #settled({ begin }: Source): Promise<VersionBackend> {
    return new Promise((resolve) => {
      const coming = begin(() => {
        if (coming.state === 'ready' || coming.state === 'failed') resolve(coming)
        this.#setting.changed()
      })
      coming.start()
    })
  }

  async unload(): Promise<void> {
    const leaving = this.#backend
    this.#backend = undefined
    await leaving?.drainAndStop(this.#setting.drainMs)
  }

  expire(now: number): void {
    this.#admission.expire(now)
    this.#backend?.expire(now)
  }

  async infer(request: OipRequest, signal?: AbortSignal): Promise<{ tensors: Tensor[] }> {
    const binding = bindInputs(this.facts, request.tensors)
    if ('problem' in binding) throw invalidInput(binding.problem)
    const { explain, parameters } = explainParameter(request.parameters, this.facts)
    const question = { ...binding, parameters }
    const answer = await this.#admission.run(() => this.#able().infer(question, signal), signal)
    // The protocol's word for an inference that failed is 400; most often it is the input that a model chokes on.
    if (!answer.ok) throw answer.kind === 'model' ? badRequest(modelFailure(answer)) : refusalError(answer)
    if (!explain) return { tensors: answer.tensors }
    const explained = await this.#setting.explainers.outputs(this.#able(), binding.tensors, signal)
    return { tensors: [...answer.tensors, ...explained] }
  }

  /** The answer as MLflow's scoring server gives it. @throws ScoringError with MLflow's status and code */
  async score(question: ScoreQuestion, signal?: AbortSignal): Promise<Buffer> {
    const answer = await this.#admission.run(() => this.#able().score(question, signal), signal)
    if (!answer.ok) throw mlflowError(answer)
    if (!asksForExplanations(question)) return answer.body
    return this.#setting.explainers.withAnswer(this.#able(), question, answer.body, signal)
  }

  /** @throws ScoringError 503 */
  #able(): VersionBackend {
    const backend = this.#backend
    if (backend && (backend.state === 'ready' || backend.isComing)) return backend
    throw unavailable(`Model "${this.name}" is ${this.state}${this.reason ? `: ${this.reason}` : '.'}`)
  }
}

const modelFailure = ({ message }: Refusal): string => `The model failed on this input: ${message}`

const noFacts: ModelFacts = { platform: '', signature: 'none', inputs: [], outputs: [], params: [] }

function mlflowError(refusal: Refusal): ScoringError {
  const { mlflow, message } = refusal
  return mlflow ? new ScoringError(mlflow.status, mlflow.errorCode, message) : refusalError(refusal)
}
