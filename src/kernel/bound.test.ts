import { describe, expect, it } from 'vitest'
import { boundsIn, compares, parseBound, targetOf } from './bound.ts'

function bound(text: string) {
  const parsed = parseBound(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.bound
}

describe('parseBound', () => {
  it.each([
    ['>= 0.95', '>=', 0.95],
    ['<=20', '<=', 20],
    ['== 1', '==', 1],
    ['!= 0', '!=', 0],
    ['> 0.2', '>', 0.2],
    ['  <  -1.5e-3 ', '<', -0.0015],
    ['<= 1%', '<=', 0.01],
    ['>= .5', '>=', 0.5],
  ])('reads %s as a fixed bound', (text, comparator, target) => {
    expect(bound(text).comparator).toBe(comparator)
    expect(targetOf(bound(text), undefined)).toBeCloseTo(target, 15)
  })

  it.each([
    ['>= champion', 0.8, 0.8],
    ['>= champion - 0.005', 0.8, 0.795],
    ['>= champion-0.005', 0.8, 0.795],
    ['>= champion - 1%', 0.8, 0.792],
    ['<= champion + 10%', 20, 22],
    ['<= champion + 10%', -10, -9],
    ['>= champion - 10%', -10, -11],
    ['>= champion * 0.9', 0.8, 0.72],
    ['>= champion * 90%', 0.8, 0.72],
    ['<= champion + 10%', 0, 0],
  ])('%s beside a champion of %d compares with %d', (text, champion, target) => {
    expect(targetOf(bound(text), champion)).toBeCloseTo(target, 12)
  })

  it('has no number to compare with while the champion has none', () => {
    expect(targetOf(bound('>= champion'), undefined)).toBeNaN()
    expect(targetOf(bound('>= champion - 10%'), Infinity)).toBeNaN()
    expect(targetOf(bound('>= champion - 10'), -Infinity)).toBe(-Infinity)
  })

  it.each([
    '',
    '0.95',
    '=> 0.9',
    '= 1',
    '>= ',
    '>= high',
    '>= champion - champion',
    '>= champion + -1',
    '>= 1e999',
    '>= 5 %%',
    '>>= 3',
  ])('refuses %j and says what it found and what is allowed', (text) => {
    const parsed = parseBound(text)
    expect(parsed.ok).toBe(false)
    if (parsed.ok) return
    expect(parsed.problem).toMatch(/^found ".*"/)
    expect(parsed.problem).toContain('>= champion - 0.005')
  })

  it('names the comparator that was probably meant', () => {
    expect(parseBound('=> 0.9')).toMatchObject({ ok: false, problem: expect.stringContaining('did you mean ">="') })
    expect(parseBound('= 1')).toMatchObject({ ok: false, problem: expect.stringContaining('did you mean "=="') })
  })
})

it('lists the bounds of a nested expression in the order written', () => {
  const nested = { all: [bound('>= 0.9'), { any: [bound('>= champion'), { all: [bound('<= 1')] }] }] }
  expect(boundsIn(nested).map((one) => one.text)).toEqual(['>= 0.9', '>= champion', '<= 1'])
})

it('meets nothing but != with NaN', () => {
  expect((['>=', '<=', '==', '>', '<'] as const).some((one) => compares(Number.NaN, one, 1))).toBe(false)
  expect(compares(Number.NaN, '!=', 1)).toBe(true)
})
