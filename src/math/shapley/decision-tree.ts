/**
 * A decision tree as arrays, one entry per node; node 0 is the root. Children may be shared (a chain of comparisons that lead to one
 * child), but no node is its own descendant.
 */
export type DecisionTree = {
  /** Steps from the root to the leaf that is farthest. */
  depth: number
  /** Which column is compared; −1 in a leaf. */
  feature: Int32Array
  threshold: Float64Array
  comparison: readonly Comparison[]
  /** The child where the comparison holds, and where it does not. */
  yes: Int32Array
  no: Int32Array
  /** 1 where a missing value (NaN) goes to `yes`. */
  missingToYes: Uint8Array
  /** The outputs that the leaves of this tree add to. */
  outputs: readonly number[]
  /** [nodes × outputs]: what a leaf adds to each; 0 elsewhere. */
  leafValues: Float64Array
  /** Training rows (or their weight) that came through each node: a node's is the sum of its children's. */
  cover?: Float64Array
}

export type Comparison = '<=' | '<' | '>=' | '>' | '==' | '!='

const holds: Record<Comparison, (value: number, threshold: number) => boolean> = {
  '<=': (value, threshold) => value <= threshold,
  '<': (value, threshold) => value < threshold,
  '>=': (value, threshold) => value >= threshold,
  '>': (value, threshold) => value > threshold,
  '==': (value, threshold) => value === threshold,
  '!=': (value, threshold) => value !== threshold,
}

/** The child of a node to which a value of the node's column goes. */
export function childFor(tree: DecisionTree, node: number, value: number): number {
  const isYes =
    holds[tree.comparison[node]!](value, tree.threshold[node]!) ||
    (tree.missingToYes[node] === 1 && Number.isNaN(value))
  return isYes ? tree.yes[node]! : tree.no[node]!
}

/** The leaf to which a row (one value per column) comes. */
export function leafFor(tree: DecisionTree, row: ArrayLike<number>): number {
  let node = 0
  while (tree.feature[node]! >= 0) node = childFor(tree, node, row[tree.feature[node]!]!)
  return node
}

/** Adds `share` × the values of a leaf to `sums`, one per output. */
export function addLeaf(tree: DecisionTree, leaf: number, share: number, sums: Float64Array): void {
  const width = tree.outputs.length
  for (let at = 0; at < width; at++) sums[tree.outputs[at]!]! += share * tree.leafValues[leaf * width + at]!
}
