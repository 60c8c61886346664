import { describe, expect, it } from 'vitest'
import { answersPerSecond, noThroughput, retryAfterSeconds, withAnswer } from './throughput.ts'

const streamOf = (perSecond: number, seconds: number) => {
  let seen = noThroughput(0)
  for (let at = 0; at < seconds * 1000; at += 1000 / perSecond) seen = withAnswer(seen, at)
  return answersPerSecond(seen, seconds * 1000)
}

describe('the pace of answers', () => {
  it.each([
    [20, 2],
    [20, 60],
    [1, 60],
    [500, 5],
  ])('of a steady stream of %i a second is that, seen over %i seconds', (perSecond, seconds) => {
    expect(streamOf(perSecond, seconds)).toBeGreaterThan(perSecond * 0.85)
    expect(streamOf(perSecond, seconds)).toBeLessThan(perSecond * 1.15)
  })

  it('fades when nothing is answered any more', () => {
    const seen = withAnswer(noThroughput(0), 100)
    expect(answersPerSecond(seen, 120_000)).toBeLessThan(0.001)
    expect(answersPerSecond(noThroughput(0), 5_000)).toBe(0)
  })
})

it.each([
  ['as long as those who wait take', 40, 10, 4],
  ['a second at least', 1, 1_000, 1],
  ['half a minute at most', 5_000, 2, 30],
  ['half a minute where nothing was answered', 3, 0, 30],
])('asks to come again after %s', (_, waiting, perSecond, seconds) => {
  expect(retryAfterSeconds(waiting, perSecond)).toBe(seconds)
})
