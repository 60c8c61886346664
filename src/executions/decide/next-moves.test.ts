import { describe, expect, it } from 'vitest'
import type { ExecutionNode, NodeState } from '../execution.ts'
import { nextMoves } from './next-moves.ts'

const node = (
  id: string,
  state: NodeState,
  after: string[] = [],
  kind: ExecutionNode['kind'] = 'step',
): ExecutionNode => ({ id, kind, step: id, after, state, attempt: 0 })

describe('the next moves of an execution', () => {
  it('decide every box whose predecessors ended well, so that independent steps go side by side', () => {
    const nodes = [
      node('a', 'succeeded'),
      node('b', 'waiting', ['a']),
      node('c', 'waiting', ['a']),
      node('d', 'waiting', ['b', 'c']),
    ]
    expect(nextMoves('running', nodes)).toEqual({ decide: ['b', 'c'], skip: [], cancel: [] })
  })

  it('skip what comes after a failure, and go on with what does not', () => {
    const nodes = [node('a', 'failed'), node('b', 'waiting', ['a']), node('c', 'waiting')]
    expect(nextMoves('running', nodes)).toEqual({
      decide: ['c'],
      skip: [{ node: 'b', because: '"a" failed' }],
      cancel: [],
    })
  })

  it('finish as failed naming the step when all is over', () => {
    const nodes = [node('a', 'failed'), node('b', 'skipped', ['a']), node('c', 'succeeded')]
    expect(nextMoves('running', nodes).finish).toEqual({ state: 'failed', reason: 'a failed' })
  })

  it('finish well although the evaluation of the champion failed', () => {
    const nodes = [node('a', 'succeeded'), node('a@champion', 'failed', [], 'champion evaluation')]
    expect(nextMoves('running', nodes).finish).toMatchObject({ state: 'succeeded' })
  })

  it('say so when everything was reused', () => {
    expect(nextMoves('running', [node('a', 'reused')]).finish).toEqual({
      state: 'succeeded',
      reason: 'everything was reused',
    })
  })

  it('finish at once, and say why, where there is no step', () => {
    expect(nextMoves('running', []).finish).toEqual({ state: 'succeeded', reason: 'the file declares no steps' })
  })

  it('cancel what is open, start nothing more, and finish when nothing is open', () => {
    const nodes = [node('a', 'running'), node('b', 'waiting'), node('c', 'succeeded')]
    expect(nextMoves('cancelling', nodes)).toEqual({ decide: [], skip: [], cancel: ['a', 'b'] })
    expect(nextMoves('cancelling', [node('a', 'cancelled')]).finish).toEqual({
      state: 'cancelled',
      reason: 'cancelled',
    })
  })

  it('do nothing while a step runs that others wait for', () => {
    expect(nextMoves('running', [node('a', 'running'), node('b', 'waiting', ['a'])])).toEqual({
      decide: [],
      skip: [],
      cancel: [],
    })
  })
})
