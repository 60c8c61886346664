import { addLeaf, childFor, type DecisionTree, leafFor } from './decision-tree.ts'

/**
 * Exact Shapley values of one tree for one row against one background row: the value of a coalition is what the tree answers where the
 * coalition's players have the row's values and all others the background's. Adds to `target`, [players × outputs], `weight` × the
 * values; their sum over the players is tree(row) − tree(background). Averaged over a background they are the interventional values.
 *
 * A leaf is reached by exactly those coalitions that hold the players which went the row's way (a of them) and none of those which went
 * the background's (b): each of the first gains (a−1)! b! / (a+b)! of the leaf, each of the second loses a! (b−1)! / (a+b)!.
 * Source: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature Machine Intelligence 2
 * (2020), algorithm 3; here for players that may own several columns.
 * @param playerOf the player (0…) of each column
 * @param outputs how many outputs `target` has per player
 */
export function addInterventional(
  tree: DecisionTree,
  row: ArrayLike<number>,
  background: ArrayLike<number>,
  {
    playerOf,
    outputs,
    weight,
    target,
  }: { playerOf: ArrayLike<number>; outputs: number; weight: number; target: Float64Array },
): void {
  const width = tree.outputs.length
  // The players that had to choose a side on the way down.
  const players: number[] = []
  const isRows: boolean[] = []
  let [rows, backgrounds] = [0, 0]

  const leaf = (node: number): void => {
    if (players.length === 0) return
    const gain = rows > 0 ? weight * coalitionShare(rows - 1, backgrounds) : 0
    const loss = backgrounds > 0 ? weight * coalitionShare(rows, backgrounds - 1) : 0
    for (let at = 0; at < width; at++) {
      const value = tree.leafValues[node * width + at]!
      if (value === 0) continue
      const output = tree.outputs[at]!
      for (let index = 0; index < players.length; index++)
        target[players[index]! * outputs + output]! += isRows[index] ? gain * value : -loss * value
    }
  }

  const down = (node: number): void => {
    const feature = tree.feature[node]!
    if (feature < 0) leaf(node)
    else split(node, feature)
  }

  const split = (node: number, feature: number): void => {
    const byRow = childFor(tree, node, row[feature]!)
    const byBackground = childFor(tree, node, background[feature]!)
    const player = playerOf[feature]!
    const at = players.indexOf(player)
    if (byRow === byBackground || at >= 0) down(at >= 0 && !isRows[at] ? byBackground : byRow)
    else choose(player, byRow, byBackground)
  }

  const choose = (player: number, byRow: number, byBackground: number): void => {
    players.push(player)
    isRows.push(true)
    rows++
    down(byRow)
    rows--
    isRows[isRows.length - 1] = false
    backgrounds++
    down(byBackground)
    backgrounds--
    players.pop()
    isRows.pop()
  }
  down(0)
}

/** Adds `weight` × what the tree answers for a row to `sums`, one per output. */
export function addAnswer(tree: DecisionTree, row: ArrayLike<number>, weight: number, sums: Float64Array): void {
  addLeaf(tree, leafFor(tree, row), weight, sums)
}

/** a! b! / (a + b + 1)!: how often, in a random order of a + b + 1 players, one given comes after a given ones and before the b others. */
export function coalitionShare(a: number, b: number): number {
  let share = 1 / (a + b + 1)
  // 1 / ((a+b+1) · C(a+b, a)), the binomial factor by factor.
  const few = Math.min(a, b)
  for (let step = 1; step <= few; step++) share *= step / (a + b - few + step)
  return share
}
