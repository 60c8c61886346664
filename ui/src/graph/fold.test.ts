import { expect, it } from 'vitest'
import type { ExecutionNode } from '../data/queries.ts'
import { folded } from './fold.ts'

const step = (id: string, after: string[]): ExecutionNode => ({
  ...{ id, after, kind: 'step', step: id, state: 'succeeded', attempt: 1 },
})

it('shows many alike steps as one stack, and as themselves once opened', () => {
  const many = Array.from({ length: 40 }, (_, i) => step(`fold-${i}`, ['split']))
  const nodes = [
    step('split', []),
    ...many,
    step(
      'merge',
      many.map(({ id }) => id),
    ),
  ]
  const drawn = folded(nodes, new Set())
  expect(drawn.map(({ id, after }) => [id, after])).toEqual([
    ['split', []],
    ['merge', ['stack fold-0']],
    ['stack fold-0', ['split']],
  ])
  expect(folded(nodes, new Set(['stack fold-0']))).toHaveLength(42)
})
