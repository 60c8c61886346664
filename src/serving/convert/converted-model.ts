import { graphFeeds, type Refused, refusedValue } from '../decide/graph-feeds.ts'
import type { ServedVersion } from '../gateway-state.ts'
import type {
  BackendState,
  InferAnswer,
  InferQuestion,
  ModelBackend,
  ScoreAnswer,
  ScoreQuestion,
} from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import type { OnnxModel } from '../models/onnx-model.ts'
import { scoreOnnx } from '../models/onnx-scoring.ts'
import { bytesElements, type Tensor } from '../tensor.ts'
import type { Conversion } from './conversion.ts'

/**
 * A model that was converted to ONNX, behind the signature of its original: whoever asks cannot tell them apart by what they take, by the
 * form of what they answer, or by what they refuse.
 */
export class ConvertedModel implements ModelBackend {
  readonly pid = undefined
  readonly #graph: OnnxModel
  readonly #signature: ModelFacts
  readonly #answer: string
  readonly #refused: Refused

  constructor(graph: OnnxModel, signature: ModelFacts, { answer, refuses, categories }: Conversion) {
    this.#graph = graph
    this.#signature = signature
    this.#answer = answer
    this.#refused = {
      missing: new Set(refuses.missing),
      infinite: new Set(refuses.infinite),
      large: new Set(refuses.large),
      empty: refuses.empty,
      categories: new Map(Object.entries(categories).map(([name, known]) => [name, new Set(known)])),
    }
  }

  get facts(): ModelFacts {
    const { outputs, platform } = this.#graph.facts
    // Where the answer is all that it gives, the signature has said what that is.
    const isAlike = outputs.length === 1 && this.#signature.outputs.length === 1
    return { ...this.#signature, platform, outputs: isAlike ? this.#signature.outputs : outputs }
  }

  get served(): ServedVersion {
    return this.#graph.served
  }

  set served(served: ServedVersion) {
    this.#graph.served = served
  }

  get state(): BackendState {
    return this.#graph.state
  }

  get reason(): string | undefined {
    return this.#graph.reason
  }

  get isComing(): boolean {
    return this.#graph.isComing
  }

  get graphBytes(): number | undefined {
    return this.#graph.graphBytes
  }

  get load(): number {
    return this.#graph.load
  }

  start(): void {
    this.#graph.start()
  }

  expire(now: number): void {
    this.#graph.expire(now)
  }

  drainAndStop(patienceMs: number): Promise<void> {
    return this.#graph.drainAndStop(patienceMs)
  }

  async infer({ tensors }: InferQuestion, signal?: AbortSignal): Promise<InferAnswer> {
    // Until the graph is loaded its inputs are not known; who asks so early waits there.
    if (this.#graph.state !== 'ready') return this.#graph.infer({ layout: 'tensors', tensors, parameters: {} }, signal)
    const feeds = graphFeeds(tensors, this.#graph.facts.inputs, this.#columns)
    if ('problem' in feeds) return { ok: false, kind: 'schema', message: feeds.problem }
    return this.#ask(feeds.tensors, signal)
  }

  score(question: ScoreQuestion, signal?: AbortSignal): Promise<ScoreAnswer> {
    return scoreOnnx(question, {
      graph: this.#graph.facts,
      signature: this.#signature,
      answer: this.#answer,
      infer: (tensors) => this.#ask(tensors, signal),
    })
  }

  #ask(tensors: Tensor[], signal: AbortSignal | undefined): Promise<InferAnswer> {
    const problem = refusedValue(tensors, this.#refused, this.#columns, textsOf)
    if (problem) return Promise.resolve({ ok: false, kind: 'request', message: problem })
    return this.#graph.infer({ layout: 'tensors', tensors, parameters: {} }, signal)
  }

  get #columns(): ModelFacts['inputs'] {
    return this.#signature.signature === 'columns' ? this.#signature.inputs : []
  }
}

const textsOf = ({ bytes }: Tensor): string[] => (bytesElements(bytes) ?? []).map((element) => element.toString('utf8'))
