import { describe, expect, it } from 'vitest'
import { seededRng } from '../../math/rng.ts'
import { rawElements, rawMember, wellFormed } from './raw-json.ts'

const rng = seededRng('raw json')
const pick = <T>(items: readonly T[]): T => items[Math.floor(rng.uniform() * items.length)]!
const texts = ['', 'a', '[1,2]', '"', '\\', 'ä\n\t', ']}', ',', 'inputs', '\u2028']

const value = (depth: number): unknown => {
  const kind = depth > 3 ? pick(['number', 'text', 'word']) : pick(['number', 'text', 'word', 'list', 'map'])
  if (kind === 'number') return pick([0, -1.5, 1e300, 12345678901234, 3e-9])
  if (kind === 'text') return pick(texts)
  if (kind === 'word') return pick([true, false, null])
  const many = Array.from({ length: Math.floor(rng.uniform() * 4) }, () => value(depth + 1))
  return kind === 'list' ? many : Object.fromEntries(many.map((one, at) => [`${pick(texts)}${at}`, one]))
}

describe('pieces of JSON', () => {
  it('are what JSON.parse makes of the whole, however it is laid out', () => {
    for (let round = 0; round < 2_000; round++) {
      const list = Array.from({ length: Math.floor(rng.uniform() * 5) }, () => value(0))
      const whole = { before: value(0), inputs: list, 'the "rest"': value(0) }
      const text = JSON.stringify(whole, null, pick([0, 2, '\t']))
      const at = rawMember(text, 'inputs')!
      const pieces = rawElements(text, at)!
      expect(pieces.map((piece) => JSON.parse(piece) as unknown)).toEqual(list)
      for (const piece of pieces) expect(piece).not.toMatch(/[\n\r]/)
    }
  })

  it('keep every digit', () => {
    expect(rawElements('[9007199254740993, [0.10000000000000000001 ]]', 0)).toEqual([
      '9007199254740993',
      '[0.10000000000000000001 ]',
    ])
  })

  it('are found by names that are written otherwise, and twice', () => {
    const text = '{"\\u0069nputs": [1], "a": {"inputs": [2]}, "inputs" :\n[3]}'
    expect(rawElements(text, rawMember(text, 'inputs')!)).toEqual(['3'])
    expect(rawElements('{"\\u0069nputs": [1]}', rawMember('{"\\u0069nputs": [1]}', 'inputs')!)).toEqual(['1'])
  })

  it('hold no half of a letter, and else what they held', () => {
    const lone = '\ufffd'
    for (const [written, read] of [
      ['\\ud800', lone],
      ['\\udfff\\ud83d\\ude00', `${lone}😀`],
      ['\\uD83D\\uD83D\\uDE00', `${lone}😀`],
      ['\\\\ud800', '\\ud800'],
      ['\\\\\\ud800\\n', `\\${lone}\n`],
    ])
      expect(JSON.parse(wellFormed(`{"${written}":["${written}"]}`))).toEqual({ [read!]: [read] })
  })

  it('are none where there is no map, no member or no list', () => {
    expect(rawMember('[1]', 'inputs')).toBeUndefined()
    expect(rawMember('{"a": 1}', 'inputs')).toBeUndefined()
    expect(rawElements('{"a": 1}', rawMember('{"a": 1}', 'a')!)).toBeUndefined()
  })
})
