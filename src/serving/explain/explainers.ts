import { bindInputs } from '../decide/bind-inputs.ts'
import type { ModelBackend, ScoreQuestion } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { badRequest, ScoringError, unavailable } from '../scoring-error.ts'
import type { Parameters, Tensor } from '../tensor.ts'
import { Explainer } from './explainer.ts'
import { type Explanation, explanationTensors, withExplanations } from './explanation.ts'
import { Pace } from './pace.ts'

type ExplainLimits = {
  /** Rows of one request. */
  rows: number
  /** How long one explanation may take. */
  ms: number
}

const usualLimits: ExplainLimits = { rows: 1_000, ms: 30_000 }

/** What is explained: whatever answers for a model, and the folder that it was opened from. */
export type Explained = Pick<ModelBackend, 'facts' | 'infer'> & { served: { modelPath: string } }

const mostWaiting = 32

/**
 * The explanations that are asked of this process: one at a time and in slices, so that predictions go on beside them.
 * What is known of a model is forgotten with its backend.
 */
export class Explainers {
  readonly #limits: ExplainLimits
  readonly #known = new WeakMap<Explained, Explainer>()
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(limits: Partial<ExplainLimits> = {}) {
    this.#limits = { ...usualLimits, ...limits }
  }

  /** As further outputs of the Open Inference Protocol. @param tensors those of the request @throws ScoringError */
  async outputs(backend: Explained, tensors: readonly Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    const binding = bindInputs(backend.facts, tensors)
    if ('problem' in binding) throw badRequest(binding.problem)
    return explanationTensors(
      await this.#inLine((pace) => this.#explain(backend, binding.tensors, pace, signal), signal),
    )
  }

  /** Put into the answer of MLflow's protocol. @throws ScoringError */
  async withAnswer(backend: Explained, question: ScoreQuestion, answer: Buffer, signal?: AbortSignal): Promise<Buffer> {
    const explanation = await this.#inLine(async (pace) => {
      const tensors = await this.#explainer(backend).tensorsOf(question, backend.facts)
      return this.#explain(backend, tensors, pace, signal)
    }, signal)
    return withExplanations(answer, explanation)
  }

  #explain(
    backend: Explained,
    tensors: readonly Tensor[],
    pace: Pace,
    signal: AbortSignal | undefined,
  ): Promise<Explanation> {
    const rows = tensors[0]?.shape[0] ?? 0
    if (rows > this.#limits.rows)
      throw new ScoringError(
        413,
        'BAD_REQUEST',
        `The request asks to explain ${rows} rows; up to ${this.#limits.rows} are explained at once.`,
      )
    const { facts } = backend
    return this.#explainer(backend).explain(tensors, {
      facts,
      pace,
      ask: async (asked) => {
        const binding = bindInputs(facts, asked)
        if ('problem' in binding) return { ok: false, kind: 'schema', message: binding.problem }
        return backend.infer({ ...binding, parameters: {}, scores: true }, signal)
      },
    })
  }

  #explainer(backend: Explained): Explainer {
    const known = this.#known.get(backend) ?? new Explainer(backend.served.modelPath)
    this.#known.set(backend, known)
    return known
  }

  async #inLine(work: (pace: Pace) => Promise<Explanation>, signal: AbortSignal | undefined): Promise<Explanation> {
    if (this.#waiting >= mostWaiting) throw unavailable(`${this.#waiting} explanations wait already.`)
    this.#waiting++
    const turn = this.#last.then(() => work(new Pace(this.#limits.ms, signal)))
    this.#last = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      this.#waiting--
    }
  }
}

/** Whether a request of the Open Inference Protocol asks for explanations, and its parameters without that; a param of that name is the model's own. */
export function explainParameter(
  parameters: Parameters,
  { params }: ModelFacts,
): { explain: boolean; parameters: Parameters } {
  if (parameters.explain === undefined || params.some(({ name }) => name === 'explain'))
    return { explain: false, parameters }
  const { explain, ...rest } = parameters
  if (typeof explain !== 'boolean') throw badRequest('The parameter "explain" must be true or false.')
  return { explain, parameters: rest }
}

const llmForms = ['messages', 'prompt', 'input']

/** Whether a body of MLflow's protocol asks for explanations, by a key `explain` beside its data. */
export function asksForExplanations({ form, body }: Pick<ScoreQuestion, 'form' | 'body'>): boolean {
  if (form !== 'json' || !body.includes('"explain"')) return false
  let written: unknown
  try {
    written = JSON.parse(body.toString('utf8'))
  } catch {
    // Whoever reads the data says so.
    return false
  }
  if (typeof written !== 'object' || written === null || !('explain' in written)) return false
  // What chat models are given is theirs, whole.
  if (llmForms.some((form) => form in written)) return false
  if (typeof written.explain !== 'boolean') throw badRequest('"explain" must be true or false.')
  return written.explain
}
