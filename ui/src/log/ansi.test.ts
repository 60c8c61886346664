import { describe, expect, it } from 'vitest'
import { ansiPieces, plainText } from './ansi.ts'

describe('Colours of a log', () => {
  it('become pieces, and cursor movements vanish', () => {
    expect(ansiPieces('\u001b[2K\u001b[1;31mfailed\u001b[0m after 3 s')).toEqual([
      { text: 'failed', bold: true, colour: 1 },
      { text: ' after 3 s' },
    ])
  })

  it('of a progress bar only the last state is shown', () => {
    expect(plainText('10 %\r50 %\r100 %')).toBe('100 %')
  })
})
