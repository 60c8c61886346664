import { describe, expect, it } from 'vitest'
import { joinLabelledRows } from './join-labelled-rows.ts'

const base = [
  ['id', 'a', 'label'],
  ['1', '10', 'x'],
  ['2', '20', 'y'],
]

describe('labelled rows joined to a dataset', () => {
  it('come below, in the columns of the dataset', () => {
    const added = [
      ['label', 'id', 'surplus'],
      ['x', '3', '!'],
    ]
    expect(joinLabelledRows(base, added, 'id')).toEqual([...base, ['3', '', 'x']])
  })

  it('never repeat a key: the first row of a key stays', () => {
    const added = [
      ['id', 'a', 'label'],
      ['2', '99', 'x'],
      ['3', '1', 'x'],
      ['3', '2', 'y'],
    ]
    expect(joinLabelledRows(base, added, 'id')).toEqual([...base, ['3', '1', 'x']])
  })

  it('are all taken where no key is declared', () => {
    const added = [
      ['id', 'a', 'label'],
      ['2', '99', 'x'],
    ]
    expect(joinLabelledRows(base, added, undefined)).toHaveLength(4)
  })
})
