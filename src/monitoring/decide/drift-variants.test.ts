import { describe, expect, test } from 'vitest'
import { asNumbers, categorical, expected, readColumns } from '../../../test/fixtures/drift/read-drift.ts'
import { type DriftVariantName, driftVariants, evidentlyDefault, type Sample } from './drift-variants.ts'

const cases = [
  { sizes: '600_600', reference: readColumns('ref_600.csv'), current: readColumns('cur_600.csv') },
  { sizes: '2000_1500', reference: readColumns('ref_2000.csv'), current: readColumns('cur_1500.csv') },
]

const sampleOf = (columns: Map<string, (string | null)[]>, feature: string): Sample => {
  const present = columns.get(feature)!.filter((cell) => cell !== null)
  return categorical.includes(feature)
    ? { kind: 'categorical', values: present }
    : { kind: 'numeric', values: asNumbers(present) as number[] }
}

/** Our variant → where its value stands in scipy's part of expected.json. */
const scipyPlaces: Partial<Record<DriftVariantName, string>> = {
  ks: 'ks.p_auto',
  ks_asymptotic: 'ks.p_asymp',
  ks_statistic: 'ks.stat',
  wasserstein: 'wasserstein',
  energy: 'energy',
  psi_deciles: 'psi_deciles_ref_eps1e4',
  chi2: 'chi2_contingency.p',
  chi2_uncorrected: 'chi2_contingency_nocorr.p',
  psi_categories: 'psi_eps1e4',
  jensen_shannon: 'js_distance_ln',
  jensen_shannon_base2: 'js_distance_2',
  hellinger: 'hellinger',
  total_variation: 'tvd',
}
const evidentlyNames = Object.keys(driftVariants).filter((name) => name.startsWith('evidently_')) as DriftVariantName[]

for (const { sizes, reference, current } of cases) {
  describe.each([...reference.keys()])(`%s of ${sizes}`, (feature) => {
    const [r, c] = [sampleOf(reference, feature), sampleOf(current, feature)]
    const scipy = expected[`scipy_${sizes}`]![feature]!
    const evidently = expected[`evidently_${sizes}`]![feature]!
    const applies = (name: DriftVariantName) => (driftVariants[name].kinds as readonly string[]).includes(r.kind)

    const scipyNames = (Object.keys(scipyPlaces) as DriftVariantName[]).filter(applies)
    test.each(scipyNames)('%s is scipy’s', (name) => {
      expectSame(name, driftVariants[name].score(r, c), valueAt(scipy, scipyPlaces[name]!))
    })

    // z exists for two categories alone.
    const known = evidentlyNames.filter((name) => applies(name) && name.slice('evidently_'.length) in evidently)
    test.each(known)('%s is Evidently’s', (name) => {
      expectSame(name, driftVariants[name].score(r, c), evidently[name.slice('evidently_'.length)] as number)
    })

    test('Evidently would choose the same method by itself', () => {
      expect(evidentlyDefault(r).variant).toBe(`evidently_${evidently.default}`)
    })
  })
}

test('a variant for numbers refuses categories', () => {
  const letters: Sample = { kind: 'categorical', values: ['a'] }
  expect(() => driftVariants.ks.score(letters, letters)).toThrow('given categories')
})

test('Evidently’s bounds: a test below 0.05, a distance from 0.1 on', () => {
  const few = evidentlyDefault({ kind: 'categorical', values: ['a', 'b', 'a'] })
  expect([few.variant, few.drifted(0.049), few.drifted(0.05)]).toEqual(['evidently_z', true, false])
  const many = evidentlyDefault({ kind: 'numeric', values: Array.from({ length: 1001 }, (_, i) => i) })
  expect([many.variant, many.drifted(0.099), many.drifted(0.1)]).toEqual(['evidently_wasserstein', false, true])
})

function expectSame(name: DriftVariantName, actual: number, wanted: number) {
  const relative = driftVariants[name].scale === 'p-value' ? 1e-6 : 1e-9
  expect(Math.abs(actual - wanted), `${actual} against ${wanted}`).toBeLessThanOrEqual(relative * Math.abs(wanted))
}

function valueAt(facts: Record<string, unknown>, place: string): number {
  const [outer, inner] = place.split('.')
  const found = facts[outer!]
  return (inner === undefined ? found : (found as Record<string, unknown>)[inner]) as number
}
