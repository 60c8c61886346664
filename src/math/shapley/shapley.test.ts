import { describe, expect, it } from 'vitest'
import { type Rng, seededRng } from '../rng.ts'
import { allCoalitions, type CoalitionPlan, sampledCoalitions, settle } from './coalitions.ts'
import { type DecisionTree, leafFor } from './decision-tree.ts'
import { addAnswer, addInterventional } from './interventional-tree.ts'
import { addLinear, linearAnswer } from './linear.ts'
import { addExpectation, addPathDependent } from './path-dependent-tree.ts'

type Game = (members: readonly boolean[]) => number

/** By the definition: what a player adds when it joins those before it, over all n! orders. */
function byAllOrders(players: number, game: Game): number[] {
  const orders = permutations([...Array(players).keys()])
  const values = Array.from({ length: players }, () => 0)
  for (const order of orders) {
    const members = Array.from({ length: players }, () => false)
    let before = game(members)
    for (const player of order) {
      members[player] = true
      const after = game(members)
      values[player]! += (after - before) / orders.length
      before = after
    }
  }
  return values
}

const permutations = (items: number[]): number[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]))

/** A tree of up to `depth` levels, its columns repeated along paths, with missing values, two outputs and covers. */
function randomTree(rng: Rng, columns: number, depth: number): DecisionTree {
  const nodes: {
    feature: number
    threshold: number
    yes: number
    no: number
    missing: number
    values: number[]
    cover: number
  }[] = []
  const grow = (level: number, cover: number): number => {
    const at =
      nodes.push({ feature: -1, threshold: 0, yes: 0, no: 0, missing: rng.below(2), values: [0, 0], cover }) - 1
    const node = nodes[at]!
    if (level === depth || cover < 2 || (level > 0 && rng.uniform() < 0.15))
      node.values = [rng.uniform() * 4 - 2, rng.uniform()]
    else {
      node.feature = rng.below(columns)
      node.threshold = rng.uniform()
      const left = 1 + rng.below(cover - 1)
      node.yes = grow(level + 1, left)
      node.no = grow(level + 1, cover - left)
    }
    return at
  }
  grow(0, 40)
  return {
    depth,
    feature: Int32Array.from(nodes, ({ feature }) => feature),
    threshold: Float64Array.from(nodes, ({ threshold }) => threshold),
    comparison: nodes.map(() => '<='),
    yes: Int32Array.from(nodes, ({ yes }) => yes),
    no: Int32Array.from(nodes, ({ no }) => no),
    missingToYes: Uint8Array.from(nodes, ({ missing }) => missing),
    outputs: [0, 1],
    leafValues: Float64Array.from(nodes.flatMap(({ values }) => values)),
    cover: Float64Array.from(nodes, ({ cover }) => cover),
  }
}

const randomRow = (rng: Rng, columns: number): number[] =>
  Array.from({ length: columns }, () => (rng.uniform() < 0.1 ? Number.NaN : rng.uniform()))

const answer = (tree: DecisionTree, row: number[], output: number): number =>
  tree.leafValues[leafFor(tree, row) * tree.outputs.length + output]!

describe('Shapley values of trees', () => {
  it('against a background row are what all orders of the players give, also where a player owns several columns', () => {
    const rng = seededRng(1)
    for (let trial = 0; trial < 60; trial++) {
      const [columns, players] = trial % 2 === 0 ? [5, 5] : [7, 4]
      const playerOf = Array.from({ length: columns }, (_, column) => column % players)
      const tree = randomTree(rng, columns, 5)
      const [row, other] = [randomRow(rng, columns), randomRow(rng, columns)]
      const target = new Float64Array(players * 2)
      addInterventional(tree, row, other, { playerOf, outputs: 2, weight: 1, target })
      for (const output of [0, 1]) {
        const expected = byAllOrders(players, (members) =>
          answer(
            tree,
            row.map((value, column) => (members[playerOf[column]!] ? value : other[column]!)),
            output,
          ),
        )
        for (const [player, value] of expected.entries()) expect(target[player * 2 + output]).toBeCloseTo(value, 12)
      }
    }
  })

  it('by the cover are what all orders give where an absent column is averaged over, and add up to the answer', () => {
    const rng = seededRng(2)
    const columns = 5
    for (let trial = 0; trial < 60; trial++) {
      const tree = randomTree(rng, columns, 6)
      const row = randomRow(rng, columns)
      const target = new Float64Array(columns * 2)
      const base = new Float64Array(2)
      addPathDependent(tree, row, { outputs: 2, target })
      addExpectation(tree, base)
      for (const output of [0, 1]) {
        const expected = byAllOrders(columns, (members) => averaged(tree, row, members, output))
        for (const [column, value] of expected.entries()) expect(target[column * 2 + output]).toBeCloseTo(value, 12)
        const sum = base[output]! + expected.reduce((all, one) => all + one, 0)
        expect(sum).toBeCloseTo(answer(tree, row, output), 12)
      }
    }
  })

  it('of a tree that is a leaf are nothing, and its answer is the base', () => {
    const tree = randomTree(seededRng(3), 2, 0)
    const target = new Float64Array(4)
    const sums = new Float64Array(2)
    addPathDependent(tree, [1, 2], { outputs: 2, target })
    addInterventional(tree, [1, 2], [3, 4], { playerOf: [0, 1], outputs: 2, weight: 1, target })
    addExpectation(tree, sums)
    addAnswer(tree, [1, 2], -1, sums)
    expect([...target, ...sums]).toEqual([0, 0, 0, 0, 0, 0])
  })
})

