import { describe, expect, it } from 'vitest'
import { smoothed } from './smoothed.ts'

describe('Smoothing', () => {
  it('begins at the first point, keeps gaps, and leaves a constant as it is', () => {
    const [first, gap, third] = smoothed([4, null, 4], 0.6)
    expect([first, gap, third]).toEqual([4, null, 4])
    expect(smoothed([0, 1], 0.5)[1]).toBeCloseTo(2 / 3, 12)
  })
})
