import { expect, it } from 'vitest'
import { addLatency, type LatencyHistogram, latencyQuantileMs, mergeHistograms } from './latency-histogram.ts'

it('tells quantiles at most 9 % too high and never too low, also of merged parts', () => {
  const values = Array.from({ length: 1000 }, (_, i) => 0.05 * 1.012 ** i)
  const parts: LatencyHistogram[] = [{}, {}, {}]
  for (const [i, ms] of values.entries()) addLatency(parts[i % 3]!, ms)
  const merged = mergeHistograms(parts)
  for (const share of [0.5, 0.9, 0.99, 1]) {
    const exact = values[share * 1000 - 1]!
    const told = latencyQuantileMs(merged, share)!
    expect(told).toBeGreaterThanOrEqual(exact * (1 - 1e-12))
    expect(told).toBeLessThanOrEqual(exact * 2 ** (1 / 8) + 0.1)
  }
  expect(latencyQuantileMs({}, 0.5)).toBeUndefined()
})
