import { describe, expect, it } from 'vitest'
import type { FailureKind, Retries } from '../../projects/index.ts'
import { afterFailure, failureOf } from './after-failure.ts'

const none: Retries = { times: 0, waitMs: 10_000, on: ['error', 'timeout', 'memory', 'lost'] }
const two: Retries = { times: 2, waitMs: 10_000, on: ['error', 'lost'] }

describe('after a failed attempt', () => {
  it.each<[string, Retries, FailureKind, number, number | 'ends']>([
    ['ends where no retry is declared', none, 'error', 1, 'ends'],
    ['waits first for the declared pause', two, 'error', 1, 11_000],
    ['waits twice as long then', two, 'error', 2, 21_000],
    ['ends when the retries are used up', two, 'error', 3, 'ends'],
    ['ends for a kind that is not declared', two, 'timeout', 1, 'ends'],
    ['starts what was lost again without being asked', none, 'lost', 1, 1_000],
    ['and once more', none, 'lost', 2, 1_000],
    ['but not for ever', none, 'lost', 3, 'ends'],
    ['never waits for more than a day', { ...two, times: 20 }, 'error', 20, 86_401_000],
  ])('%s', (_, retries, failure, attempt, expected) => {
    const decided = afterFailure(retries, failure, attempt, 1_000)
    expect(decided.outcome === 'ends' ? 'ends' : decided.notBefore).toBe(expected)
  })
})

describe('the kind of a failure', () => {
  const end = { code: 1, timedOut: false, memoryLimited: false, tail: '' }
  it.each<[string, Partial<Parameters<typeof failureOf>[0]>, FailureKind]>([
    ['an exit status', {}, 'error'],
    ['a time limit, whatever else', { timedOut: true, memoryKills: 1 }, 'timeout'],
    ['counted kills', { memoryLimited: true, memoryKills: 2 }, 'memory'],
    ['a limit that nobody counts, by its words', { memoryLimited: true, tail: 'MemoryError' }, 'memory'],
    [
      'the same words where the kernel counted none',
      { memoryLimited: true, memoryKills: 0, tail: 'MemoryError' },
      'error',
    ],
    ['the same words without a limit', { tail: 'MemoryError' }, 'error'],
  ])('%s', (_, facts, expected) => {
    expect(failureOf({ ...end, ...facts })).toBe(expected)
  })
})
