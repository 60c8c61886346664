import { describe, expect, test } from 'vitest'
import type { FeatureComparison } from './compare-feature.ts'
import { type DriftBound, decideDrift } from './decide-drift.ts'

const calm: FeatureComparison = {
  feature: 'radius',
  kind: 'numeric',
  psi: 0.01,
  ks: { statistic: 0.02, pValue: 0.6 },
  jensenShannon: 0.03,
  missing: { reference: 0, current: 0, pValue: 1 },
  newCategories: [],
  newCategoryShare: 0,
  n: 500,
  present: 500,
}
const word: FeatureComparison = { ...calm, feature: 'site', kind: 'categorical', ks: undefined }
const psiBound: DriftBound = { statistic: 'psi', comparator: '>', bound: 0.2 }
const ksDistance: DriftBound = { statistic: 'ks', comparator: '>', bound: 0.1 }
const ksBound: DriftBound = { statistic: 'ks', comparator: '<', bound: 0.001 }

describe.each<[string, Partial<FeatureComparison>, DriftBound[], string, RegExp]>([
  ['calm', {}, [psiBound, ksBound], 'no drift', /PSI 0.01, within the bound > 0.2/],
  ['on the bound', { psi: 0.2 }, [psiBound], 'no drift', /PSI 0.2,/],
  ['beyond PSI', { psi: 0.31 }, [psiBound], 'drift', /^PSI 0.31, beyond the bound > 0.2\.$/],
  [
    'beyond KS',
    { ks: { statistic: 0.4, pValue: 1e-9 } },
    [ksBound],
    'drift',
    /KS 0.4 with p 1e-9, beyond the bound < 0.001/,
  ],
  ['a great KS statistic', { ks: { statistic: 0.4, pValue: 1e-9 } }, [ksDistance], 'drift', /KS 0.4 .* > 0.1\.$/],
  ['a great p-value and a bound of the statistic', {}, [ksDistance], 'no drift', /KS 0.02 with p 0.6, within/],
  [
    'PSI that chance may give',
    { psi: 0.31, psiPValue: 0.02 },
    [psiBound],
    'no drift',
    /but chance may give that in 500 rows/,
  ],
  ['PSI beyond chance', { psi: 0.31, psiPValue: 0.009 }, [psiBound], 'drift', /^PSI 0.31, beyond the bound > 0.2\.$/],
  ['great PSI that nobody bounded', { psi: 3 }, [ksBound], 'no drift', /KS/],
  ['great PSI without any bound', { psi: 3 }, [], 'drift', /PSI 3, beyond the bound > 0.2/],
  [
    'missing values, PSI alone bounded',
    { missing: { reference: 0.01, current: 0.2, pValue: 1e-12 } },
    [psiBound],
    'drift',
    /20 % missing against 1 % in the reference \(p 1e-12\), beyond the bound > 5 % more/,
  ],
  [
    'as many missing as ever',
    { missing: { reference: 0.3, current: 0.31, pValue: 0.5 } },
    [psiBound],
    'no drift',
    /31 % missing/,
  ],
  [
    'missing values within a wider bound',
    { missing: { reference: 0, current: 0.2, pValue: 1e-12 } },
    [{ statistic: 'missing', comparator: '>', bound: 0.5 }],
    'no drift',
    /20 % missing/,
  ],
  [
    'no value to compare',
    { psi: null, present: 20 },
    [psiBound],
    'too few rows',
    /20 of at least 100 rows have a value/,
  ],
])('a feature with %s', (_, facts, bounds, outcome, reason) => {
  test(`is judged "${outcome}"`, () => {
    const verdict = decideDrift([{ ...calm, ...facts }], bounds, 100)
    expect(verdict.features[0]!.outcome).toBe(outcome)
    expect(verdict.features[0]!.reasons.some((text) => reason.test(text))).toBe(true)
  })
})

test('one drifting feature makes the window drift, and the reasons name it', () => {
  const verdict = decideDrift([calm, { ...calm, feature: 'texture', psi: 0.5 }], [psiBound], 100)
  expect(verdict.outcome).toBe('drift')
  expect(verdict.reasons).toEqual(['texture: PSI 0.5, beyond the bound > 0.2.'])
  expect(verdict.features.map(({ outcome }) => outcome)).toEqual(['no drift', 'drift'])
})

test('a window below the least number of rows is not judged, however far it is', () => {
  const verdict = decideDrift([{ ...calm, n: 30, present: 30, psi: 4 }], [psiBound], 100)
  expect(verdict).toMatchObject({ outcome: 'too few rows', reasons: ['30 of at least 100 rows.'] })
  expect(verdict.features[0]!.outcome).toBe('too few rows')
  expect(decideDrift([], [psiBound], 100).outcome).toBe('too few rows')
})

test('a window whose features all lack values is not called free of drift', () => {
  const sparse = { ...calm, psi: 0.9, present: 20, missing: { reference: 0.95, current: 0.96, pValue: 0.3 } }
  expect(decideDrift([sparse], [psiBound], 100).outcome).toBe('too few rows')
  expect(decideDrift([sparse, calm], [psiBound], 100).outcome).toBe('no drift')
})

test('a feature that went missing drifts although too few values are left to compare', () => {
  const gone = { ...calm, psi: 9, present: 3, missing: { reference: 0, current: 0.994, pValue: 0 } }
  const verdict = decideDrift([gone], [psiBound], 100)
  expect(verdict.outcome).toBe('drift')
  expect(verdict.reasons).toEqual([
    'radius: 99.4 % missing against 0 % in the reference (p 0), beyond the bound > 5 % more.',
  ])
})

test('new categories drift from their share on, and are named below it too', () => {
  const few = decideDrift([{ ...word, newCategories: ['lung'], newCategoryShare: 0.01 }], [psiBound], 100)
  expect(few.outcome).toBe('no drift')
  expect(few.features[0]!.reasons).toContain('new categories "lung" in 1 % of the rows, within the bound > 5 %.')
  const many = decideDrift([{ ...word, newCategories: ['lung'], newCategoryShare: 0.2 }], [psiBound], 100)
  expect(many.reasons).toEqual(['site: new categories "lung" in 20 % of the rows, beyond the bound > 5 %.'])
})

test('a test of numbers says nothing about categories', () => {
  const verdict = decideDrift([word], [ksBound], 100)
  expect(verdict.outcome).toBe('no drift')
  expect(verdict.features[0]!.reasons.join()).not.toMatch(/KS/)
})

test('the order of bounds and features does not change what is decided', () => {
  const features = [calm, { ...calm, feature: 'b', psi: 0.5 }, { ...word, psi: 0.1 }]
  const forward = decideDrift(features, [psiBound, ksBound], 100)
  const backward = decideDrift(features.toReversed(), [ksBound, psiBound], 100)
  expect(backward.outcome).toBe(forward.outcome)
  expect(backward.features.toReversed().map(({ outcome }) => outcome)).toEqual(forward.features.map((f) => f.outcome))
})
