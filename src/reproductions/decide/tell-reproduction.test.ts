import { expect, it } from 'vitest'
import type { Cause, Comparison } from '../reproduction.ts'
import { causeText, tellReproduction } from './tell-reproduction.ts'

const compared = { steps: 2, files: 3, metrics: 1, models: 1, tolerance: 1e-9 }

it('says of the same how much was compared', () => {
  const same: Comparison = { outcome: 'identical', steps: [], compared }
  expect(tellReproduction('m version 3', same)).toBe(
    'm version 3 was made again bit for bit: 3 files, 1 metric, 1 model of 2 steps are the same.',
  )
  const nothing = { ...compared, files: 0, metrics: 0, models: 0 }
  expect(tellReproduction('m version 3', { ...same, compared: nothing })).toContain('all results of 2 steps')
})

it.each([
  ['different', /^m version 3 could not be made again: the result is different\. /],
  ['equal within tolerance', /^m version 3 was made again with equal metrics and predictions \(tolerance 1e-9\)/],
] as const)('says of what is %s where it began, what it is, and why', (outcome, head) => {
  const files = ['a', 'b', 'c', 'd'].map((path) => ({ path, change: 'changed' as const }))
  const text = tellReproduction('m version 3', {
    ...{ outcome, compared },
    steps: [{ step: 'prepare', outcome: 'different', files, metrics: [] }],
    first: {
      step: 'prepare',
      causes: [
        { kind: 'seed', was: 1, is: 2 },
        { kind: 'variable', name: 'REGION' },
      ],
    },
  })
  expect(text).toMatch(head)
  expect(text).toMatch(
    /It differs first in prepare \(a, b, c and 1 more\): seed 1 → 2; the environment variable REGION has another value\.$/,
  )
})

it.each<[Cause, string]>([
  [{ kind: 'input', path: 'a.csv', was: 'x', is: 'y' }, 'its input a.csv is another one'],
  [{ kind: 'input', path: 'a.csv', was: 'x' }, 'its input a.csv is gone'],
  [{ kind: 'input', path: 'a.csv', is: 'y' }, 'its input a.csv was not there'],
  [{ kind: 'package', name: 'numpy', was: '1', is: '2' }, 'package numpy 1 → 2'],
  [{ kind: 'package', name: 'numpy', is: '2' }, 'package numpy absent → 2'],
  [{ kind: 'package', name: 'the environment', was: 'x', is: 'y' }, 'its environment is another one'],
  [{ kind: 'parameter', name: 'depth', was: 3 }, 'parameter depth 3 → unset'],
  [{ kind: 'random source', source: 'clock' }, 'its result depends on the clock'],
])('tells %o as "%s"', (cause, text) => {
  expect(causeText(cause)).toBe(text)
})
