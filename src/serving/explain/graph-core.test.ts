import { describe, expect, it } from 'vitest'
import { type Columns, columnPlayers } from './column-players.ts'
import { graphCore } from './graph-core.ts'
import type { Attribute, Constant, GraphNode, OnnxGraph } from './onnx-file.ts'

const numbers = (...values: number[]): Attribute => ({ number: values[0] ?? 0, text: '', numbers: values, texts: [] })
const texts = (...values: string[]): Attribute => ({ number: 0, text: values[0] ?? '', numbers: [], texts: values })
const row = (...values: number[]): Constant => ({ shape: [values.length], numbers: values })

type Spec = { kind: string; inputs: string[]; outputs: string[]; attributes?: Record<string, Attribute> }

function graphOf(specs: Spec[], constants: Record<string, Constant> = {}): OnnxGraph {
  const nodes = specs.map(
    ({ attributes = {}, ...spec }, index): GraphNode => ({
      ...spec,
      index,
      attributes: new Map(Object.entries(attributes)),
    }),
  )
  return {
    nodes,
    constants: new Map(Object.entries(constants)),
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3], required: true }],
    outputs: ['y'],
  }
}

/** One split of column 1 at 0.5: 10 below, 20 above. */
const stump = {
  nodes_treeids: numbers(0, 0, 0),
  nodes_nodeids: numbers(0, 1, 2),
  nodes_featureids: numbers(1, 0, 0),
  nodes_modes: texts('BRANCH_LEQ', 'LEAF', 'LEAF'),
  nodes_values: numbers(0.5, 0, 0),
  nodes_truenodeids: numbers(1, 0, 0),
  nodes_falsenodeids: numbers(2, 0, 0),
  nodes_hitrates: numbers(10, 4, 6),
  target_treeids: numbers(0, 0),
  target_nodeids: numbers(1, 2),
  target_ids: numbers(0, 0),
  target_weights: numbers(10, 20),
}
const trees = (attributes: Record<string, Attribute> = stump, inputs = ['x'], outputs = ['y']): Spec => ({
  kind: 'TreeEnsembleRegressor',
  inputs,
  outputs,
  attributes,
})

describe('the core of a graph', () => {
  it('is its trees, with the constants that are added behind them', () => {
    const core = graphCore(
      graphOf([trees(stump, ['x'], ['t']), { kind: 'Add', inputs: ['t', 'b'], outputs: ['y'] }], { b: row(7) }),
    )
    expect(core).toMatchObject({ kind: 'trees', input: 'x', outputs: 1 })
    expect(core?.base).toEqual(Float64Array.of(7))
    expect(core?.kind === 'trees' && core.trees[0]?.cover).toEqual(Float64Array.of(10, 4, 6))
  })

  it('is a product with constants, read by rows or by columns', () => {
    const matrix = { shape: [3, 2], numbers: [1, 2, 3, 4, 5, 6] }
    const product = graphCore(graphOf([{ kind: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], { w: matrix }))
    expect(product).toMatchObject({ kind: 'linear', outputs: 2, weights: Float64Array.of(1, 3, 5, 2, 4, 6) })
    const turned = { transB: numbers(1) }
    const gemm: Spec = { kind: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes: turned }
    const other = graphCore(graphOf([gemm], { w: { shape: [2, 3], numbers: matrix.numbers }, b: row(8, 9) }))
    expect(other).toMatchObject({ weights: Float64Array.of(1, 2, 3, 4, 5, 6), base: Float64Array.of(8, 9) })
  })

  it('is none where there are several, or where an input reaches the output beside it', () => {
    const sum: Spec = { kind: 'Add', inputs: ['t', 'u'], outputs: ['y'] }
    expect(graphCore(graphOf([trees(stump, ['x'], ['t']), trees(stump, ['x'], ['u']), sum]))).toBeUndefined()
    const beside: Spec = { kind: 'ReduceSum', inputs: ['x'], outputs: ['u'] }
    expect(graphCore(graphOf([trees(stump, ['x'], ['t']), beside, sum]))).toBeUndefined()
  })

  it('has no cover where hit rates are ones, as many converters write them', () => {
    const core = graphCore(graphOf([trees({ ...stump, nodes_hitrates: numbers(1, 1, 1) })]))
    expect(core?.kind === 'trees' && core.trees[0]?.cover).toBeUndefined()
  })

  it('is refused where a tree leads back to itself or to a node that is not there', () => {
    const circle = { ...stump, nodes_modes: texts('BRANCH_LEQ', 'BRANCH_LEQ', 'LEAF') }
    expect(() => graphCore(graphOf([trees(circle)]))).toThrow('leads back to itself')
    expect(() => graphCore(graphOf([trees({ ...stump, nodes_falsenodeids: numbers(9, 0, 0) })]))).toThrow(
      '9 is missing',
    )
  })
})

describe('the features that a column is made of', () => {
  const inputs = new Map<string, Columns>([
    ['x', { players: [0, 1, 2] }],
    ['city', { players: [3] }],
  ])
  const of = (specs: Spec[], constants: Record<string, Constant> = {}) =>
    columnPlayers(graphOf(specs, constants), 'y', inputs, new Map([['hot', 2]]))

  it('are its own through scaling, choosing and encoding', () => {
    expect(of([{ kind: 'Sub', inputs: ['x', 'm'], outputs: ['y'] }], { m: row(1, 2, 3) })).toEqual({
      players: [0, 1, 2],
    })
    const choose: Spec = { kind: 'Gather', inputs: ['x', 'i'], outputs: ['y'], attributes: { axis: numbers(1) } }
    expect(of([choose], { i: row(2, 0) })).toEqual({ players: [2, 0] })
    const encode: Spec = { kind: 'OneHotEncoder', inputs: ['city'], outputs: ['hot'] }
    const join: Spec = { kind: 'Concat', inputs: ['hot', 'x'], outputs: ['y'], attributes: { axis: numbers(1) } }
    expect(of([encode, join])).toEqual({ players: [3, 3, 0, 1, 2] })
  })

  it('are unknown where columns are mixed', () => {
    expect(of([{ kind: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }], { w: row(1) })).toBe('mixed')
    expect(of([{ kind: 'Normalizer', inputs: ['x'], outputs: ['y'] }])).toBe('mixed')
    const joined: Spec = { kind: 'Concat', inputs: ['x', 'city'], outputs: ['t'], attributes: { axis: numbers(0) } }
    expect(of([joined, { kind: 'Identity', inputs: ['t'], outputs: ['y'] }])).toBe('mixed')
  })
})
