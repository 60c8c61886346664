import { describe, expect, test } from 'vitest'
import { asNumbers, categorical, expected, readColumns } from '../../../test/fixtures/drift/read-drift.ts'
import { profileColumn, type Values } from '../../math/feature-profile.ts'
import { seededRng } from '../../math/rng.ts'
import { compareFeature } from './compare-feature.ts'

const reference = readColumns('ref_2000.csv')
const current = readColumns('cur_1500.csv')
const facts = expected.scipy_2000_1500!

const compare = (before: Values, now: Values) =>
  compareFeature(profileColumn(before, { seed: 7 }), now, { feature: 'f' })

const near = (actual: number | null | undefined, wanted: unknown, relative = 1e-9) =>
  expect(Math.abs(actual! - (wanted as number))).toBeLessThanOrEqual(relative * Math.abs(wanted as number))

describe.each([...reference.keys()].filter((name) => !categorical.includes(name)))('numeric %s', (name) => {
  test('has the textbook’s PSI over reference deciles and scipy’s KS', () => {
    const found = compare(asNumbers(reference.get(name)!), asNumbers(current.get(name)!))
    const ks = facts[name]!.ks as { stat: number; p_auto: number }
    near(found.psi, facts[name]!.psi_deciles_ref_eps1e4)
    near(found.ks!.statistic, ks.stat)
    near(found.ks!.pValue, ks.p_auto, 1e-6)
    expect(found.n - found.present).toBe(1500 - (facts[name]!.n_cur as number))
  })
})

describe.each(['fewvals', 'binary', 'cat'])('categorical %s', (name) => {
  test('has scipy’s chi² and Jensen–Shannon distance', () => {
    const found = compareFeature(
      profileColumn(reference.get(name)!, { seed: 7, kind: 'categorical' }),
      current.get(name)!,
      { feature: name },
    )
    const chi2 = facts[name]!.chi2_contingency as { stat: number; p: number }
    near(found.psi, facts[name]!.psi_eps1e4)
    near(found.jensenShannon, facts[name]!.js_distance_ln)
    near(found.chi2!.statistic, chi2.stat)
    near(found.chi2!.pValue, chi2.p, 1e-6)
    expect(found.newCategories).toEqual([])
  })
})

test('a new category is named with its share and left out of the distances', () => {
  const before = [...Array(60).fill('a'), ...Array(40).fill('b')]
  const found = compare(before, [...before, 'z', 'y', 'z', null])
  expect(found).toMatchObject({ newCategories: ['z', 'y'], newCategoryShare: 3 / 104, psi: 0, jensenShannon: 0 })
  expect(found.chi2!.pValue).toBe(1)
})

test('cat_new, which Evidently scores 2.96 for its new category, is judged on what both sides know', () => {
  const found = compare(reference.get('cat_new')!, current.get('cat_new')!)
  expect(found.newCategories).toEqual(['w'])
  expect(found.newCategoryShare).toBe(283 / 1500)
  // x, y, z: 977, 620, 403 of 2,000 against 764, 453, 0 of 1,217.
  const shares = [
    [977 / 2000, 764 / 1217],
    [620 / 2000, 453 / 1217],
    [403 / 2000, 1e-4],
  ] as const
  near(
    found.psi,
    shares.reduce((sum, [r, c]) => sum + (r - c) * Math.log(r / c), 0),
  )
})

test('where only the 200 most frequent categories are kept, an unknown one counts with the rare', () => {
  const before = Array.from({ length: 205 }, (_, i) => [`c${i}`, ...(i < 200 ? [`c${i}`] : [])]).flat()
  const found = compare(before, [...before.slice(0, 400), 'n1', 'n2', 'n3', 'n4', 'n5'])
  expect(found).toMatchObject({ newCategories: [], newCategoryShare: 0, psi: 0 })
})

test('missing values are scored with the p of scipy’s uncorrected chi² of present and missing', () => {
  const found = compare(asNumbers(reference.get('missing')!), asNumbers(current.get('missing')!))
  expect(found.missing.reference).toBe(107 / 2000)
  expect(found.missing.current).toBe(241 / 1500)
  near(found.missing.pValue, 1.0116266828787748e-25, 1e-6)
  expect(compare([1, 2, null], [1, 2, null]).missing.pValue).toBe(1)
})

test('a window without any value has no distance, and its missing share is 1', () => {
  expect(compare([1, 2, 3], [null, null])).toMatchObject({ psi: null, jensenShannon: null, present: 0, n: 2 })
  expect(compare([1, 2, 3], [null]).missing.current).toBe(1)
  expect(compare(['a', 'b'], [null]).psi).toBe(null)
  expect(compare(['a', 'b'], ['z'])).toMatchObject({ psi: null, newCategories: ['z'], newCategoryShare: 1 })
})

test('a reference that never varied drifts when its value changes', () => {
  expect(compare(Array(100).fill(5), Array(50).fill(5)).psi).toBe(0)
  expect(compare(Array(100).fill(5), Array(50).fill(6)).psi).toBeGreaterThan(1)
  const mostlyZero = Array.from({ length: 100 }, (_, i) => (i < 96 ? 0 : 1))
  expect(
    compare(
      mostlyZero,
      Array.from({ length: 100 }, (_, i) => i % 2),
    ).psi,
  ).toBeGreaterThan(0.2)
})

test('a window that is the reference has PSI 0, and the order of its rows changes nothing', () => {
  const rng = seededRng(5)
  for (let round = 0; round < 20; round++) {
    const values = Array.from({ length: 300 }, () => (rng.uniform() < 0.1 ? null : Math.round(rng.uniform() * 60) / 4))
    const words = values.map((value) => (value === null ? null : `k${Math.round(value)}`))
    for (const column of [values, words]) {
      const itself = compare(column, column)
      expect([itself.psi, itself.jensenShannon, itself.missing.pValue]).toEqual([0, 0, 1])
      const window = column.slice(0, 120)
      expect(compare(column, window.toReversed())).toEqual(compare(column, window))
      expect(compare(column.toReversed(), window)).toEqual(compare(column, window))
    }
  }
})
