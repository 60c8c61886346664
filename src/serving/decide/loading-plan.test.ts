import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import { type LoadingFacts, type SwapMode, swapMode, toBeLoaded } from './loading-plan.ts'

const [old, next, third] = [digestOf('old'), digestOf('next'), digestOf('third')]
type Weights = [Digest, number][]

const facts = (
  mode: SwapMode,
  more: {
    current?: Weights
    wanted: Weights
    loaded?: Digest[]
    ready?: Digest[]
    refused?: Digest[]
    barred?: Digest
  },
): LoadingFacts => ({
  mode,
  loaded: new Set(more.loaded ?? []),
  refused: new Set(more.refused ?? []),
  traffic: {
    current: plan(more.current ?? []),
    wanted: plan(more.wanted),
    ready: new Set(more.ready ?? more.loaded ?? []),
    ...(more.barred ? { barred: more.barred } : {}),
  },
})
const plan = (weights: Weights) => weights.map(([digest, weight]) => ({ digest, weight }))

describe('toBeLoaded', () => {
  const serves: Weights = [[old, 1]]
  const nextOnly: Weights = [[next, 1]]
  const cases: [string, LoadingFacts, Digest[]][] = [
    [
      'surge: the next beside the old until it is ready',
      facts('surge', { current: serves, wanted: nextOnly, loaded: [old] }),
      [next, old],
    ],
    [
      'surge: the old no more once the next is ready',
      facts('surge', { current: serves, wanted: nextOnly, loaded: [old, next] }),
      [next],
    ],
    [
      'surge: also those that are only kept warm',
      facts('surge', {
        current: serves,
        wanted: [
          [old, 1],
          [next, 0],
        ],
        loaded: [old],
      }),
      [old, next],
    ],
    [
      'surge: the old alone where the next was refused',
      facts('surge', { current: serves, wanted: nextOnly, loaded: [old], refused: [next] }),
      [old],
    ],
    [
      'surge: the old again where it went for one that was refused',
      facts('surge', { current: serves, wanted: nextOnly, refused: [next] }),
      [old],
    ],
    [
      'surge: not the old again while the next is on its way in its place',
      facts('surge', { current: serves, wanted: nextOnly, loaded: [next], ready: [] }),
      [next],
    ],
    [
      'hold: the next in the place of the old',
      facts('hold', { current: serves, wanted: nextOnly, loaded: [old] }),
      [next],
    ],
    [
      'hold: the next also where the old is still named',
      facts('hold', {
        current: serves,
        wanted: [
          [old, 0],
          [next, 1],
        ],
        loaded: [old],
      }),
      [next],
    ],
    [
      'hold: the old while the next is to have nothing yet',
      facts('hold', {
        current: serves,
        wanted: [
          [old, 1],
          [next, 0],
        ],
        loaded: [old],
      }),
      [old],
    ],
    [
      'hold: the one that is there as long as it has a share',
      facts('hold', {
        current: serves,
        wanted: [
          [old, 0.25],
          [next, 0.75],
        ],
        loaded: [old],
      }),
      [old],
    ],
    [
      'hold: after a restart the one with the larger share',
      facts('hold', {
        wanted: [
          [old, 0.25],
          [next, 0.75],
        ],
      }),
      [next],
    ],
    [
      'hold: the old again where the next was refused',
      facts('hold', { current: serves, wanted: nextOnly, refused: [next] }),
      [old],
    ],
    [
      'hold: the old again where both are named',
      facts('hold', {
        wanted: [
          [old, 0],
          [next, 1],
        ],
        refused: [next],
      }),
      [old],
    ],
    [
      'hold: not one that the guard stopped',
      facts('hold', {
        current: serves,
        wanted: [
          [old, 0],
          [next, 1],
        ],
        barred: next,
      }),
      [old],
    ],
    [
      'hold: nobody where all were refused',
      facts('hold', { current: serves, wanted: nextOnly, refused: [old, next] }),
      [],
    ],
    [
      'hold: a third that is wished for meanwhile',
      facts('hold', { current: serves, wanted: [[third, 1]], loaded: [next], ready: [] }),
      [third],
    ],
    [
      'hold: back to the old in the middle of it',
      facts('hold', { current: serves, wanted: serves, loaded: [next], ready: [] }),
      [old],
    ],
  ]
  it.each(cases)('%s', (_, given, expected) => {
    expect(toBeLoaded(given)).toEqual(expected)
  })

  it('never names two versions in hold, nor one that was refused', () => {
    const shares = [0, 0.25, 1]
    const sets = [[], [old], [next], [old, next]]
    for (const mode of ['surge', 'hold'] as const)
      for (const a of shares)
        for (const b of shares)
          for (const loaded of sets)
            for (const refused of sets)
              for (const current of [[], serves, nextOnly] as Weights[]) {
                const named = toBeLoaded(
                  facts(mode, {
                    current,
                    wanted: [
                      [old, a],
                      [next, b],
                    ],
                    loaded,
                    refused,
                  }),
                )
                expect(named.filter((digest) => refused.includes(digest))).toEqual([])
                if (mode === 'hold') expect(named.length).toBeLessThan(2)
              }
  })
})

describe('swapMode', () => {
  it('is what Git says, else side by side where all of them fit', () => {
    expect(swapMode('hold', [1, 1], 100)).toBe('hold')
    expect(swapMode('surge', [80, 80], 100)).toBe('surge')
    expect(swapMode('auto', [50, 50], 100)).toBe('surge')
    expect(swapMode('auto', [50, 51], 100)).toBe('hold')
    expect(swapMode('auto', [500], 100)).toBe('surge')
  })
})
