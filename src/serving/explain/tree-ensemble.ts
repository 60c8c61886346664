import type { Comparison, DecisionTree } from '../../math/shapley/decision-tree.ts'
import type { GraphNode } from './onnx-file.ts'

export type Ensemble = { trees: DecisionTree[]; outputs: number; base: Float64Array }

const comparisons: Record<string, Comparison> = {
  BRANCH_LEQ: '<=',
  BRANCH_LT: '<',
  BRANCH_GTE: '>=',
  BRANCH_GT: '>',
  BRANCH_EQ: '==',
  BRANCH_NEQ: '!=',
}
/** Deeper trees would need a stack that a hostile file could break; those of libraries end far before. */
const deepest = 500

type Leaf = { output: number; value: number }

/** The trees of a TreeEnsembleRegressor or -Classifier; undefined where one is too deep or no tree. @throws Error where the node contradicts itself */
export function readTrees(node: GraphNode): Ensemble | undefined {
  const numbers = (name: string): readonly number[] =>
    node.attributes.get(`${name}_as_tensor`)?.tensor?.numbers ?? node.attributes.get(name)?.numbers ?? []
  const isClassifier = node.kind === 'TreeEnsembleClassifier'
  const leafName = isClassifier ? 'class' : 'target'
  const ids = numbers(`${leafName}_ids`)
  const targets = isClassifier
    ? scoredClasses(ids)
    : Array.from({ length: node.attributes.get('n_targets')?.number || 1 }, (_, at) => at)
  const leaves = new Map<number, Leaf[]>()
  const [leafTrees, leafNodes, weights] = [
    numbers(`${leafName}_treeids`),
    numbers(`${leafName}_nodeids`),
    numbers(`${leafName}_weights`),
  ]
  for (const [at, id] of ids.entries()) {
    const place = placeOf(leafTrees[at]!, leafNodes[at]!)
    const values = leaves.get(place)
    const leaf = { output: targets.indexOf(id), value: weights[at] ?? Number.NaN }
    if (values) values.push(leaf)
    else leaves.set(place, [leaf])
  }
  const treeIds = numbers('nodes_treeids')
  const rowsOf = new Map<number, number[]>()
  for (const [row, tree] of treeIds.entries()) {
    const rows = rowsOf.get(tree)
    if (rows) rows.push(row)
    else rowsOf.set(tree, [row])
  }
  const columns = {
    ids: numbers('nodes_nodeids'),
    features: numbers('nodes_featureids'),
    thresholds: numbers('nodes_values'),
    yes: numbers('nodes_truenodeids'),
    no: numbers('nodes_falsenodeids'),
    missing: numbers('nodes_missing_value_tracks_true'),
    covers: numbers('nodes_hitrates'),
    modes: node.attributes.get('nodes_modes')?.texts ?? [],
  }
  const trees: DecisionTree[] = []
  for (const [tree, rows] of rowsOf) {
    const read = treeOf(rows, columns, (id) => leaves.get(placeOf(tree, id)) ?? [])
    if (!read) return undefined
    trees.push(read)
  }
  return { trees, outputs: targets.length, base: baseOf(numbers('base_values'), targets.length) }
}

/** Ids are below 2³¹ each. */
const placeOf = (tree: number, node: number): number => tree * 2 ** 32 + node

/** Of two classes many writers score one only, under whatever number. */
const scoredClasses = (ids: readonly number[]): number[] => [...new Set(ids)].sort((a, b) => a - b)

/** Where one class of two is scored but two bases stand, the second is the scored one's. */
const baseOf = (values: readonly number[], outputs: number): Float64Array =>
  Float64Array.from({ length: outputs }, (_, at) => (values.length === outputs ? values[at]! : (values.at(-1) ?? 0)))

type Columns = {
  ids: readonly number[]
  features: readonly number[]
  thresholds: readonly number[]
  yes: readonly number[]
  no: readonly number[]
  missing: readonly number[]
  covers: readonly number[]
  modes: readonly string[]
}

