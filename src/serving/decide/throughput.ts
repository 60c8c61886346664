import type { EpochMs } from '../../kernel/time.ts'

/** How many requests were answered of late: `weight` counts them, each fading with its age. */
export type Throughput = { since: EpochMs; at: EpochMs; weight: number }

/** After so long an answer counts for a third of what it did. */
const memoryMs = 10_000
const longestRetrySeconds = 30

export const noThroughput = (now: EpochMs): Throughput => ({ since: now, at: now, weight: 0 })

/** One more answer. */
export const withAnswer = (seen: Throughput, now: EpochMs): Throughput => ({
  since: seen.since,
  at: now,
  weight: faded(seen, now) + 1,
})

/** Answers per second of late; 0 where there was none. */
export function answersPerSecond(seen: Throughput, now: EpochMs): number {
  // What a steady stream of one answer per second would have come to in this time.
  const steady = (memoryMs / 1000) * (1 - Math.exp(-Math.max(now - seen.since, 1) / memoryMs))
  return faded(seen, now) / steady
}

/**
 * When who was turned away should come again: after as long as those who wait take at the present pace.
 * @returns whole seconds, 1 to 30
 */
export function retryAfterSeconds(waiting: number, perSecond: number): number {
  const seconds = perSecond > 0 ? Math.ceil(waiting / perSecond) : longestRetrySeconds
  return Math.min(Math.max(seconds, 1), longestRetrySeconds)
}

const faded = ({ at, weight }: Throughput, now: EpochMs): number => weight * Math.exp(-Math.max(now - at, 0) / memoryMs)
