import { describe, expect, it } from 'vitest'
import type { CommitId } from '../../kernel/ids.ts'
import type { RefUpdate } from '../push.ts'
import { judgeRef } from './ref-rules.ts'

const [a, b] = ['a', 'b'] as [CommitId, CommitId]
const created = { to: b, fastForward: false }
const moved = { from: a, to: b, fastForward: true }
const rewritten = { from: a, to: b, fastForward: false }
const deleted = { from: a, fastForward: false }

const outcome = (ref: string, change: Omit<RefUpdate, 'ref'>) => judgeRef({ ref, ...change }, 'main').outcome

describe('a ref', () => {
  it.each([
    ['refs/heads/main', created, 'branch'],
    ['refs/heads/main', moved, 'branch'],
    ['refs/heads/main', rewritten, 'refuse'],
    ['refs/heads/main', deleted, 'refuse'],
    ['refs/heads/topic/x', created, 'branch'],
    ['refs/heads/topic/x', rewritten, 'branch'],
    ['refs/heads/topic/x', deleted, 'keep'],
    ['refs/heads/modelwright/promote', created, 'refuse'],
    ['refs/heads/modelwright/promote', moved, 'refuse'],
    ['refs/heads/modelwright/promote', deleted, 'keep'],
    ['refs/heads/modelwright-notes', created, 'branch'],
    ['refs/tags/v1', rewritten, 'keep'],
    ['refs/modelwright/snapshots/1', created, 'snapshot'],
    ['refs/modelwright/snapshots/1', deleted, 'keep'],
    ['refs/modelwright/other', created, 'refuse'],
    ['refs/replace/0123', created, 'refuse'],
    ['refs/notes/commits', created, 'refuse'],
    ['HEAD', moved, 'refuse'],
  ] as const)('%s changed as %j: %s', (ref, change, expected) => {
    expect(outcome(ref, change)).toBe(expected)
  })

  it('that says what production is, is the one that the project names', () => {
    expect(judgeRef({ ref: 'refs/heads/trunk', ...moved }, 'trunk')).toMatchObject({ authoritative: true })
    expect(judgeRef({ ref: 'refs/heads/main', ...rewritten }, 'trunk')).toMatchObject({ authoritative: false })
  })
})
