import { expect, it } from 'vitest'
import type { Step } from '../project-file.ts'
import { parseProjectFile } from './parse-project-file.ts'
import { depSeesOut } from './repository-path.ts'
import { findCycle, upstreamSteps } from './step-graph.ts'

const upstreamOf = (steps: string) =>
  Object.fromEntries(upstreamSteps(parseProjectFile(`project: p\nsteps:\n${steps}`).steps))

it.each<[dep: string, out: string, sees: boolean]>([
  ['work/a.csv', 'work/a.csv', true],
  ['work', 'work/a.csv', true],
  ['work/a.csv', 'work', true],
  ['.', 'work/a.csv', false],
  ['work', 'work2/a.csv', false],
  ['wor', 'work', false],
  ['work/*.csv', 'work/a.csv', true],
  ['work/*.csv', 'work/a.txt', false],
  ['work/*.csv', 'work/deep/a.csv', false],
  ['work/**/*.csv', 'work/deep/a.csv', true],
  ['work/**/*.csv', 'work/deep', true],
  ['work/*.csv', 'work', true],
  ['work/*/a.csv', 'work/deep', true],
  ['data/*/a.csv', 'work/deep', false],
  ['**/*.csv', 'work', false],
  ['**/*.csv', 'work/a.csv', true],
  ['*.csv', 'work', false],
])('a dep on %s and an output %s: seen %s', (dep, out, sees) => expect(depSeesOut(dep, out)).toBe(sees))

it('follows files, folders, patterns and models', () => {
  expect(
    upstreamOf(`
  evaluate: { run: e, deps: [work/test.csv, "model:m"], metrics: true }
  prepare: { run: p, deps: [src/], outs: [work/] }
  train: { run: t, deps: ["work/*.csv"], model: m }
`),
  ).toEqual({ evaluate: ['prepare', 'train'], prepare: [], train: ['prepare'] })
})

it('names a cycle in the direction of the data', () => {
  expect(
    findCycle(
      new Map([
        ['c', ['b']],
        ['b', ['a']],
        ['a', ['c']],
      ]),
    ),
  ).toEqual(['c', 'a', 'b', 'c'])
})

it('finds no cycle in a chain of 5,000 steps', () => {
  const steps: Record<string, Step> = {}
  expect(
    findCycle(new Map(Array.from({ length: 5000 }, (_, i) => [`s${i}`, i < 4999 ? [`s${i + 1}`] : []]))),
  ).toBeUndefined()
  expect(upstreamSteps(steps).size).toBe(0)
})