/** ONNX Runtime takes a tree's first row for its root. @returns undefined where it is too deep or no tree */
function treeOf(
  rows: readonly number[],
  columns: Columns,
  leavesOf: (id: number) => readonly Leaf[],
): DecisionTree | undefined {
  const indexOf = new Map(rows.map((row, at) => [columns.ids[row]!, at]))
  const child = (id: number): number => {
    const at = indexOf.get(id)
    if (at === undefined) throw new Error(`a tree's node ${id} is missing`)
    return at
  }
  const isLeaf = (row: number) => columns.modes[row] === 'LEAF'
  const leaves = rows.map((row) => (isLeaf(row) ? leavesOf(columns.ids[row]!) : []))
  const outputs = [...new Set(leaves.flatMap((values) => values.map(({ output }) => output)))].sort((a, b) => a - b)
  const leafValues = new Float64Array(rows.length * outputs.length)
  for (const [at, values] of leaves.entries())
    for (const { output, value } of values) leafValues[at * outputs.length + outputs.indexOf(output)]! += value
  const nodes: Nodes = {
    feature: Int32Array.from(rows, (row) => (isLeaf(row) ? -1 : columns.features[row]!)),
    yes: Int32Array.from(rows, (row) => (isLeaf(row) ? 0 : child(columns.yes[row]!))),
    no: Int32Array.from(rows, (row) => (isLeaf(row) ? 0 : child(columns.no[row]!))),
  }
  const form = formOf(nodes)
  const depth = depthOf(nodes)
  if (form === 'net' || depth > deepest) return undefined
  const cover = Float64Array.from(rows, (row) => columns.covers[row] ?? 0)
  return {
    ...nodes,
    depth,
    comparison: rows.map((row) => (isLeaf(row) ? '<=' : comparisonOf(columns.modes[row]))),
    threshold: Float64Array.from(rows, (row) => columns.thresholds[row] ?? 0),
    missingToYes: Uint8Array.from(rows, (row) => columns.missing[row] ?? 0),
    outputs,
    leafValues,
    ...(form === 'tree' && isCover(nodes, cover) ? { cover } : {}),
  }
}

type Nodes = Pick<DecisionTree, 'feature' | 'yes' | 'no'>

/**
 * A child of several parents is found where a choice among categories is a chain of comparisons of one column. In any other net the
 * number of ways could be without bound.
 */
function formOf({ feature, yes, no }: Nodes): 'tree' | 'chains' | 'net' {
  const parent = new Int32Array(feature.length).fill(-1)
  let form: 'tree' | 'chains' = 'tree'
  for (const [node, column] of feature.entries()) {
    if (column < 0) continue
    for (const child of [yes[node]!, no[node]!]) {
      if (parent[child] !== -1) form = 'chains'
      if (parent[child] !== -1 && parent[child] !== column) return 'net'
      parent[child] = column
    }
  }
  return form
}

function comparisonOf(mode: string | undefined): Comparison {
  const comparison = comparisons[mode ?? '']
  if (!comparison) throw new Error(`a tree compares by ${mode}`)
  return comparison
}

/**
 * nodes_hitrates is free for its writer's use, and many fill it with ones: it is taken for the number of training rows only where each
 * node's is the sum of its children's.
 */
const isCover = ({ feature, yes, no }: Nodes, cover: Float64Array): boolean =>
  cover.every(
    (own, node) =>
      own > 0 && (feature[node]! < 0 || Math.abs(cover[yes[node]!]! + cover[no[node]!]! - own) <= 1e-4 * own),
  )

/** @throws Error where a node leads back to itself */
function depthOf(tree: Nodes): number {
  const depths = new Int32Array(tree.feature.length).fill(-1)
  const open = new Set<number>()
  const stack = [0]
  while (stack.length > 0) {
    const node = stack.at(-1)!
    const children = tree.feature[node]! < 0 ? [] : [tree.yes[node]!, tree.no[node]!]
    const unknown = children.filter((child) => depths[child]! < 0)
    if (unknown.length === 0) {
      depths[node] = Math.max(-1, ...children.map((child) => depths[child]!)) + 1
      open.delete(node)
      stack.pop()
    } else if (open.has(node)) throw new Error('a tree leads back to itself')
    else {
      open.add(node)
      stack.push(...unknown)
    }
  }
  return depths[0]!
}
