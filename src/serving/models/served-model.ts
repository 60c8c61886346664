import { bindInputs } from '../decide/bind-inputs.ts'
import type { ServedName } from '../protocols/model-repository.ts'
import type { OipRequest } from '../protocols/oip-request.ts'
import { badRequest, invalidInput, ScoringError, unavailable } from '../scoring-error.ts'
import type { Tensor } from '../tensor.ts'
import { InferenceStats } from './inference-stats.ts'
import type { BackendState, ModelBackend, Refusal, ScoreQuestion } from './model-backend.ts'
import type { ModelFacts } from './model-facts.ts'
import { refusalError } from './refusal-error.ts'

type Setting = {
  name: string
  version: string
  now: () => number
  /** One more process (or session) of the model; `changed` is to be called at each change of its state. */
  begin: (changed: () => void) => ModelBackend
  copies: number
  drainMs: number
  changed: () => void
}

/** One model under one name, carried by one or several equal backends. */
export class ServedModel implements ServedName {
  readonly name: string
  readonly version: string
  readonly stats = new InferenceStats()
  readonly #setting: Setting
  #backends: ModelBackend[] = []

  constructor(setting: Setting) {
    this.name = setting.name
    this.version = setting.version
    this.#setting = setting
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
    this.#backends = Array.from({ length: this.#setting.copies }, () => this.#setting.begin(this.#setting.changed))
    for (const backend of this.#backends) backend.start()
  }

  async unload(): Promise<void> {
    const leaving = this.#backends.splice(0)
    await Promise.all(leaving.map((one) => one.drainAndStop(this.#setting.drainMs)))
  }

  expire(now: number): void {
    for (const backend of this.#backends) backend.expire(now)
  }

  async infer(request: OipRequest, signal?: AbortSignal): Promise<{ tensors: Tensor[] }> {
    const binding = bindInputs(this.facts, request.tensors)
    if ('problem' in binding) throw invalidInput(binding.problem)
    const answer = await this.#backend().infer({ ...binding, parameters: request.parameters }, signal)
    // The protocol's word for an inference that failed is 400; most often it is the input that a model chokes on.
    if (!answer.ok) throw answer.kind === 'model' ? badRequest(modelFailure(answer)) : refusalError(answer)
    return { tensors: answer.tensors }
  }

  /** The answer as MLflow's scoring server gives it. @throws ScoringError with MLflow's status and code */
  async score(question: ScoreQuestion, signal?: AbortSignal): Promise<Buffer> {
    const answer = await this.#backend().score(question, signal)
    if (answer.ok) return answer.body
    throw mlflowError(answer)
  }

  #backend(): ModelBackend {
    let best: ModelBackend | undefined
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
  const { kind, mlflow, message } = refusal
  if (kind === 'model' && !mlflow)
    // MLflow says so of everything that a model's code raises.
    return new ScoringError(
      400,
      'BAD_REQUEST',
      `Encountered an unexpected error while evaluating the model. Verify that the input is compatible with the model for inference. ${message}`,
    )
  return mlflow ? new ScoringError(mlflow.status, mlflow.errorCode, message) : refusalError(refusal)
}
