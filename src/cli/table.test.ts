import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import { aligned, cut, table, widthOf } from './table.ts'

describe('tables', () => {
  it('sets cells below each other, numbers at the right, without spaces at the end', () => {
    expect(
      table(
        ['NAME', { head: 'AUC', align: 'right' }, 'NOTE'],
        [
          ['a', '0.9', ''],
          ['longer', '12', 'x'],
        ],
      ),
    ).toEqual(['NAME    AUC  NOTE', 'a       0.9', 'longer   12  x'])
  })

  it('is no line at all without rows', () => {
    expect(table(['NAME'], [])).toEqual([])
  })

  it('is not moved by colours or wide characters', () => {
    const { red } = pc.createColors(true)
    const lines = aligned([
      [red('ab'), 'x'],
      ['日本', 'y'],
    ])
    expect(lines.map(widthOf)).toEqual([7, 7])
  })

  it('cuts to a width with an ellipsis, and leaves what fits', () => {
    expect(cut('abcdef', 4)).toBe('abc…')
    expect(cut('abcd', 4)).toBe('abcd')
    expect(cut('日本語', 5)).toBe('日本…')
  })
})
