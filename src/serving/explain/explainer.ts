import { join } from 'node:path'
import { readConversion } from '../convert/conversion.ts'
import { graphFeeds } from '../decide/graph-feeds.ts'
import { type MlmodelFile, readMlmodel } from '../models/mlmodel-file.ts'
import type { ScoreQuestion } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { feedsOf } from '../models/onnx-scoring.ts'
import { readScoringData, type ScoringData } from '../models/scoring-data.ts'
import { bytesFromJson } from '../models/tensor-json.ts'
import { invalidInput } from '../scoring-error.ts'
import { readInputExample } from '../serve/input-example.ts'
import { bytesElements, joinedElements, type Tensor } from '../tensor.ts'
import { type AskModel, explainByAsking } from './asked-explanation.ts'
import { ExplainedGraph } from './explained-graph.ts'
import type { Explanation } from './explanation.ts'
import { FeatureTable } from './feature-table.ts'
import type { Pace } from './pace.ts'

/** Rows of the input example that stand for what is usual. More would cost each explanation as much more. */
const mostBackgroundRows = 50
const largestExampleBytes = 5_000_000

type Question = { facts: ModelFacts; ask: AskModel; pace: Pace }

/** Explains the predictions of one model folder, in the most exact way that its form allows. */
export class Explainer {
  readonly #folder: string
  readonly #mlmodel: MlmodelFile
  /** Of a converted model, as `scoreOnnx` knows it. */
  readonly #answer: string | undefined
  #opened: Promise<{ background: readonly Tensor[] | undefined; graph: ExplainedGraph | undefined }> | undefined

  /** @throws AppError where the folder is no model's */
  constructor(folder: string) {
    this.#folder = folder
    this.#mlmodel = readMlmodel(folder)
    this.#answer = readConversion(folder)?.answer
  }

  /** @param tensors bound to what the model takes @throws ScoringError */
  async explain(tensors: readonly Tensor[], { facts, ask, pace }: Question): Promise<Explanation> {
    const laidOut = inColumns(tensors, facts)
    const { background, graph } = await this.#open(facts, laidOut)
    if (graph) return graph.explain(laidOut, pace)
    if (!background)
      throw invalidInput(
        'This model can only be explained against rows that show what is usual, and it was saved without an input_example. Save it with one (mlflow: input_example=…).',
      )
    const table = new FeatureTable(laidOut, this.#columns)
    const usual = new FeatureTable(background, this.#columns)
    if (!table.isLike(usual))
      throw invalidInput(
        `The request's features (${shortList(table.names)}) are not those of the model's input example (${shortList(usual.names)}).`,
      )
    return explainByAsking(table, usual, { ask, outputs: facts.outputs, pace })
  }

  /** A request of MLflow's protocol, in JSON, as tensors. @throws ScoringError 400 */
  async tensorsOf(question: Pick<ScoreQuestion, 'body' | 'form' | 'drop'>, facts: ModelFacts): Promise<Tensor[]> {
    try {
      const data = await readScoringData(question)
      if (facts.signature === 'none') return freeTensors(data, question.drop)
      const answer = this.#answer === undefined ? {} : { answer: this.#answer }
      return feedsOf(data, question.drop, { graph: facts, signature: this.#mlmodel.facts, ...answer }).tensors
    } catch (error) {
      throw invalidInput(error instanceof Error ? error.message : String(error))
    }
  }

  get #columns(): ModelFacts['inputs'] {
    return this.#mlmodel.facts.signature === 'columns' ? this.#mlmodel.facts.inputs : []
  }

  /** Once, at the first request: most models are never asked to explain themselves. */
  #open(facts: ModelFacts, tensors: readonly Tensor[]) {
    this.#opened ??= this.#read(facts, tensors).catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  async #read(facts: ModelFacts, tensors: readonly Tensor[]) {
    const background = await this.#background(facts)
    const { onnxFile } = this.#mlmodel
    // A graph that cannot be looked into is asked; the answer says by which way it was explained.
    const graph = onnxFile
      ? await ExplainedGraph.open(join(this.#folder, onnxFile), {
          columns: this.#columns,
          example: background ?? tensors,
          background,
        }).catch(() => undefined)
      : undefined
    return { background, graph }
  }

  async #background(facts: ModelFacts): Promise<Tensor[] | undefined> {
    const example = readInputExample(this.#folder, this.#mlmodel, largestExampleBytes)
    if (example === undefined) return undefined
    const body = Buffer.from(JSON.stringify(example))
    const tensors = await this.tensorsOf({ body, form: 'json', drop: [] }, facts)
    return firstRows(inColumns(tensors, facts), mostBackgroundRows)
  }
}

/** Columns as columns, in the signature's datatypes, whether they came so or as one matrix. */
function inColumns(tensors: readonly Tensor[], facts: ModelFacts): Tensor[] {
  if (facts.signature !== 'columns') return [...tensors]
  const feeds = graphFeeds(tensors, facts.inputs, facts.inputs)
  if ('problem' in feeds) throw invalidInput(feeds.problem)
  return feeds.tensors
}

/** For a model without a signature: columns of numbers or texts, or one array. */
function freeTensors(data: ScoringData, drop: readonly string[]): Tensor[] {
  if (data.kind === 'list') return [tensorOf('x', data.values)]
  if (data.kind === 'named') return Object.entries(data.values).map(([name, values]) => tensorOf(name, values))
  return data.columns.flatMap((name, at) => {
    if (drop.includes(name)) return []
    return [
      tensorOf(
        name,
        data.rows.map((row) => row[at]),
      ),
    ]
  })
}

function tensorOf(name: string, nested: unknown): Tensor {
  const shape: number[] = []
  let level = nested
  for (; Array.isArray(level) && shape.length < 33; level = level[0]) shape.push(level.length)
  const what = { name, datatype: typeof level === 'string' ? ('BYTES' as const) : ('FP64' as const), shape }
  return { ...what, bytes: bytesFromJson(what, nested) }
}

function firstRows(tensors: readonly Tensor[], most: number): Tensor[] {
  return tensors.map((tensor) => {
    const rows = tensor.shape[0] ?? 0
    if (rows <= most) return tensor
    const shape = [most, ...tensor.shape.slice(1)]
    if (tensor.datatype !== 'BYTES')
      return { ...tensor, shape, bytes: tensor.bytes.subarray(0, (tensor.bytes.length / rows) * most) }
    const elements = bytesElements(tensor.bytes) ?? []
    return { ...tensor, shape, bytes: joinedElements(elements.slice(0, (elements.length / rows) * most)) }
  })
}

const shortList = (names: readonly string[]): string =>
  names.length > 10 ? `${names.slice(0, 10).join(', ')}, …` : names.join(', ')
