import { describe, expect, it } from 'vitest'
import type { ExecutionNode, NodeState } from '../execution.ts'
import { nextMoves } from './next-moves.ts'

const node = (
  id: string,
  state: NodeState,
  after: string[] = [],
  kind: ExecutionNode['kind'] = 'step',
): ExecutionNode => ({ id, kind, step: id, after, state, attempt: 0 })

const now = 1_000
const none = { decide: [], skip: [], join: [], cancel: [] }

describe('the next moves of an execution', () => {
  it('decide every box whose predecessors ended well, so that independent steps go side by side', () => {
    const nodes = [
      node('a', 'succeeded'),
      node('b', 'waiting', ['a']),
      node('c', 'waiting', ['a']),
      node('d', 'waiting', ['b', 'c']),
    ]
    expect(nextMoves('running', nodes, now)).toEqual({ ...none, decide: ['b', 'c'] })
  })

  it('skip what comes after a failure, and go on with what does not', () => {
    const nodes = [node('a', 'failed'), node('b', 'waiting', ['a']), node('c', 'waiting')]
    expect(nextMoves('running', nodes, now)).toEqual({
      ...none,
      decide: ['c'],
      skip: [{ node: 'b', because: '"a" failed', condition: false }],
    })
  })

  it('finish as failed naming the step when all is over', () => {
    const nodes = [node('a', 'failed'), node('b', 'skipped', ['a']), node('c', 'succeeded')]
    expect(nextMoves('running', nodes, now).finish).toEqual({ state: 'failed', reason: 'a failed' })
  })

  it('finish well although the evaluation of the champion failed', () => {
    const nodes = [node('a', 'succeeded'), node('a@champion', 'failed', [], 'champion evaluation')]
    expect(nextMoves('running', nodes, now).finish).toMatchObject({ state: 'succeeded' })
  })

  it('say so when everything was reused', () => {
    expect(nextMoves('running', [node('a', 'reused')], now).finish).toEqual({
      state: 'succeeded',
      reason: 'everything was reused',
    })
  })

  it('finish at once, and say why, where there is no step', () => {
    expect(nextMoves('running', [], now).finish).toEqual({ state: 'succeeded', reason: 'the file declares no steps' })
  })

  it('cancel what is open, start nothing more, and finish when nothing is open', () => {
    const nodes = [node('a', 'running'), node('b', 'waiting'), node('c', 'succeeded')]
    expect(nextMoves('cancelling', nodes, now)).toEqual({ ...none, cancel: ['a', 'b'] })
    expect(nextMoves('cancelling', [node('a', 'cancelled')], now).finish).toEqual({
      state: 'cancelled',
      reason: 'cancelled',
    })
  })

  it('do nothing while a step runs that others wait for', () => {
    expect(nextMoves('running', [node('a', 'running'), node('b', 'waiting', ['a'])], now)).toEqual(none)
  })

  it('hold a step back until its pause after a failure is over', () => {
    const waits = { ...node('a', 'waiting'), notBefore: 1_500 }
    expect(nextMoves('running', [waits], 1_499)).toEqual(none)
    expect(nextMoves('running', [waits], 1_500).decide).toEqual(['a'])
  })

  it('skip what needs a step whose condition did not hold, and finish well', () => {
    const nodes = [node('a', 'succeeded'), node('b', 'skipped'), node('c', 'waiting', ['b'])]
    expect(nextMoves('running', nodes, now).skip).toEqual([{ node: 'c', because: '"b" was skipped', condition: true }])
    const over = [node('a', 'succeeded'), node('b', 'skipped'), node('c', 'skipped', ['b'])]
    expect(nextMoves('running', over, now).finish).toEqual({ state: 'succeeded', reason: '1 of 3 ran' })
  })

  it('say so when no condition held', () =>
    expect(nextMoves('running', [node('a', 'skipped')], now).finish).toEqual({
      state: 'succeeded',
      reason: 'nothing ran: 1 of 1 were skipped',
    }))
})

describe('a fan-out', () => {
  const group = node('each', 'running', [], 'fan-out')
  const item = (id: string, state: NodeState): ExecutionNode => ({ ...node(id, state), item: id })

  it.each<[string, NodeState[], string | undefined]>([
    ['goes on while an item runs', ['succeeded', 'running'], undefined],
    ['goes on while an item waits, although another failed', ['failed', 'waiting'], undefined],
    ['ends well when all its items did', ['succeeded', 'reused'], 'succeeded'],
    ['ends well with an empty list', [], 'succeeded'],
    ['fails when all ended and one failed', ['succeeded', 'failed'], 'failed'],
    ['is cancelled when an item was', ['succeeded', 'cancelled'], 'cancelled'],
  ])('%s', (_, states, expected) => {
    const nodes = [
      group,
      ...states.map((state, index) => item(`each@${index}`, state)),
      node('after', 'waiting', ['each']),
    ]
    const moves = nextMoves('running', nodes, now)
    expect(moves.join.map(({ state }) => state)).toEqual(expected === undefined ? [] : [expected])
    expect(moves.skip).toEqual([])
    expect(moves.decide).not.toContain('after')
  })

  it('is told of by its items where they failed, and by itself where its list was wrong', () => {
    const failed = node('each', 'failed', [], 'fan-out')
    expect(nextMoves('running', [failed, item('each@a', 'failed')], now).finish?.reason).toBe('each@a failed')
    expect(nextMoves('running', [failed], now).finish?.reason).toBe('each failed')
  })

  it('names a few of thousands that failed', () => {
    const items = Array.from({ length: 1_000 }, (_, index) => item(`each@${index}`, 'failed'))
    expect(nextMoves('running', [group, ...items], now).join[0]?.because).toBe(
      '1000 of 1000 items failed: each@0, each@1, each@2, each@3, each@4 and 995 more',
    )
  })
})
