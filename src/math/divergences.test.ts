import { expect, test } from 'vitest'
import { hellinger, kullbackLeibler, totalVariation } from './divergences.ts'
import { jensenShannon } from './jensen-shannon.ts'
import { psi } from './psi.ts'
import { seededRng } from './rng.ts'
import { energyDistance, wasserstein } from './wasserstein.ts'

// Expected values of scipy 1.17.1 where none follows from the definition.
test('the Jensen–Shannon distance is scipy’s', () => {
  expect(jensenShannon([3, 5, 2], [1, 1, 8])).toBeCloseTo(0.44193956284451197, 14)
  expect(jensenShannon([1, 0, 0], [0, 1, 0], 2)).toBe(1)
})

test('Kullback–Leibler is scipy’s entropy of two distributions, and infinite where the second is empty', () => {
  expect(kullbackLeibler([3, 5, 2], [1, 1, 8])).toBeCloseTo(0.8570437705935048, 14)
  expect(kullbackLeibler([1, 1], [1, 0])).toBe(Number.POSITIVE_INFINITY)
})

test('Wasserstein and energy distance are scipy’s', () => {
  expect(wasserstein([0, 1, 3], [5, 6, 8])).toBeCloseTo(5, 14)
  expect(wasserstein([1, 2.5, 1], [4, 0])).toBeCloseTo(1.5, 14)
  expect(energyDistance([1, 1, 2.5], [0, 4])).toBeCloseTo(1.1547005383792517, 14)
})

test('disjoint distributions are as far apart as can be', () => {
  expect(hellinger([4, 0], [0, 9])).toBe(1)
  expect(totalVariation([4, 0], [0, 9])).toBe(1)
  expect(jensenShannon([4, 0], [0, 9])).toBeCloseTo(Math.sqrt(Math.LN2), 14)
})

test('PSI of (0.5, 0.5) against (0.9, 0.1) is 0.4·ln 9, and an empty cell counts as 1e-4', () => {
  expect(psi([5, 5], [9, 1])).toBeCloseTo(0.4 * Math.log(9), 14)
  expect(psi([1, 1], [1, 0])).toBeCloseTo(-0.5 * Math.log(0.5) + 0.4999 * Math.log(5000), 12)
})

test('a distribution is at distance 0 from itself and from its multiple, whatever it is', () => {
  const rng = seededRng(11)
  for (let round = 0; round < 50; round++) {
    const cells = Array.from({ length: 1 + rng.below(12) }, () => 1 + rng.below(40))
    const doubled = cells.map((count) => count * 2)
    for (const distance of [psi, jensenShannon, kullbackLeibler, totalVariation, hellinger]) {
      // Square roots turn a rounding error of 1e-16 into 1e-8.
      expect(Math.abs(distance(cells, doubled))).toBeLessThan(1e-7)
    }
    expect(psi(cells, cells)).toBe(0)
  }
})

test('distributions over different cells are refused', () => {
  expect(() => psi([1, 2], [1])).toThrow('2 and 1 cells')
})
