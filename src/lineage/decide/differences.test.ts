import { describe, expect, it } from 'vitest'
import { differences, fileChanges, metricDifferences, sharedCount } from './differences.ts'

describe('differences', () => {
  it('names what only one side has, and leaves out what both have alike', () => {
    expect(differences<string>({ depth: '3', same: 'x', gone: '1' }, { depth: '5', same: 'x', come: '2' })).toEqual([
      { name: 'come', b: '2' },
      { name: 'depth', a: '3', b: '5' },
      { name: 'gone', a: '1' },
    ])
  })

  it('is empty exactly when both sides are the same', () => {
    expect(differences({ a: 1 }, { a: 1 })).toEqual([])
    expect(sharedCount({ a: 1, b: 2 }, { a: 1, b: 3 })).toBe(1)
  })

  it('takes names of JavaScript itself for plain names', () => {
    expect(differences<string>({ constructor: 'x' }, {})).toEqual([{ name: 'constructor', a: 'x' }])
  })
})

describe('metric differences', () => {
  it('is b minus a, so that a better auc has a plus', () => {
    expect(metricDifferences({ auc: 0.5 }, { auc: 0.75 })).toEqual([{ name: 'auc', a: 0.5, b: 0.75, difference: 0.25 }])
  })

  it('has no difference where a side is missing or NaN', () => {
    expect(metricDifferences({ auc: 'NaN', f1: 1 }, { auc: 1 })).toEqual([
      { name: 'auc', a: 'NaN', b: 1 },
      { name: 'f1', a: 1 },
    ])
  })
})

it('tells added, changed and removed files apart, and a new mode is a change', () => {
  const file = (path: string, blob: string, mode = 'file') => ({ path, blob, mode })
  const a = [file('gone', '1'), file('kept', '2'), file('run.sh', '3'), file('text', '4')]
  const b = [file('come', '1'), file('kept', '2'), file('run.sh', '3', 'executable'), file('text', '5')]
  expect(fileChanges(a, b)).toEqual([
    { path: 'come', change: 'added' },
    { path: 'gone', change: 'removed' },
    { path: 'run.sh', change: 'changed' },
    { path: 'text', change: 'changed' },
  ])
})
