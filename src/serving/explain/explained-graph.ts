import { readFile } from 'node:fs/promises'
import { addAnswer, addInterventional } from '../../math/shapley/interventional-tree.ts'
import { addLinear, linearAnswer } from '../../math/shapley/linear.ts'
import { addExpectation, addPathDependent } from '../../math/shapley/path-dependent-tree.ts'
import { graphFeeds } from '../decide/graph-feeds.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { OnnxSession } from '../models/onnx-session.ts'
import { invalidInput } from '../scoring-error.ts'
import { numbersOf, type Tensor } from '../tensor.ts'
import { type Columns, columnPlayers, joins } from './column-players.ts'
import type { Explanation } from './explanation.ts'
import type { GraphCore } from './graph-core.ts'
import { ancestors, type OnnxGraph, withOutputs } from './onnx-file.ts'
import type { Pace } from './pace.ts'
import { readGraphFile } from './read-graph.ts'

/** Rows of numbers, [rows × width]. */
type Matrix = { rows: number; width: number; values: Float64Array }

/** Larger files are weights of networks, which are explained by asking. */
const largestBytes = 200_000_000

/**
 * A graph of trees or of one linear part, explained exactly: what prepares the columns is computed by ONNX Runtime as for a prediction,
 * and each of the prepared columns counts for the feature that it was made of.
 */
export class ExplainedGraph {
  readonly features: readonly string[]
  readonly #core: GraphCore
  readonly #graph: OnnxGraph
  readonly #columns: ModelFacts['inputs']
  readonly #playerOf: readonly number[]
  /** Undefined where the trees take the graph's input as it stands. */
  readonly #preparation: OnnxSession | undefined
  /** Prepared; undefined where the model has no input example. */
  #background: Matrix | undefined

  private constructor(parts: {
    core: GraphCore
    graph: OnnxGraph
    columns: ModelFacts['inputs']
    features: readonly string[]
    playerOf: readonly number[]
    preparation: OnnxSession | undefined
  }) {
    this.#core = parts.core
    this.#graph = parts.graph
    this.#columns = parts.columns
    this.features = parts.features
    this.#playerOf = parts.playerOf
    this.#preparation = parts.preparation
  }

  /**
   * @param columns the signature's
   * @param example some rows, as the model takes them
   * @param background rows that stand for what is usual
   * @returns undefined where the graph is not of that form, or needs background rows that are not there
   */
  static async open(
    path: string,
    {
      columns,
      example,
      background,
    }: { columns: ModelFacts['inputs']; example: readonly Tensor[]; background: readonly Tensor[] | undefined },
  ): Promise<ExplainedGraph | undefined> {
    const file = await readFile(path)
    if (file.length > largestBytes) return undefined
    const { graph, core } = await readGraphFile(path, file)
    if (!core) return undefined
    const joined = ancestors(graph, [core.input])
      .filter(({ kind }) => joins.has(kind))
      .flatMap(({ inputs }) => inputs)
    const isInput = graph.inputs.some(({ name }) => name === core.input)
    const feeds = feedsOf(example, graph, columns)
    const widths =
      joined.length === 0
        ? new Map<string, number>()
        : await widthsOf(withOutputs(file, graph, [...new Set(joined)]), feeds)
    const { features, inputs } = playersOf(graph, columns)
    const made = columnPlayers(graph, core.input, inputs, widths)
    if (typeof made === 'string') return undefined
    const preparation = isInput ? undefined : await OnnxSession.open(withOutputs(file, graph, [core.input]), 1)
    const prepared = await prepare(feeds, core.input, preparation)
    const playerOf = 'all' in made ? Array.from({ length: prepared.width }, () => made.all) : made.players
    if (playerOf.length !== prepared.width || prepared.rows !== feeds[0]?.shape[0]) return undefined
    const explained = new ExplainedGraph({ core, graph, columns, features, playerOf, preparation })
    if (background) explained.#background = await explained.#prepared(background)
    return explained.#isPossible ? explained : undefined
  }

  get #isByCover(): boolean {
    const core = this.#core
    // By the cover, each column stands for itself: two made of one feature would be taken for two.
    const isOwn = new Set(this.#playerOf).size === this.#playerOf.length
    return isOwn && core.kind === 'trees' && core.trees.every(({ cover }) => cover !== undefined)
  }

