import { describe, expect, it } from 'vitest'
import type { NodeState } from '../execution.ts'
import { foldNodes, type LightNode } from './fold-nodes.ts'

const node = (id: string, state: NodeState, after: string[] = [], more: Partial<LightNode> = {}): LightNode => ({
  ...{ id, kind: 'step', state, after: JSON.stringify(after) },
  ...more,
})
const matrix = (name: string, states: NodeState[], after: string[] = []) =>
  states.map((state, index) => node(`${name}@${index}`, state, after))
const of = (count: number, state: NodeState): NodeState[] => Array.from({ length: count }, () => state)

describe('folding', () => {
  it('leaves up to twenty nodes of a matrix as they are', () => {
    const folding = foldNodes(matrix('a', of(20, 'succeeded')))
    expect(folding.groups.size).toBe(0)
    expect(folding.shown).toHaveLength(20)
  })

  it('shows more as one, in between what comes before and after', () => {
    const nodes = [
      node('prepare', 'succeeded'),
      ...matrix('a', of(21, 'succeeded'), ['prepare']),
      ...matrix(
        'b',
        of(21, 'reused'),
        Array.from({ length: 21 }, (_, i) => `a@${i}`),
      ),
      node('join', 'succeeded', ['b@0', 'b@1']),
    ]
    const { shown, groups, shownAs } = foldNodes(nodes)
    expect(shown).toEqual(['prepare', 'join'])
    expect([...groups.values()].map(({ id, after, of: count, state }) => [id, after, count, state])).toEqual([
      ['a', ['prepare'], 21, 'succeeded'],
      ['b', ['a'], 21, 'reused'],
    ])
    expect(shownAs('b@3')).toBe('b')
    expect(shownAs('join')).toBe('join')
  })

  it('still shows what failed and what runs', () => {
    const states = [...of(30, 'succeeded'), ...of(2, 'failed'), ...of(1, 'running')]
    expect(foldNodes(matrix('a', states)).shown).toEqual(['a@30', 'a@31', 'a@32'])
  })

  it.each<[NodeState[], NodeState]>([
    [of(30, 'waiting'), 'waiting'],
    [[...of(29, 'waiting'), 'succeeded'], 'running'],
    [[...of(29, 'failed'), 'running'], 'running'],
    [[...of(29, 'succeeded'), 'failed'], 'failed'],
    [[...of(29, 'reused'), 'succeeded'], 'succeeded'],
    [of(30, 'reused'), 'reused'],
    [of(30, 'skipped'), 'skipped'],
    [[...of(29, 'succeeded'), 'cancelled'], 'cancelled'],
  ])('calls %j as one %s', (states, expected) =>
    expect(foldNodes(matrix('a', states)).groups.get('a')?.state).toBe(expected),
  )

  it('takes from the first beginning to the last end, and has no end while one goes on', () => {
    const times = (index: number) => ({ startedAt: 100 + index, endedAt: 200 + index })
    const ended = of(30, 'succeeded').map((state, index) => node(`a@${index}`, state, [], times(index)))
    expect(foldNodes(ended).groups.get('a')).toMatchObject({ startedAt: 100, endedAt: 229 })
    expect(foldNodes([...ended, node('a@x', 'running')]).groups.get('a')).not.toHaveProperty('endedAt')
  })

  it("does not take a champion's evaluation for one of many", () => {
    const champion = node('a@champion', 'succeeded', [], { kind: 'champion evaluation' })
    expect(foldNodes([...matrix('a', of(30, 'succeeded')), champion]).shown).toEqual(['a@champion'])
  })
})
