import { describe, expect, it } from 'vitest'
import { type LoopFacts, nextMove } from './next-move.ts'

const commit = { id: 'c'.repeat(40), author: 'Ann', subject: 'work', at: 1 }
const quiet: LoopFacts = {
  project: { name: 'demo', branch: 'trunk', createdAt: 1, head: commit.id },
  commit,
  deployments: [],
  promotions: [],
  alerts: [],
  scheduled: [],
}
type Deployment = LoopFacts['deployments'][number]
const place = (state: Deployment['state'], more: Partial<Deployment> = {}): Deployment => ({
  ...{ project: 'demo', environment: 'production', since: 1, weights: [], state },
  ...more,
})
const serving = place('serving', { serving: { model: 'm', version: 3, digest: 'd' } })
const promotion: LoopFacts['promotions'][number] = {
  ...{ id: 'p1', project: 'demo', environment: 'production', model: 'm', version: 4, digest: 'd4', kind: 'promotion' },
  ...{ state: 'proposed', waitsForPerson: true, reasons: [], proposalBranch: 'b', createdAt: 1, updatedAt: 1 },
}
const execution = (state: 'running' | 'failed' | 'succeeded', nodeState: 'running' | 'failed' | 'succeeded') =>
  ({
    ...{ id: 'e1', project: 'demo', commit: commit.id, trigger: { kind: 'push' }, deployable: true, set: {}, state },
    ...{ requestedBy: 'ann', createdAt: 1, ...(state === 'running' ? {} : { endedAt: 2 }) },
    nodes: [
      {
        ...{ id: 'train', kind: 'step', step: 'train', after: [], attempt: 1, state: nodeState },
        ...(nodeState === 'failed' ? { error: { code: 'StepFailed', message: 'exit status 3', next: 'look' } } : {}),
      },
    ],
  }) satisfies LoopFacts['execution']
const alert: LoopFacts['alerts'][number] = {
  ...{ id: 'a', project: 'demo', environment: 'production', model: 'm', version: 3, digest: 'd', kind: 'drift' },
  ...{ subject: '', features: ['radius', 'texture'], reasons: [], openedAt: 1, updatedAt: 1 },
}

describe('the next move', () => {
  const { commit: _, ...unpushed } = quiet
  it.each<[string, LoopFacts, string, string, string | undefined]>([
    ['nothing pushed', unpushed, 'you', 'Nothing was pushed', 'git push modelwright trunk'],
    ['no deployment', quiet, 'nobody', 'declares no deployment', undefined],
    [
      'nothing promoted',
      { ...quiet, deployments: [place('nothing declared')] },
      'you',
      'No version was promoted to production',
      'modelwright versions',
    ],
    [
      'all well',
      { ...quiet, deployments: [serving] },
      'nobody',
      'production serves version 3; nothing waits.',
      undefined,
    ],
    [
      'running',
      { ...quiet, execution: execution('running', 'running') },
      'modelwright',
      'train runs now',
      'modelwright logs -f e1',
    ],
    [
      'failed',
      { ...quiet, execution: execution('failed', 'failed') },
      'you',
      'train failed: exit status 3',
      'modelwright logs e1 train',
    ],
    [
      'a promotion',
      { ...quiet, promotions: [promotion] },
      'you',
      'version 4 to production waits for a person',
      'modelwright approve p1',
    ],
    [
      'a promotion that a role decides',
      { ...quiet, promotions: [{ ...promotion, approver: 'clinician' }] },
      'you',
      'waits for the role "clinician"',
      'modelwright approve p1',
    ],
    [
      'stalled with a revert',
      {
        ...quiet,
        deployments: [place('stalled', { reason: 'too many errors' })],
        promotions: [{ ...promotion, kind: 'revert', id: 'r1' }],
      },
      'you',
      'production is stalled: too many errors. A revert is proposed.',
      'modelwright approve r1',
    ],
    [
      'drift',
      { ...quiet, deployments: [serving], alerts: [alert] },
      'you',
      'drifted (radius, texture)',
      'modelwright retrain production',
    ],
    [
      'mismatch',
      { ...quiet, deployments: [place('mismatch', { reason: 'its worker is gone' })] },
      'modelwright',
      'its worker is gone',
      'modelwright why production',
    ],
  ])('%s', (_name, facts, who, sentence, command) => {
    const move = nextMove(facts)
    expect(move.who).toBe(who)
    expect(move.sentence).toContain(sentence)
    expect(move.command).toBe(command)
  })

  it('puts what waits for a person before what runs by itself', () => {
    const facts = { ...quiet, promotions: [promotion], execution: execution('running', 'running'), alerts: [alert] }
    expect(nextMove(facts).command).toBe('modelwright approve p1')
  })
})
