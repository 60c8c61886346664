import { expect, test } from 'vitest'
import { seededRng, splitmix64, xoshiro128 } from './rng.ts'

test('xoshiro128 gives the numbers of its authors’ C program', () => {
  const rng = xoshiro128(Uint32Array.of(1, 2, 3, 4))
  const expected = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804]
  expect(expected.map(() => rng.next32())).toEqual(expected)
})

test('splitmix64 gives the numbers of its author’s C program', () => {
  let state = 1477776061723855037n
  const outputs = Array.from({ length: 3 }, () => {
    const step = splitmix64(state)
    state = step.state
    return step.output
  })
  expect(outputs).toEqual([1985237415132408290n, 2979275885539914483n, 13511426838097143398n])
})

test('one seed always gives the same numbers, another seed others', () => {
  const draw = (seed: number | string) => {
    const rng = seededRng(seed)
    return Array.from({ length: 20 }, () => rng.uniform())
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw('run-a')).toEqual(draw('run-a'))
  expect(draw(7)).not.toEqual(draw(8))
  expect(draw('run-a')).not.toEqual(draw('run-b'))
})

test('uniform fills [0, 1) evenly', () => {
  const rng = seededRng(1)
  const cells = new Array<number>(10).fill(0)
  for (let i = 0; i < 100_000; i++) cells[Math.floor(rng.uniform() * 10)]!++
  // Five standard deviations of a binomial count around 10,000.
  for (const count of cells) expect(Math.abs(count - 10_000)).toBeLessThan(5 * Math.sqrt(9000))
})

test('below reaches every integer under its bound and none other', () => {
  const rng = seededRng(2)
  const seen = new Set(Array.from({ length: 500 }, () => rng.below(6)))
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5])
})
