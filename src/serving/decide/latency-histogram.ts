/** Answered requests per latency bucket. Bucket i holds latencies up to 0.1 ms · 2^(i/8): each is 9 % wider than the last. */
export type LatencyHistogram = Record<string, number>

const smallestMs = 0.1
const perDoubling = 8

/** @param ms 0 or more */
export const latencyBucket = (ms: number): number =>
  ms <= smallestMs ? 0 : Math.ceil(Math.log2(ms / smallestMs) * perDoubling)

/** Counts one request, in place. */
export function addLatency(histogram: LatencyHistogram, ms: number): void {
  const bucket = latencyBucket(ms)
  histogram[bucket] = (histogram[bucket] ?? 0) + 1
}

/** Bucket by bucket; empty for none. */
export function mergeHistograms(histograms: readonly LatencyHistogram[]): LatencyHistogram {
  const merged: LatencyHistogram = {}
  for (const histogram of histograms)
    for (const [bucket, count] of Object.entries(histogram)) merged[bucket] = (merged[bucket] ?? 0) + count
  return merged
}

/**
 * The latency that a share of requests does not exceed: the upper end of its bucket, so at most 9 % too high, never too low.
 * @param share 0..1, as in 0.99
 * @returns milliseconds; undefined where there are no requests
 */
export function latencyQuantileMs(histogram: LatencyHistogram, share: number): number | undefined {
  const buckets = Object.entries(histogram)
    .map(([bucket, count]) => ({ bucket: Number(bucket), count }))
    .sort((a, b) => a.bucket - b.bucket)
  const total = buckets.reduce((sum, one) => sum + one.count, 0)
  let passed = 0
  for (const { bucket, count } of buckets) {
    passed += count
    if (passed >= share * total) return smallestMs * 2 ** (bucket / perDoubling)
  }
  return undefined
}