/** The conditional expectation that the path-dependent values are defined by, as the paper's algorithm 1 writes it. */
function averaged(tree: DecisionTree, row: number[], members: readonly boolean[], output: number): number {
  const cover = tree.cover!
  const value = (node: number): number => {
    const feature = tree.feature[node]!
    if (feature < 0) return tree.leafValues[node * 2 + output]!
    const [yes, no] = [tree.yes[node]!, tree.no[node]!]
    if (!members[feature]) return (value(yes) * cover[yes]! + value(no) * cover[no]!) / cover[node]!
    const goesYes = Number.isNaN(row[feature]) ? tree.missingToYes[node] === 1 : row[feature]! <= tree.threshold[node]!
    return value(goesYes ? yes : no)
  }
  return value(0)
}

describe('Shapley values of linear models', () => {
  it('are weight × distance from the mean, summed for columns of one player', () => {
    const target = new Float64Array(2)
    addLinear(Float64Array.of(2, -1, 3), [1, 5, 2], [0, 4, 4], { playerOf: [0, 1, 0], outputs: 1, target })
    expect([...target]).toEqual([2 * 1 + 3 * -2, -1])
    expect([...linearAnswer(Float64Array.of(2, -1, 3), Float64Array.of(10), [1, 5, 2])]).toEqual([13])
  })

  it('say nothing of a missing value that has no weight', () => {
    const target = new Float64Array(2)
    addLinear(Float64Array.of(0, 1), [Number.NaN, 1], [0, 0], { playerOf: [0, 1], outputs: 1, target })
    expect([...target]).toEqual([0, 1])
  })
})

describe('Shapley values by questions', () => {
  const players = 4
  const rows = [
    [0.5, -1, 2, 3],
    [1, 1, 0, -2],
  ]
  const own = [2, 3, -1, 1]
  const model = ([a, b, c, d]: number[]): number => a! * b! + c! ** 2 + a! * c! * d!
  const mixed = (members: readonly boolean[], background: number): number =>
    model(own.map((value, at) => (members[at] ? value : rows[background]![at]!)))
  const settled = (plan: CoalitionPlan) =>
    settle(
      plan,
      players,
      Float64Array.from(plan.coalitions, ({ members, background }) => mixed(Array.from(members, Boolean), background)),
      1,
    )
  const exact = byAllOrders(players, (members) => (mixed(members, 0) + mixed(members, 1)) / 2)

  it('of all coalitions are exact', () => {
    const { base, values } = settled(allCoalitions(players, 2))
    expect(base[0]).toBeCloseTo((model(rows[0]!) + model(rows[1]!)) / 2, 12)
    for (const [player, value] of exact.entries()) expect(values[player]).toBeCloseTo(value, 12)
  })

  it('of sampled orders add up exactly, and come near the exact ones with more of them', () => {
    const errors = [2, 400].map((pairs) => {
      const { base, values } = settled(sampledCoalitions(players, 2, pairs, seededRng(5)))
      expect(base[0]! + values.reduce((sum, one) => sum + one, 0)).toBeCloseTo(model(own), 10)
      return Math.max(...exact.map((value, player) => Math.abs(values[player]! - value)))
    })
    expect(errors[1]).toBeLessThan(0.5)
    expect(errors[1]!).toBeLessThan(errors[0]!)
  })

  it('are the same for the same seed', () => {
    const plans = [7, 7, 8].map((seed) => settled(sampledCoalitions(players, 2, 3, seededRng(seed))).values)
    expect(plans[0]).toEqual(plans[1])
    expect(plans[0]).not.toEqual(plans[2])
  })
})
