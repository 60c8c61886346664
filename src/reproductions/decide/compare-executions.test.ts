import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import type { KeyParts } from '../../planning/index.ts'
import { areClose, type ComparisonFacts, compareExecutions, type StepFacts } from './compare-executions.ts'

const lock = (name: string): Digest => digestOf(`lock ${name}`)

const key = (change: Partial<KeyParts> = {}): KeyParts => ({
  ...{ command: 'python a.py', files: { 'a.py': 'code 1', 'rows.csv': 'rows 1' }, trees: [], params: { depth: 3 } },
  ...{ seed: 7, environment: lock('old'), variables: {}, outs: ['out'], metrics: true, checks: {} },
  ...change,
})

type Change = {
  key?: Partial<KeyParts>
  files?: Record<string, string>
  metrics?: Record<string, number>
  model?: string
}

const step = (name: string, change: Change = {}): StepFacts => ({
  step: name,
  key: key(change.key),
  result: {
    files: change.files ?? { out: 'bytes' },
    metrics: change.metrics ?? {},
    ...(change.model ? { model: { name: 'm', content: change.model, files: { 'model.pkl': change.model } } } : {}),
  },
})

const compare = (recorded: StepFacts[], rebuilt: StepFacts[], more: Partial<ComparisonFacts> = {}) =>
  compareExecutions({ recorded, rebuilt, packages: {}, tolerance: 0, ...more })

const firstOf = (change: Change, was: Change = {}) =>
  compare([step('a', was)], [step('a', { files: { out: 'other' }, ...change })], {
    packages: {
      [lock('old')]: { python: '3.11.7', 'scikit-learn': '1.5.0', numpy: '2.0.0' },
      [lock('new')]: { python: '3.11.7', 'scikit-learn': '1.5.1', pandas: '2.2.0' },
    },
  }).first?.causes

