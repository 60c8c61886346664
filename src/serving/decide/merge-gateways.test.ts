import { describe, expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import type { GatewayObserved, VersionState } from '../gateway-state.ts'
import { mergeGuardCounts, mergeObserved, mergeStats } from './merge-gateways.ts'

const [a, b] = [digestOf('a'), digestOf('b')]
const version = (state: VersionState, more: object = {}) => ({
  ...{ digest: a, version: 1, weight: 1, state, computes: 'onnx' as const },
  ...more,
})
const gateway = (endpoints: GatewayObserved['endpoints'], more: Partial<GatewayObserved> = {}): GatewayObserved => ({
  revision: 3,
  startedAt: 10,
  endpoints,
  ...more,
})
const endpoint = (versions: GatewayObserved['endpoints'][number]['versions'], more: object = {}) => ({
  ...{ project: 'p', environment: 'e', versions },
  ...more,
})

describe('mergeObserved', () => {
  it('leaves one alone as it is', () => {
    const one = gateway([endpoint([version('ready')])])
    expect(mergeObserved([one])).toBe(one)
  })

  it('is as far as the one that is behind', () => {
    const problem = 'desired.json is broken'
    const merged = mergeObserved([gateway([], { revision: 4 }), gateway([], { revision: 3, startedAt: 20, problem })])
    expect(merged).toMatchObject({ revision: 3, startedAt: 20, problem })
  })

  it.each<[VersionState[], VersionState]>([
    [['ready', 'ready'], 'ready'],
    [['ready', 'loading'], 'loading'],
    [['loading', 'failed'], 'failed'],
    [['restarting', 'ready'], 'restarting'],
    [['asleep', 'ready'], 'ready'],
    [['asleep', 'asleep'], 'asleep'],
  ])('tells of a version that is %j that it is %s', (states, expected) => {
    const merged = mergeObserved(states.map((state) => gateway([endpoint([version(state, { reason: state })])])))
    expect(merged.endpoints[0]!.versions).toEqual([version(expected, { reason: expected })])
  })

  it('takes the lowest weight and any trip, because a guard may have acted in one alone', () => {
    const guardTripped = { newcomer: b, at: 5, reason: 'r', requests: 9, errors: 9, inputFailures: 0 }
    const newcomer = (weight: number) => version('ready', { digest: b, version: 2, weight })
    const merged = mergeObserved([
      gateway([endpoint([version('ready'), newcomer(0.5)])]),
      gateway([endpoint([version('ready'), newcomer(0)], { guardTripped })]),
    ])
    expect(merged.endpoints[0]!.versions.map(({ weight }) => weight)).toEqual([1, 0])
    expect(merged.endpoints[0]!.guardTripped).toEqual(guardTripped)
  })

  it('adds up requests, inputs, memory, journal and workers, and keeps what only one knows', () => {
    const counted = (refused: Record<string, number>, pid: number) =>
      endpoint([version('ready', { workers: [{ pid, state: 'ready' }], replacedForMemory: 1, memoryBytes: 50 })], {
        requests: { inside: 1, waiting: 2, turnedAway: 3 },
        inputs: { refused, warned: {}, imputed: 1 },
      })
    const facts = { journal: { written: 5, dropped: 1 }, memory: { budget: 100, used: 40 } }
    const only = { ...endpoint([version('ready')]), environment: 'staging' }
    const merged = mergeObserved([
      gateway([counted({ range: 2 }, 7)], facts),
      gateway([counted({ range: 1, type: 4 }, 8), only], facts),
    ])
    expect(merged).toMatchObject({ journal: { written: 10, dropped: 2 }, memory: { budget: 200, used: 80 } })
    const [first, second] = merged.endpoints
    expect(first).toMatchObject({
      requests: { inside: 2, waiting: 4, turnedAway: 6 },
      inputs: { refused: { range: 3, type: 4 }, warned: {}, imputed: 2 },
    })
    expect(first!.versions[0]).toMatchObject({
      workers: [{ pid: 7 }, { pid: 8 }],
      replacedForMemory: 2,
      memoryBytes: 100,
    })
    expect(second).toMatchObject({ environment: 'staging', versions: [{ state: 'ready' }] })
  })
})

describe('counts of several processes', () => {
  it('add up, and the last inference is the latest', () => {
    const one = (at: number) => ({
      ...{ lastInference: at, inferences: 4, executions: 2 },
      ...{ success: { count: 2, ms: 10 }, fail: { count: 1, ms: 3 }, compute: { count: 2, ms: 6 } },
    })
    expect(mergeStats([one(5), one(9), one(7)])).toEqual({
      ...{ lastInference: 9, inferences: 12, executions: 6 },
      ...{ success: { count: 6, ms: 30 }, fail: { count: 3, ms: 9 }, compute: { count: 6, ms: 18 } },
    })
    expect(mergeGuardCounts([])).toEqual({ requests: 0, errors: 0, inputFailures: 0 })
    expect(
      mergeGuardCounts([
        { requests: 3, errors: 1, inputFailures: 2 },
        { requests: 4, errors: 0, inputFailures: 1 },
      ]),
    ).toEqual({ requests: 7, errors: 1, inputFailures: 3 })
  })
})
