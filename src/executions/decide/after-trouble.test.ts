import { describe, expect, it } from 'vitest'
import { afterTrouble } from './after-trouble.ts'

describe('after an error of ours', () => {
  it.each<[string, number, number, ReturnType<typeof afterTrouble>]>([
    ['tries again after a second', 1, 1, { outcome: 'again', waitMs: 1_000 }],
    ['waits twice as long each time', 4, 4, { outcome: 'again', waitMs: 8_000 }],
    ['never waits longer than a minute', 9, 9, { outcome: 'again', waitMs: 60_000 }],
    ['gives up in the end', 10, 10, { outcome: 'ends', waitMs: 60_000 }],
    ['never gives up what storage holds up', 1_000, 0, { outcome: 'again', waitMs: 60_000 }],
    ['does not count what storage held up before', 1_001, 1, { outcome: 'again', waitMs: 60_000 }],
  ])('%s', (_, times, ours, expected) => {
    expect(afterTrouble({ times, ours })).toEqual(expected)
  })

  it('has waited for some minutes in all when it gives up, and not for hours', () => {
    let waited = 0
    for (let times = 1; afterTrouble({ times, ours: times }).outcome === 'again'; times++)
      waited += afterTrouble({ times, ours: times }).waitMs
    expect(waited).toBeGreaterThan(120_000)
    expect(waited).toBeLessThan(600_000)
  })
})
