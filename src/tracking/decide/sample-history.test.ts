import { describe, expect, it } from 'vitest'
import { sampleIndices } from './sample-history.ts'

describe('a sampled history', () => {
  // Expected indices: NTILE of SQLite 3.40 over 0…total-1, the first row of each bucket, the last row replaced.
  it.each([
    [0, 5, []],
    [3, 5, [0, 1, 2]],
    [5, 5, [0, 1, 2, 3, 4]],
    [10, 5, [0, 2, 4, 6, 9]],
    [11, 5, [0, 3, 5, 7, 10]],
    [20, 5, [0, 4, 8, 12, 19]],
    [7, 3, [0, 3, 6]],
    [9, 1, [8]],
  ])('of %d points in at most %d is %j', (total, limit, indices) => {
    expect(sampleIndices(total, limit)).toEqual(indices)
  })

  it('keeps the first and the last point and never repeats one', () => {
    for (let total = 1; total < 60; total++)
      for (let limit = 2; limit < 30; limit++) {
        const indices = sampleIndices(total, limit)
        expect(indices[0]).toBe(0)
        expect(indices.at(-1)).toBe(total - 1)
        expect(new Set(indices).size).toBe(Math.min(total, limit))
      }
  })
})
