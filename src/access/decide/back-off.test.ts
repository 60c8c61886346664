import { describe, expect, it } from 'vitest'
import { waitMs } from './back-off.ts'

describe('the wait before the next password', () => {
  it.each([
    [undefined, 0],
    [1, 0],
    [4, 0],
    [5, 1000],
    [6, 2000],
    [9, 16_000],
    [11, 60_000],
    [10_000, 60_000],
  ])('after %s wrong ones is %s ms', (count, expected) => {
    expect(waitMs(count === undefined ? undefined : { count, lastAt: 50 }, 50)).toBe(expected)
  })

  it('passes with time, and never counts below nothing', () => {
    expect(waitMs({ count: 6, lastAt: 50 }, 1550)).toBe(500)
    expect(waitMs({ count: 6, lastAt: 50 }, 99_999)).toBe(0)
  })
})
