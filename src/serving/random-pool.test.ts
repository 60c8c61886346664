import { expect, it } from 'vitest'
import { RandomPool } from './random-pool.ts'

it('never gives the same bytes twice, whatever is left of a draw', () => {
  const pool = new RandomPool()
  const given = Array.from({ length: 1_000 }, () => Buffer.from(pool.take(15)).toString('hex'))
  expect(new Set(given).size).toBe(1_000)
  expect(given.every((text) => text.length === 30)).toBe(true)
})
