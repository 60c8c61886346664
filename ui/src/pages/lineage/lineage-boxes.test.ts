import { expect, it } from 'vitest'
import type { LineageThing } from '../../data/queries.ts'
import { askedAs, boxesOf } from './lineage-boxes.ts'

const thing = (id: string, kind: LineageThing['kind'], more: Partial<LineageThing> = {}): LineageThing => ({
  ...{ id, kind, name: id, ref: id, distance: 1 },
  ...more,
})

it('shows many alike things as one box, and as themselves once opened; what was asked for stays by itself', () => {
  const files = Array.from({ length: 9 }, (_, i) => thing(`f${i}`, 'file', i === 0 ? { asked: true } : {}))
  const things = [...files, thing('run', 'run')]
  const lines = files.map(({ id }) => ({ from: id, to: 'run' }))
  const boxes = boxesOf({ things, lines }, new Set())
  expect(boxes.map(({ id, after }) => [id, after])).toEqual([
    ['f0', []],
    ['run', ['f0', 'stack f1']],
    ['stack f1', []],
  ])
  expect(boxesOf({ things, lines }, new Set(['stack f1']))).toHaveLength(10)
})

it('leaves out the line that closes a circle, and no other', () => {
  const things = ['a', 'b', 'c'].map((id) => thing(id, 'file'))
  const lines = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'c' },
    { from: 'c', to: 'a' },
  ]
  expect(boxesOf({ things, lines }, new Set()).map(({ after }) => after)).toEqual([[], ['a'], ['b']])
})

it.each([
  [thing('1', 'data', { name: 'data rows', ref: `sha256:${'a'.repeat(64)}` }), `rows@${'a'.repeat(12)}`],
  [thing('1', 'version', { name: 'm v3', ref: 'sha256:x' }), 'm@3'],
  [thing('1', 'deployment', { name: 'production: m v3' }), 'deployment:production'],
  [thing('1', 'run', { ref: 'abc' }), 'abc'],
])('asks for %o as %s', (one, text) => {
  expect(askedAs(one)).toBe(text)
})
