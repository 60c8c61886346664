import { describe, expect, it } from 'vitest'
import { parseProjectFile } from '../../projects/index.ts'
import { graphOf } from './graph.ts'

const file = parseProjectFile(`
project: demo
python: { requirements: requirements.txt }
data: { rows: { path: data/rows.csv } }
steps:
  evaluate: { run: python evaluate.py, deps: [evaluate.py, work/test.csv, "model:m"], metrics: true }
  train: { run: python train.py, deps: [train.py, work/train.csv], model: m }
  prepare: { run: python prepare.py, deps: [prepare.py, "data:rows"], outs: [work/train.csv, work/test.csv] }
models:
  m: { gate: { objectives: [{ metric: evaluate.auc, pass: [">= 0.9", ">= champion - 0.01"] }] } }
`)

const lines = (nodes: ReturnType<typeof graphOf>) => nodes.map((node) => `${node.id} ← ${node.after.join(', ')}`)

describe('the graph of a project file', () => {
  it('puts each step after those whose outputs or model it takes', () => {
    expect(lines(graphOf(file, { champions: [] }))).toEqual([
      'environment ← ',
      'prepare ← environment',
      'train ← environment, prepare',
      'evaluate ← environment, train, prepare',
    ])
  })

  it('evaluates the champion beside the candidate, without waiting for the candidate', () => {
    const nodes = graphOf(file, { champions: ['m'] })
    expect(lines(nodes)).toContain('evaluate@champion ← environment, prepare')
    expect(nodes.find((node) => node.id === 'evaluate@champion')?.kind).toBe('champion evaluation')
  })

  it('fetches an awaited dataset before each step that takes it, and only for such steps', () => {
    expect(lines(graphOf(file, { champions: [], awaited: ['rows'] }))).toEqual([
      'environment ← ',
      'data:rows ← ',
      'prepare ← environment, data:rows',
      'train ← environment, prepare',
      'evaluate ← environment, train, prepare',
    ])
    const without = parseProjectFile('project: demo\ndata: { rows: { path: r.csv } }\nsteps: { a: { run: "true" } }\n')
    expect(lines(graphOf(without, { champions: [], awaited: ['rows'] }))).toEqual(['a ← '])
  })

  it('has no champion box where no bound compares with the champion', () => {
    const absolute = parseProjectFile(
      'project: demo\nsteps:\n  train: { run: "true", model: m }\n  evaluate: { run: "true", deps: ["model:m"], metrics: true }\nmodels:\n  m: { gate: { objectives: [{ metric: evaluate.auc, pass: [">= 0.9"] }] } }\n',
    )
    expect(graphOf(absolute, { champions: ['m'] }).map((node) => node.id)).toEqual(['train', 'evaluate'])
  })

  it('with one step wanted holds that step and what it needs, no more', () => {
    expect(graphOf(file, { only: 'train', champions: ['m'] }).map((node) => node.id)).toEqual([
      'environment',
      'prepare',
      'train',
    ])
  })
})
