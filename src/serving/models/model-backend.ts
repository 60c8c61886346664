import type { Layout } from '../decide/bind-inputs.ts'
import type { NumberRows } from '../decide/number-rows.ts'
import type { Parameters, Tensor } from '../tensor.ts'
import type { ModelFacts } from './model-facts.ts'

/** A request of MLflow's protocol. */
export type ScoreQuestion = {
  /** The client's own bytes, so that no number loses a digit on its way to the model. */
  body: Buffer
  form: 'json' | 'csv' | 'parquet'
  /** What a body of JSON says, where the door has read it already. */
  json?: Record<string, unknown>
  /** Where it is rows of numbers alone, and the door has read them. */
  numbers?: NumberRows
  /** Columns that the model does not know. */
  drop: string[]
}

/** A request of the Open Inference Protocol, its tensors laid out by `bindInputs`. */
export type InferQuestion = {
  layout: Layout
  tensors: Tensor[]
  parameters: Parameters
  /** Asked for an explanation: probabilities rather than labels, where the model has them. */
  scores?: boolean
}

export type Refusal = {
  ok: false
  /** request, schema: the client's fault; model: its code failed; the others: it was not asked, or did not answer. */
  kind: 'request' | 'schema' | 'model' | 'died' | 'timeout' | 'unavailable' | 'cancelled'
  message: string
  /** How MLflow's own server would say it, where it says it. */
  mlflow?: { status: number; errorCode: string }
}

/** The body is the whole answer, as JSON. */
export type ScoreAnswer = { ok: true; body: Buffer } | Refusal
export type InferAnswer = { ok: true; tensors: Tensor[] } | Refusal

export type BackendState = 'loading' | 'ready' | 'failed' | 'restarting'

/** In bytes: of all its processes together, and of one that is loaded. */
export type ModelMemory = { bytes: number; each: number }

/** One loaded model: ONNX Runtime in this process, or Python processes. Doors know no more of it. */
export type ModelBackend = {
  /** What it takes and gives; a graph of ONNX says so itself once it is loaded. */
  readonly facts: ModelFacts
  readonly state: BackendState
  /** Why it is not ready. */
  readonly reason: string | undefined
  /** Not ready, but a question may be left here: it will be soon. */
  readonly isComing: boolean
  /** Questions that wait or are computed. */
  readonly load: number
  /** Loads and warms up; told of by `changed`. */
  start(): void
  /** Both never reject, and always answer in time: within the limits of waiting and of computing. */
  score(question: ScoreQuestion, signal?: AbortSignal): Promise<ScoreAnswer>
  infer(question: InferQuestion, signal?: AbortSignal): Promise<InferAnswer>
  /** Called every fraction of a second: gives up what waited or computed too long. */
  expire(now: number): void
  /** Ends it once nothing waits, or after `patienceMs`. */
  drainAndStop(patienceMs: number): Promise<void>
}
