import { expect, test } from 'vitest'
import { asNumbers, expected, readColumns } from '../../test/fixtures/drift/read-drift.ts'
import { decileCells, type NumericProfile, profileColumn, type Values } from './feature-profile.ts'
import { nextAbove } from './quantiles.ts'
import { seededRng } from './rng.ts'

const numeric = (values: Values) => profileColumn(values, { seed: 1, kind: 'numeric' }) as NumericProfile

test('a numeric profile holds numpy’s count, mean, deviation and quantiles', () => {
  for (const [feature, facts] of Object.entries(expected.scipy_2000_1500!)) {
    if (!('mean_ref' in facts)) continue
    const values = asNumbers(readColumns('ref_2000.csv').get(feature)!)
    const profile = numeric(values)
    expect([profile.count, profile.count - profile.missing]).toEqual([2000, facts.n_ref])
    expect(profile.mean).toBeCloseTo(facts.mean_ref as number, 12)
    expect(profile.std).toBeCloseTo(facts.std_ref_pop as number, 12)
    const quantiles = facts.quantiles_ref as Record<string, number>
    expect([profile.min, profile.max]).toEqual([quantiles[0], quantiles[1]])
    expect(profile.deciles[5]).toBeCloseTo(quantiles['0.5']!, 12)
    expect(profile.cellCounts.reduce((sum, count) => sum + count)).toBe(facts.n_ref)
  }
})

test('a profile survives JSON and does not depend on the order of rows', () => {
  const rng = seededRng(3)
  const numbers = Array.from({ length: 5000 }, (_, i) => (i % 11 === 0 ? null : rng.uniform() * 100))
  const words = Array.from({ length: 3000 }, () => `w${rng.below(300)}`)
  for (const values of [numbers, words] as Values[]) {
    const profile = profileColumn(values, { seed: 4 })
    expect(JSON.parse(JSON.stringify(profile))).toEqual(profile)
    expect(profileColumn(shuffled(values), { seed: 4 })).toEqual(profile)
  }
})

test('the sample of a long column has 2,000 of its values, others for another seed, and its middle is the column’s', () => {
  const values = Array.from({ length: 20_000 }, (_, i) => i)
  const sample = numeric(values).sample
  expect(new Set(sample).size).toBe(2000)
  expect(sample.every((value) => Number.isInteger(value) && value >= 0 && value < 20_000)).toBe(true)
  // The median of 2,000 from 20,000 even values has a standard deviation of about 0.5/√2000 · 20,000 ≈ 224.
  expect(Math.abs(sample[1000]! - 10_000)).toBeLessThan(5 * 224)
  const other = profileColumn(values, { seed: 2 }) as NumericProfile
  expect(other.sample).not.toEqual(sample)
})

test('null, NaN, infinities and texts in a numeric column are missing', () => {
  const profile = numeric([1, null, Number.NaN, Number.POSITIVE_INFINITY, 'n/a', true])
  expect([profile.count, profile.missing, profile.sample]).toEqual([6, 4, [1, 1]])
})

test('a column without any value has a profile', () => {
  expect(numeric([null, null])).toMatchObject({ count: 2, missing: 2, mean: null, sample: [], cellCounts: [] })
  expect(profileColumn([null], { seed: 1 })).toMatchObject({ kind: 'categorical', count: 1, missing: 1, counts: [] })
})

test('a column is numeric only where every present value is a number', () => {
  const kinds = [[1, null, 2], [1, 'a'], [true, false], [null], []].map((v) => profileColumn(v, { seed: 1 }).kind)
  expect(kinds).toEqual(['numeric', 'categorical', 'categorical', 'categorical', 'categorical'])
  expect(profileColumn([1, 2, 1], { seed: 1, kind: 'categorical' })).toMatchObject({
    counts: [
      { category: '1', count: 2 },
      { category: '2', count: 1 },
    ],
  })
})

test('beyond 200 categories the rare ones are counted together', () => {
  const values = Array.from({ length: 205 }, (_, i) => [`c${i}`, ...(i < 200 ? [`c${i}`] : [])]).flat()
  const profile = profileColumn(values, { seed: 1 })
  expect(profile).toMatchObject({ count: 405, missing: 0, other: { categories: 5, count: 5 } })
  expect(profile.kind === 'categorical' && profile.counts.length).toBe(200)
})

test('continuous values are cut at the nine inner deciles', () => {
  expect(decileCells([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a value that fills several deciles has a cell of its own', () => {
  expect(decileCells([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])).toEqual([0, nextAbove(0)])
  expect(decileCells([1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 8])).toEqual([2, nextAbove(2), 3, 4, 5, 6, 7, 8, nextAbove(8)])
})

function shuffled<T>(values: readonly T[]): T[] {
  const rng = seededRng(99)
  const copy = [...values]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = rng.below(i + 1)
    ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
  }
  return copy
}
