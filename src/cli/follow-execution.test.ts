import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import type { ExecutionDetail } from './find-execution.ts'
import { stepLines } from './follow-execution.ts'

type Node = ExecutionDetail['nodes'][number]
const node = (id: string, more: Partial<Node>): Node => ({
  ...{ id, kind: 'step', step: id, after: [], attempt: 1, state: 'waiting' },
  ...more,
})
const lines = (nodes: Node[]) => stepLines(nodes, 10_000, pc.createColors(false))

describe('the lines of an execution under way', () => {
  it('say of each step its state, its time so far, and why it runs', () => {
    expect(
      lines([
        node('prepare', { state: 'reused', decision: { outcome: 'reused', reasons: ['nothing changed'] } }),
        node('train', { state: 'running', startedAt: 4_000, decision: { outcome: 'runs', reasons: ['depth: 3 → 5'] } }),
        node('evaluate', { decision: { outcome: 'decided later', after: ['train'], reasons: [] } }),
      ]),
    ).toEqual([
      '  ↻ reused   prepare          nothing changed',
      '  ◐ running  train     6.0 s  depth: 3 → 5',
      '  ○ queued   evaluate         decided after train',
    ])
  })

  it('tell why a step failed in one line, and which attempt a lost one is at', () => {
    const error = { code: 'StepFailed', message: '"train" ended with exit status 3.\nTraceback …', next: '' }
    const [failed, again] = lines([
      node('train', { state: 'failed', startedAt: 0, endedAt: 500, error }),
      node('other', {
        state: 'running',
        attempt: 2,
        startedAt: 9_000,
        decision: { outcome: 'runs', reasons: ['new'] },
      }),
    ])
    expect(failed).toBe('  ✗ failed   train  500 ms  "train" ended with exit status 3.')
    expect(again).toContain('attempt 2; new')
  })

  it('keep a step that was skipped apart from one that a person cancelled', () => {
    expect(lines([node('a', { state: 'skipped' }), node('b', { state: 'cancelled' })])).toEqual([
      '  ⊘ skipped    a',
      '  ⊘ cancelled  b',
    ])
  })
})
