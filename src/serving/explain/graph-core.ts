import type { DecisionTree } from '../../math/shapley/decision-tree.ts'
import { ancestors, type GraphNode, type OnnxGraph } from './onnx-file.ts'
import { readTrees } from './tree-ensemble.ts'

/**
 * The part of a graph whose Shapley values can be computed exactly, where all that comes before it is preparation of columns and all
 * that comes after it (a link, a choice of a class) depends on it alone. What is explained is its sum, before any link.
 */
export type GraphCore = {
  /** The tensor [rows, columns] that it takes. */
  input: string
  /** How many numbers it gives per row. */
  outputs: number
  /** What is added to each besides trees and weights. */
  base: Float64Array
  /** Classes, where it says them and there is one per output. */
  labels?: readonly string[]
} & ({ kind: 'trees'; trees: readonly DecisionTree[] } | { kind: 'linear'; weights: Float64Array })

/** Pure. Undefined where the graph is not of that form. @throws Error where the file contradicts itself */
export function graphCore(graph: OnnxGraph): GraphCore | undefined {
  const node = coreNode(graph)
  if (!node || !isOnlyWay(graph, node)) return undefined
  const core = coreOf(graph, node)
  if (!core) return undefined
  const added = addedAfter(graph, core.output, core.outputs)
  return { ...core, base: core.base.map((value, at) => value + added[at]!) }
}

type Core = GraphCore & { output: string }

const treeKinds = new Set(['TreeEnsembleRegressor', 'TreeEnsembleClassifier'])
const linearKinds = new Set(['LinearRegressor', 'LinearClassifier', 'MatMul', 'Gemm'])
/** Sums of products of their own, beside which a linear part would not be all. */
const otherKinds = new Set(['TreeEnsemble', 'SVMRegressor', 'SVMClassifier', 'Conv', 'LSTM', 'GRU'])

function coreNode({ nodes }: OnnxGraph): GraphNode | undefined {
  if (nodes.some(({ kind }) => otherKinds.has(kind))) return undefined
  const trees = nodes.filter(({ kind }) => treeKinds.has(kind))
  const found = trees.length > 0 ? trees : nodes.filter(({ kind }) => linearKinds.has(kind))
  return found.length === 1 ? found[0] : undefined
}

/** Whether no output can be reached from an input but through the node. */
function isOnlyWay(graph: OnnxGraph, core: GraphNode): boolean {
  const without = { ...graph, nodes: graph.nodes.filter((node) => node !== core) }
  const inputs = new Set(graph.inputs.map(({ name }) => name))
  const beside = ancestors(without, graph.outputs).flatMap((node) => node.inputs)
  return ![...graph.outputs, ...beside].some((name) => inputs.has(name))
}

function coreOf(graph: OnnxGraph, node: GraphNode): Core | undefined {
  const [input = ''] = node.inputs
  const text = (name: string) => node.attributes.get(name)?.text ?? ''
  const numbers = (name: string) => node.attributes.get(name)?.numbers ?? []
  const labelled = node.attributes.get('classlabels_strings')?.texts ?? []
  const labels =
    labelled.length > 0 ? labelled : numbers('classlabels_int64s').concat(numbers('classlabels_ints')).map(String)
  switch (node.kind) {
    case 'TreeEnsembleRegressor':
    case 'TreeEnsembleClassifier': {
      const ensemble = readTrees(node)
      if (!ensemble || (text('aggregate_function') || 'SUM') !== 'SUM') return undefined
      const output = node.kind === 'TreeEnsembleClassifier' ? node.outputs[1] : node.outputs[0]
      return { kind: 'trees', input, output: output ?? '', ...ensemble, ...named(labels, ensemble.outputs) }
    }
    case 'LinearRegressor':
    case 'LinearClassifier': {
      const output = (node.kind === 'LinearClassifier' ? node.outputs[1] : node.outputs[0]) ?? ''
      const outputs =
        node.attributes.get('targets')?.number || Math.max(1, numbers('intercepts').length || labels.length)
      const base = Float64Array.from({ length: outputs }, (_, at) => numbers('intercepts')[at] ?? 0)
      return {
        kind: 'linear',
        input,
        output,
        outputs,
        base,
        weights: Float64Array.from(numbers('coefficients')),
        ...named(labels, outputs),
      }
    }
    default:
      return product(graph, node)
  }
}

const named = (labels: readonly string[], outputs: number) =>
  labels.length === outputs && outputs > 1 ? { labels } : {}

/** x · W, or Gemm with alpha = beta = 1: as skl2onnx writes linear models of doubles. */
function product(graph: OnnxGraph, { kind, inputs, outputs, attributes }: GraphNode): Core | undefined {
  const [input = '', second = '', third = ''] = inputs
  const matrix = graph.constants.get(second)
  const flag = (name: string, otherwise: number) => attributes.get(name)?.number ?? otherwise
  if (matrix?.shape.length !== 2) return undefined
  if (kind === 'Gemm' && (flag('alpha', 1) !== 1 || flag('beta', 1) !== 1 || flag('transA', 0) !== 0)) return undefined
  const isTransposed = kind === 'Gemm' && flag('transB', 0) === 1
  const [rows = 0, columns = 0] = matrix.shape
  const [taken, given] = isTransposed ? [columns, rows] : [rows, columns]
  const weights = new Float64Array(taken * given)
  for (let output = 0; output < given; output++)
    for (let column = 0; column < taken; column++)
      weights[output * taken + column] =
        matrix.numbers[isTransposed ? output * taken + column : column * given + output]!
  const intercepts = graph.constants.get(third)?.numbers ?? []
  if (third !== '' && intercepts.length !== given && intercepts.length !== 1) return undefined
  const base = Float64Array.from({ length: given }, (_, at) => intercepts[intercepts.length === 1 ? 0 : at] ?? 0)
  return { kind: 'linear', input, output: outputs[0] ?? '', outputs: given, base, weights }
}

/** Constants that are added right behind it, and by nobody else looked past. */
function addedAfter(graph: OnnxGraph, output: string, outputs: number): Float64Array {
  const added = new Float64Array(outputs)
  for (let name = output; ; ) {
    const readers = graph.nodes.filter(({ inputs }) => inputs.includes(name))
    const [add] = readers
    if (readers.length !== 1 || !add || add.kind !== 'Add') return added
    const numbers = graph.constants.get(add.inputs.find((one) => one !== name) ?? '')?.numbers
    if (!numbers || (numbers.length !== 1 && numbers.length !== outputs)) return added
    for (let at = 0; at < outputs; at++) added[at]! += numbers[numbers.length === 1 ? 0 : at]!
    name = add.outputs[0] ?? ''
  }
}