describe('comparing what was made again', () => {
  it('finds the same steps identical, and says how much was compared', () => {
    const steps = () => [step('a'), step('b', { metrics: { auc: 0.9, 'system/cpu': Math.random() }, model: 'x' })]
    expect(compare(steps(), steps())).toMatchObject({
      outcome: 'identical',
      compared: { steps: 2, files: 2, metrics: 1, models: 1, tolerance: 0 },
    })
    expect(compare(steps(), steps()).first).toBeUndefined()
  })

  it.each<[string, Change, object[]]>([
    [
      'a data file',
      { key: { files: { 'a.py': 'code 1', 'rows.csv': 'rows 2' } } },
      [{ kind: 'input', path: 'rows.csv' }],
    ],
    [
      'a code file that is gone',
      { key: { files: { 'rows.csv': 'rows 1' } } },
      [{ kind: 'input', path: 'a.py', was: 'code 1' }],
    ],
    [
      'packages',
      { key: { environment: lock('new') } },
      [
        { kind: 'package', name: 'numpy', was: '2.0.0' },
        { kind: 'package', name: 'pandas', is: '2.2.0' },
        { kind: 'package', name: 'scikit-learn', was: '1.5.0', is: '1.5.1' },
      ],
    ],
    [
      'a lock that nobody knows',
      { key: { environment: 'none' } },
      expect.arrayContaining([{ kind: 'package', name: 'numpy', was: '2.0.0' }]),
    ],
    [
      'a parameter, and the command that carries it',
      { key: { params: { depth: 4 }, command: 'python a.py 4' } },
      [{ kind: 'parameter', name: 'depth', was: 3, is: 4 }],
    ],
    ['the seed', { key: { seed: 8 } }, [{ kind: 'seed', was: 7, is: 8 }]],
    ['a declared variable', { key: { variables: { REGION: lock('x') } } }, [{ kind: 'variable', name: 'REGION' }]],
    ['the command', { key: { command: 'python b.py' } }, [{ kind: 'command', was: 'python a.py', is: 'python b.py' }]],
    ['nothing that it takes', {}, []],
  ])('names as the cause %s', (_, change, causes) => {
    expect(firstOf(change)).toMatchObject(causes)
  })

  it('explains the first difference in the order of the pipeline, not those that follow from it', () => {
    const recorded = [step('a'), step('b', { key: { files: { out: 'tree 1' }, trees: ['out'] } })]
    const rebuilt = [
      step('a', { files: { out: 'other' }, key: { seed: 8 } }),
      step('b', { key: { files: { out: 'tree 2' }, trees: ['out'], params: { depth: 9 } }, files: { out: 'b' } }),
    ]
    expect(compare(recorded, rebuilt)).toMatchObject({
      outcome: 'different',
      first: { step: 'a', causes: [{ kind: 'seed' }] },
      steps: [{ outcome: 'different' }, { outcome: 'different' }],
    })
  })

  it('takes outputs and models of other steps for no cause', () => {
    const was: Change = { key: { files: { out: 'tree 1', 'model:m': 'tree 1' }, trees: ['out'] } }
    expect(firstOf({ key: { files: { out: 'tree 2', 'model:m': 'tree 2' }, trees: ['out'] } }, was)).toEqual([])
  })

  it('calls other bytes with equal metrics equal within the tolerance, and other metrics different', () => {
    const recorded = [step('a', { metrics: { auc: 0.9 } })]
    const near = [step('a', { files: { out: 'other' }, metrics: { auc: 0.9 + 1e-12 } })]
    expect(compare(recorded, near, { tolerance: 1e-9 }).outcome).toBe('equal within tolerance')
    expect(compare(recorded, near, { tolerance: 0 }).outcome).toBe('different')
  })

  it('excuses no bytes where nothing was measured', () => {
    expect(compare([step('a')], [step('a', { files: { out: 'other' } })], { tolerance: 1 }).outcome).toBe('different')
  })

  it('calls a model of other bytes equal only where its predictions agree', () => {
    const [recorded, rebuilt] = [[step('a', { model: 'x' })], [step('a', { model: 'y' })]]
    const asked = (equal: boolean) => ({ predictions: { m: { compared: true, rows: 3, equal } as const } })
    expect(compare(recorded, rebuilt).outcome).toBe('different')
    expect(compare(recorded, rebuilt, asked(true)).outcome).toBe('equal within tolerance')
    expect(compare(recorded, rebuilt, asked(false)).outcome).toBe('different')
  })

  it('calls a metric that became NaN different, and one that stayed NaN the same', () => {
    const nan = [step('a', { metrics: { loss: Number.NaN } })]
    expect(compare(nan, nan).outcome).toBe('identical')
    expect(compare([step('a', { metrics: { loss: 1 } })], nan, { tolerance: 1 })).toMatchObject({
      outcome: 'different',
      steps: [{ metrics: [{ name: 'loss', was: 1, is: 'NaN', within: false }] }],
    })
  })

  it('tells of a step that only one pass carried out', () => {
    expect(compare([step('a')], [{ step: 'a' }])).toMatchObject({
      outcome: 'different',
      first: { causes: [{ kind: 'step', text: expect.stringContaining('not in the rebuilt one') }] },
    })
    expect(compare([{ step: 'a' }], [{ step: 'a' }]).outcome).toBe('identical')
    expect(compare([], [step('new')])).toMatchObject({ outcome: 'different', first: { step: 'new' } })
  })
})

it.each([
  [1, 1 + 1e-10, 1e-9, true],
  [0, 1e-10, 1e-9, true],
  [1e6, 1e6 + 1e-4, 1e-9, true],
  [1, 1.1, 0.05, false],
  [Number.NaN, Number.NaN, 0, true],
  [Number.NaN, 1, 1, false],
  [Infinity, Infinity, 0, true],
])('%d and %d are within %d: %s', (a, b, tolerance, close) => {
  expect(areClose(a, b, tolerance)).toBe(close)
})
