import { describe, expect, it } from 'vitest'
import type { CommitId } from '../../kernel/ids.ts'
import { branchMoves, type PushIntent } from './branch-moves.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as CommitId[] as [CommitId, CommitId, CommitId, CommitId]
const intent = (from: CommitId | undefined, to: CommitId, actor: string): PushIntent => ({ from, to, actor })

describe('the moves of a branch', () => {
  it('are none where the head is the one recorded', () => {
    expect(branchMoves(a, a, [intent(a, b, 'ann')], 'modelwright')).toEqual([])
  })

  it('name the pusher of each of two pushes that nobody looked at in between', () => {
    expect(branchMoves(a, c, [intent(b, c, 'bob'), intent(a, b, 'ann')], 'modelwright')).toEqual([
      { from: a, to: b, actor: 'ann', pushed: true },
      { from: b, to: c, actor: 'bob', pushed: true },
    ])
  })

  it('leave out the push that lost against another', () => {
    expect(branchMoves(a, b, [intent(a, d, 'bob'), intent(a, b, 'ann')], 'modelwright')).toEqual([
      { from: a, to: b, actor: 'ann', pushed: true },
    ])
  })

  it('begin with nothing for a branch that is new', () => {
    expect(branchMoves(undefined, a, [intent(undefined, a, 'ann')], 'modelwright')).toEqual([
      { from: undefined, to: a, actor: 'ann', pushed: true },
    ])
  })

  it('are one move by the observer where no push explains them', () => {
    expect(branchMoves(a, d, [intent(b, c, 'bob')], 'modelwright')).toEqual([
      { from: a, to: d, actor: 'modelwright', pushed: false },
    ])
  })

  it('end, even where intents lead in a circle', () => {
    expect(branchMoves(a, d, [intent(a, b, 'ann'), intent(b, a, 'ann')], 'modelwright')).toHaveLength(1)
  })
})
