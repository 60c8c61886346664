import { expect, it } from 'vitest'
import { profileColumn } from '../../math/feature-profile.ts'
import { seededRng } from '../../math/rng.ts'
import { judgeWindow } from './judge-window.ts'

const features = Array.from({ length: 30 }, (_, i) => `f${i}`)
const psi = [{ statistic: 'psi', comparator: '>', bound: 0.2 }] as const

it.each([50, 100, 500])('raises fewer than 3 false alarms in 100 windows of %i rows over 30 features', (size) => {
  const rng = seededRng(11)
  const table = (rows: number) =>
    Array.from({ length: rows }, () => Object.fromEntries(features.map((name) => [name, rng.uniform()])))
  const training = table(455)
  const reference = {
    inputs: features,
    features: Object.fromEntries(
      features.map((name) => [
        name,
        profileColumn(
          training.map((row) => row[name]!),
          { seed: 1 },
        ),
      ]),
    ),
  }
  const alarms = Array.from({ length: 100 }, () => table(size)).filter(
    (rows) => judgeWindow({ rows, reference, bounds: psi, minRows: 50 }).outcome === 'drift',
  )
  expect(alarms.length).toBeLessThan(3)
})

it('still sees one feature of 30 that moved by a standard deviation in 60 rows', () => {
  const rng = seededRng(12)
  const table = (rows: number, shift: number) =>
    Array.from({ length: rows }, () =>
      Object.fromEntries(features.map((name, i) => [name, rng.uniform() + (i === 7 ? shift : 0)])),
    )
  const training = table(455, 0)
  const reference = {
    inputs: features,
    features: Object.fromEntries(
      features.map((name) => [
        name,
        profileColumn(
          training.map((row) => row[name]!),
          { seed: 1 },
        ),
      ]),
    ),
  }
  // The standard deviation of a uniform variable on [0, 1) is 1/√12.
  const { features: judged } = judgeWindow({ rows: table(60, 1 / Math.sqrt(12)), reference, bounds: psi, minRows: 50 })
  expect(judged.filter(({ outcome }) => outcome === 'drift').map(({ feature }) => feature)).toEqual(['f7'])
})
