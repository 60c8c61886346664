import { describe, expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { carriesPromotion } from '../commit-message.ts'
import { meaningOf } from './desired-change.ts'

const [one, two, three] = ['1', '2', '3'].map((text) => digestOf(text)) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
]

describe('what a change of desired state means', () => {
  it('bars nothing when an environment goes forward', () => {
    expect(meaningOf({ history: [one], now: two, person: undefined })).toEqual({})
    expect(meaningOf({ history: [], now: one, person: undefined })).toEqual({})
  })

  it('bars the version that was taken back for an earlier one', () => {
    expect(meaningOf({ history: [one, two], now: one, person: undefined }).reverted?.digest).toBe(two)
    expect(meaningOf({ history: [one, two, three], now: one, person: 'mia' }).reverted?.digest).toBe(three)
  })

  it('does not bar the older one when a person goes forward again after a revert', () => {
    expect(meaningOf({ history: [one, two, one], now: two, person: 'mia' })).toEqual({ lifted: two })
  })

  it('bars what was taken out altogether', () => {
    expect(meaningOf({ history: [one], now: undefined, person: 'mia' }).reverted?.digest).toBe(one)
  })

  it('lifts a bar only for a person', () => {
    expect(meaningOf({ history: [one, two, one], now: two, person: undefined })).toEqual({})
  })
})

describe('the trailer of a promotion', () => {
  it('is found in the last paragraph only, so that quoted text is no promotion', () => {
    expect(
      carriesPromotion('Promote\n\n- passed\n\nModelwright-Promotion: p1\nModelwright-Execution: e1\n', 'p1'),
    ).toBe(true)
    expect(carriesPromotion('Promote\n\nModelwright-Promotion: p1\n\nbecause of that\n', 'p1')).toBe(false)
    expect(carriesPromotion('Modelwright-Promotion: p10\n', 'p1')).toBe(false)
  })
})
