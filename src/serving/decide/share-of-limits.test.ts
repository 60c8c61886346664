import { expect, it } from 'vitest'
import { shareOfLimits } from './share-of-limits.ts'

it.each([
  [{ workers: 4, concurrency: 10, queue: 100 }, 2, { workers: 2, concurrency: 5, queue: 50 }],
  [{ workers: 1, concurrency: 1, queue: 0 }, 4, { workers: 1, concurrency: 1, queue: 0 }],
  [{ workers: 5 }, 4, { workers: 2 }],
  // Of one worker and of one request there is no part.
  [
    { memoryBytes: 900, deadlineMs: 5_000, swap: 'hold' as const },
    3,
    { memoryBytes: 900, deadlineMs: 5_000, swap: 'hold' },
  ],
])('shares %j out among %i processes', (serve, processes, expected) => {
  expect(shareOfLimits(serve, processes)).toEqual(expected)
})
