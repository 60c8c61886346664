import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import { chooseVersion, effectiveWeights, isReached, type TrafficFacts } from './traffic.ts'

const [old, next] = [digestOf('old'), digestOf('next')]
const plan = (weights: [Digest, number][]) => weights.map(([digest, weight]) => ({ digest, weight }))
const facts = (more: Partial<TrafficFacts> & { readyOnes: Digest[] }): TrafficFacts => ({
  current: [],
  wanted: [],
  ...more,
  ready: new Set(more.readyOnes),
})

describe('effectiveWeights', () => {
  const cases: [string, TrafficFacts, [Digest, number][]][] = [
    ['nobody is ready', facts({ wanted: plan([[old, 1]]), readyOnes: [] }), []],
    [
      'the desired weights at the start',
      facts({
        wanted: plan([
          [old, 0.9],
          [next, 0.1],
        ]),
        readyOnes: [old, next],
      }),
      [
        [old, 0.9],
        [next, 0.1],
      ],
    ],
    [
      'a version that still loads leaves its share to the others',
      facts({
        wanted: plan([
          [old, 0.9],
          [next, 0.1],
        ]),
        readyOnes: [old],
      }),
      [[old, 1]],
    ],
    [
      'the old weights go on until the new ones are reached',
      facts({ current: plan([[old, 1]]), wanted: plan([[next, 1]]), readyOnes: [old] }),
      [[old, 1]],
    ],
    [
      'a dead old version yields to the ready new one',
      facts({ current: plan([[old, 1]]), wanted: plan([[next, 1]]), readyOnes: [next] }),
      [[next, 1]],
    ],
    [
      'a warm version of weight 0 answers where nobody else can',
      facts({
        current: plan([
          [next, 1],
          [old, 0],
        ]),
        wanted: plan([
          [next, 1],
          [old, 0],
        ]),
        readyOnes: [old],
      }),
      [[old, 1]],
    ],
    [
      'a stopped newcomer gets nothing',
      facts({
        current: plan([
          [old, 0.5],
          [next, 0.5],
        ]),
        readyOnes: [old, next],
        barred: next,
      }),
      [[old, 1]],
    ],
    [
      'a stopped newcomer gets nothing even alone',
      facts({
        current: plan([
          [old, 0.5],
          [next, 0.5],
        ]),
        readyOnes: [next],
        barred: next,
      }),
      [],
    ],
  ]
  it.each(cases)('%s', (_, given, expected) => {
    expect(effectiveWeights(given)).toEqual(plan(expected))
  })

  it('always shares out all of the traffic', () => {
    const weights = effectiveWeights(
      facts({
        current: plan([
          [old, 0.2],
          [next, 0.1],
        ]),
        readyOnes: [old, next],
      }),
    )
    expect(weights.reduce((sum, one) => sum + one.weight, 0)).toBeCloseTo(1, 12)
  })
})

describe('isReached', () => {
  it('waits for versions with weight, not for those without, nor for a stopped one', () => {
    const wanted = plan([
      [old, 0],
      [next, 1],
    ])
    expect(isReached(facts({ wanted, readyOnes: [] }))).toBe(false)
    expect(isReached(facts({ wanted, readyOnes: [old] }))).toBe(false)
    expect(isReached(facts({ wanted, readyOnes: [next] }))).toBe(true)
    expect(isReached(facts({ wanted, readyOnes: [], barred: next }))).toBe(true)
  })
})

describe('chooseVersion', () => {
  it('gives each version its stretch of 0..1', () => {
    const weights = plan([
      [old, 0.75],
      [next, 0.25],
    ])
    expect([0, 0.7499, 0.75, 0.9999].map((place) => chooseVersion(weights, place))).toEqual([old, old, next, next])
    expect(chooseVersion([], 0.5)).toBeUndefined()
  })
  it('moves no place back to the old version while the new one’s share rises', () => {
    for (let place = 0; place < 1; place += 0.01) {
      const met = [0.05, 0.25, 0.5, 1].map((share) =>
        chooseVersion(
          plan([
            [old, 1 - share],
            [next, share],
          ]),
          place,
        ),
      )
      expect(met.join()).toMatch(new RegExp(`^(${old},?)*(${next},?)*$`))
    }
  })
})
