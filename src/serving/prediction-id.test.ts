import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../kernel/digest.ts'
import { decodePredictionId, predictionId, rowId } from './prediction-id.ts'

const digest = digestOf('v')

describe('a prediction id', () => {
  it('gives back time, version and the digest’s beginning', () => {
    for (const at of [0, 1, 1_795_217_904_872, 2 ** 48 - 1])
      for (const version of [0, 7, 2 ** 32 - 1]) {
        const id = predictionId({ at, version, digest }, randomBytes(10))
        expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{40}$/)
        expect(decodePredictionId(id)).toEqual({ at, version, digestPrefix: digest.slice(7, 17), prediction: id })
      }
  })
  it('is what RFC 4648’s base32 says in Crockford’s letters', () => {
    // All bits set: the last letter throughout. Only the time's lowest bit set: bit 47 lies in the tenth letter.
    const ones = predictionId(
      { at: 2 ** 48 - 1, version: 2 ** 32 - 1, digest: `sha256:${'f'.repeat(64)}` as never },
      new Uint8Array(10).fill(255),
    )
    expect(ones).toBe('z'.repeat(40))
    const one = predictionId({ at: 1, version: 0, digest: `sha256:${'0'.repeat(64)}` as never }, new Uint8Array(10))
    expect(one).toBe(`${'0'.repeat(9)}4${'0'.repeat(30)}`)
  })
  it('sorts by time', () => {
    const ids = [5, 1, 300, 1_795_217_904_872].map((at) => predictionId({ at, version: 1, digest }, randomBytes(10)))
    expect([...ids].sort().map((id) => decodePredictionId(id)!.at)).toEqual([1, 5, 300, 1_795_217_904_872])
  })
  it('names a row where there are several', () => {
    const id = predictionId({ at: 9, version: 1, digest }, randomBytes(10))
    expect(rowId(id, 0, 1)).toBe(id)
    expect(decodePredictionId(rowId(id, 12, 20))).toMatchObject({ prediction: id, row: 12 })
    expect(decodePredictionId(id.toUpperCase())?.prediction).toBe(id)
  })
  it.each(['', 'x', 'u'.repeat(40), '0'.repeat(39), `${'0'.repeat(40)}:`, `${'0'.repeat(40)}:-1`])(
    '%j is none',
    (text) => {
      expect(decodePredictionId(text)).toBeUndefined()
    },
  )
})
