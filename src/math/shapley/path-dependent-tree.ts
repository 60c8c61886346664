import { addLeaf, childFor, type DecisionTree } from './decision-tree.ts'

/**
 * Exact path-dependent Shapley values of one tree for one row: where a coalition does not hold a column, both children are taken, each
 * by its share of the training rows. Adds to `target`, [columns × outputs]; the sum over the columns is tree(row) − `addExpectation`.
 *
 * Source: Lundberg, Erion and Lee, "Consistent individualized feature attribution for tree ensembles" (2018), algorithm 2: all subsets at
 * once, as the weights of subsets by size along the path (extend, unwind). O(leaves × depth²).
 * @throws Error where the tree has no cover; each must be above 0
 */
export function addPathDependent(
  tree: DecisionTree,
  row: ArrayLike<number>,
  { outputs, target }: { outputs: number; target: Float64Array },
): void {
  const { cover } = tree
  if (!cover) throw new Error('a path-dependent explanation needs the cover of each node')
  const width = tree.outputs.length
  const paths = new Paths(tree.depth)

  const leaf = (node: number, start: number, depth: number): void => {
    for (let at = 1; at <= depth; at++) {
      const share = paths.unwoundSum(start, depth, at) * (paths.one[start + at]! - paths.zero[start + at]!)
      const column = paths.column[start + at]!
      for (let output = 0; output < width; output++)
        target[column * outputs + tree.outputs[output]!]! += share * tree.leafValues[node * width + output]!
    }
  }

  /** @param before where the path to the parent starts, of which `depth` entries count */
  const down = (node: number, before: number, depth: number, zero: number, one: number, column: number): void => {
    const start = paths.extended(before, depth, zero, one, column)
    const split = tree.feature[node]!
    if (split < 0) {
      leaf(node, start, depth)
      return
    }
    const hot = childFor(tree, node, row[split]!)
    const cold = hot === tree.yes[node] ? tree.no[node]! : tree.yes[node]!
    // A column that was met before is taken out first: what it lets through of both meetings counts together.
    const met = paths.indexOf(start, depth, split)
    const zeroBefore = met < 0 ? 1 : paths.zero[start + met]!
    const oneBefore = met < 0 ? 1 : paths.one[start + met]!
    if (met >= 0) paths.unwind(start, depth, met)
    const next = met < 0 ? depth + 1 : depth
    down(hot, start, next, zeroBefore * (cover[hot]! / cover[node]!), oneBefore, split)
    down(cold, start, next, zeroBefore * (cover[cold]! / cover[node]!), 0, split)
  }
  if (tree.feature[0]! >= 0) down(0, 0, 0, 1, 1, -1)
}

/** Adds what the tree answers on average over its training rows to `sums`, one per output. */
export function addExpectation(tree: DecisionTree, sums: Float64Array): void {
  const { cover } = tree
  if (!cover) throw new Error('an expectation needs the cover of each node')
  const down = (node: number, share: number): void => {
    const isLeaf = tree.feature[node]! < 0
    if (isLeaf) addLeaf(tree, node, share, sums)
    const children = isLeaf ? [] : [tree.yes[node]!, tree.no[node]!]
    for (const child of children) down(child, share * (cover[child]! / cover[node]!))
  }
  down(0, 1)
}

/**
 * The columns met on the way from the root to a node, one path after the other: the share of rows that each lets through when absent
 * (zero) and present (one), and the weights of subsets by size. A path of depth d has the entries 0 … d; entry 0 stands for the root.
 */
class Paths {
  readonly column: Int32Array
  readonly zero: Float64Array
  readonly one: Float64Array
  readonly #weight: Float64Array

  constructor(deepest: number) {
    // A path for each level, each one entry longer than the one before.
    const size = ((deepest + 2) * (deepest + 3)) / 2
    this.column = new Int32Array(size)
    this.zero = new Float64Array(size)
    this.one = new Float64Array(size)
    this.#weight = new Float64Array(size)
  }

  /** Copies the path of `depth` entries at `before` behind itself, with one more. @returns where the copy starts */
  extended(before: number, depth: number, zero: number, one: number, column: number): number {
    const start = before + depth
    const weight = this.#weight
    for (const values of [this.column, this.zero, this.one, weight]) values.copyWithin(start, before, start)
    const end = start + depth
    this.column[end] = column
    this.zero[end] = zero
    this.one[end] = one
    weight[end] = depth === 0 ? 1 : 0
    for (let at = depth - 1; at >= 0; at--) {
      weight[start + at + 1]! += (one * weight[start + at]! * (at + 1)) / (depth + 1)
      weight[start + at] = (zero * weight[start + at]! * (depth - at)) / (depth + 1)
    }
    return start
  }

  indexOf(start: number, depth: number, column: number): number {
    for (let at = 1; at <= depth; at++) if (this.column[start + at] === column) return at
    return -1
  }

  /** Takes an entry out, as if the path had never met its column. */
  unwind(start: number, depth: number, index: number): void {
    const weight = this.#weight
    const zero = this.zero[start + index]!
    const one = this.one[start + index]!
    let next = weight[start + depth]!
    for (let at = depth - 1; at >= 0; at--) {
      const before = weight[start + at]!
      if (one !== 0) {
        weight[start + at] = (next * (depth + 1)) / ((at + 1) * one)
        next = before - (weight[start + at]! * zero * (depth - at)) / (depth + 1)
      } else weight[start + at] = (before * (depth + 1)) / (zero * (depth - at))
    }
    for (const values of [this.column, this.zero, this.one])
      values.copyWithin(start + index, start + index + 1, start + depth + 1)
  }

  /** The sum of the weights that `unwind` would leave. */
  unwoundSum(start: number, depth: number, index: number): number {
    const weight = this.#weight
    const zero = this.zero[start + index]!
    const one = this.one[start + index]!
    let next = weight[start + depth]!
    let total = 0
    for (let at = depth - 1; at >= 0; at--) {
      const before = weight[start + at]!
      if (one !== 0) {
        const own = (next * (depth + 1)) / ((at + 1) * one)
        total += own
        next = before - (own * zero * (depth - at)) / (depth + 1)
      } else if (zero !== 0) total += (before * (depth + 1)) / (zero * (depth - at))
    }
    return total
  }
}