  get #isPossible(): boolean {
    return this.#core.kind === 'linear' || this.#isByCover || this.#background !== undefined
  }

  #prepared(tensors: readonly Tensor[]): Promise<Matrix> {
    return prepare(feedsOf(tensors, this.#graph, this.#columns), this.#core.input, this.#preparation)
  }

  /** @throws ScoringError */
  async explain(tensors: readonly Tensor[], pace: Pace): Promise<Explanation> {
    const matrix = await this.#prepared(tensors)
    await pace.rest()
    const core = this.#core
    const features = this.features.length
    const size = features * core.outputs
    const values = new Float64Array(matrix.rows * size)
    const one =
      core.kind === 'linear' ? this.#linear(core) : this.#isByCover ? this.#byCover(core) : this.#against(core)
    for (let row = 0; row < matrix.rows; row++)
      for (const step of one.steps) {
        step(rowOf(matrix, row), values.subarray(row * size, (row + 1) * size))
        if (pace.isDue) await pace.rest()
      }
    const base = Float64Array.from({ length: matrix.rows * core.outputs }, (_, at) => one.base[at % core.outputs]!)
    const names = core.labels ?? Array.from({ length: core.outputs }, (_, at) => String(at))
    return {
      rows: matrix.rows,
      features: this.features,
      outputs: core.outputs === 1 ? undefined : names,
      base,
      values,
      method: { name: one.name, of: 'raw score', backgroundRows: one.backgroundRows },
    }
  }

  #byCover(core: GraphCore & { kind: 'trees' }): Plan {
    const base = core.base.slice()
    for (const tree of core.trees) addExpectation(tree, base)
    const { outputs } = core
    const steps = core.trees.map((tree) => (row: Row, target: Float64Array) => {
      const byColumn = new Float64Array(row.length * outputs)
      addPathDependent(tree, row, { outputs, target: byColumn })
      for (let at = 0; at < byColumn.length; at++) {
        const player = this.#playerOf[Math.floor(at / outputs)]!
        target[player * outputs + (at % outputs)]! += byColumn[at]!
      }
    })
    return { name: 'tree path-dependent', base, steps, backgroundRows: 0 }
  }

  #against(core: GraphCore & { kind: 'trees' }): Plan {
    const background = this.#background!
    const base = core.base.slice()
    const weight = 1 / background.rows
    const others = Array.from({ length: background.rows }, (_, row) => rowOf(background, row))
    for (const tree of core.trees) for (const other of others) addAnswer(tree, other, weight, base)
    const setting = { playerOf: this.#playerOf, outputs: core.outputs, weight }
    const steps = core.trees.map((tree) => (row: Row, target: Float64Array) => {
      for (const other of others) addInterventional(tree, row, other, { ...setting, target })
    })
    return { name: 'tree interventional', base, steps, backgroundRows: background.rows }
  }

  /** Without background rows the usual value of each column is 0, as it stands in `backgroundRows`. */
  #linear(core: GraphCore & { kind: 'linear' }): Plan {
    const width = this.#playerOf.length
    const { rows, values } = this.#background ?? { rows: 0, values: new Float64Array() }
    const means = Float64Array.from({ length: width }, (_, column) => {
      let sum = 0
      for (let row = 0; row < rows; row++) sum += values[row * width + column]!
      return rows === 0 ? 0 : sum / rows
    })
    const { weights, outputs } = core
    const step = (row: Row, target: Float64Array) =>
      addLinear(weights, row, means, { playerOf: this.#playerOf, outputs, target })
    return { name: 'linear', base: linearAnswer(weights, core.base, means), steps: [step], backgroundRows: rows }
  }
}

type Row = Float64Array
type Plan = {
  name: Explanation['method']['name']
  /** One per output. */
  base: Float64Array
  /** Each adds to the values of one row; between two of them others may have a turn. */
  steps: readonly ((row: Row, target: Float64Array) => void)[]
  backgroundRows: number
}

const rowOf = ({ values, width }: Matrix, row: number): Row => values.subarray(row * width, (row + 1) * width)

function feedsOf(tensors: readonly Tensor[], graph: OnnxGraph, columns: ModelFacts['inputs']): Tensor[] {
  const feeds = graphFeeds(tensors, graph.inputs, columns)
  if ('problem' in feeds) throw invalidInput(feeds.problem)
  return feeds.tensors
}

/** Each column of the one matrix is a feature, or each input. */
function playersOf(graph: OnnxGraph, columns: ModelFacts['inputs']) {
  const [only] = graph.inputs
  if (graph.inputs.length === 1 && only && only.shape.length === 2 && only.shape[1]! > 1) {
    const width = only.shape[1]!
    const players = Array.from({ length: width }, (_, column) => column)
    const features = players.map((column) => (columns.length === width ? columns[column]!.name : String(column)))
    return { features, inputs: new Map<string, Columns>([[only.name, { players }]]) }
  }
  return {
    features: graph.inputs.map(({ name }) => name),
    inputs: new Map(graph.inputs.map(({ name }, player): [string, Columns] => [name, { players: [player] }])),
  }
}

async function prepare(feeds: readonly Tensor[], input: string, preparation: OnnxSession | undefined): Promise<Matrix> {
  const tensor = preparation ? (await preparation.run(feeds))[0] : feeds.find(({ name }) => name === input)
  if (!tensor || tensor.datatype === 'BYTES') throw new Error('the prepared columns are no numbers')
  const [rows = 0, width = 1] = tensor.shape
  return { rows, width, values: Float64Array.from(numbersOf(tensor) as Iterable<number>, Number) }
}

async function widthsOf(graph: Uint8Array, feeds: readonly Tensor[]): Promise<Map<string, number>> {
  const session = await OnnxSession.open(graph, 1)
  const tensors = await session.run(feeds)
  await session.close()
  return new Map(tensors.map(({ name, shape }) => [name, shape[1] ?? 1]))
}
