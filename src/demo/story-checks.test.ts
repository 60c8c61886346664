import { describe, expect, it } from 'vitest'
import type { Records } from './records.ts'
import { commits, type StageName } from './story.ts'
import { storyChecks } from './story-checks.ts'

const labelled = 217
const names: StageName[] = ['first', 'refused', 'canary', 'drift', 'retrained', 'why']

type Loose = Record<string, unknown>

const execution = (id: string, subject: string, trigger: Loose, nodes: Loose[] = []) => ({
  ...{ id, subject, trigger, state: 'succeeded', nodes },
})
const verdict = (executionId: string, outcome: string, champion?: number) => ({
  ...{ id: `verdict of ${executionId}`, executionId, outcome },
  objectives: [{ metric: 'evaluate.auc', value: 0.98, champion }],
})
const promotion = (executionId: string, version: number) => ({
  ...{ executionId, version, digest: `sha256:${version}`, state: 'committed', commit: `c${version}` },
})
const rollout = (version: number, decisions: number, straight?: string) => ({
  ...{ id: `r${version}`, newcomer: { digest: `sha256:${version}`, version }, state: 'done', canary: [0.1, 0.5, 1] },
  decisions: Array.from({ length: decisions }, () => ({ outcome: 'advance' })),
  ...(straight ? { straight } : {}),
})
const answered = (version: number) => ({
  ...{ id: `p${version}`, record: { digest: `sha256:${version}`, outcome: 'answered' } },
  version: { digest: `sha256:${version}`, version },
})
const anew = { kind: 'champion evaluation', step: 'evaluate', state: 'reused' }

/** A story that happened, as far as the checks look. */
function finished(change: (records: Loose) => void = () => {}): Records {
  const records = {
    executions: [
      execution('e4', 'Promote', { kind: 'drift' }, [anew]),
      execution('e3', commits.canary.subject, { kind: 'push' }, [anew]),
      execution('e2', commits.refused.subject, { kind: 'push' }, [{ kind: 'step', step: 'prepare', state: 'reused' }]),
      execution('e1', commits.first.subject, { kind: 'push' }),
    ],
    verdicts: [
      ...[verdict('e4', 'pass', 0.97), verdict('e3', 'pass', 0.97), verdict('e2', 'fail', 0.97), verdict('e1', 'pass')],
    ],
    promotions: [promotion('e4', 3), promotion('e3', 2), promotion('e1', 1)],
    deployment: { rollouts: [rollout(3, 3), rollout(2, 3), rollout(1, 1, 'nothing serves yet')] },
    alerts: [{ id: 'a1', kind: 'drift', digest: 'sha256:2', version: 2, features: ['mean_texture'] }],
    labels: [{ labels: labelled }],
    retrainings: [
      {
        executionId: 'e4',
        trigger: { kind: 'drift', alert: 'a1', features: ['mean_texture'] },
        frozen: [{ dataset: 'biopsies', rows: labelled, digest: 'sha256:f' }],
      },
    ],
    answered: [answered(1), answered(2), answered(3)],
    why: {
      deployment: { serving: { digest: 'sha256:3', version: 3 } },
      version: {
        run: { id: 'run' },
        commit: { id: 'commit' },
        data: [{ origin: 'joined', text: 'joined', parts: [{ origin: 'labelled predictions', text: 'rows' }] }],
        verdict: { id: 'v', outcome: 'pass' },
      },
      promotion: { digest: 'sha256:3', commit: 'c3' },
      rollout: { id: 'r3', state: 'done' },
    },
  }
  change(records)
  return records as unknown as Records
}

const broken = (records: Records | undefined): string[] =>
  names.flatMap((name) =>
    storyChecks(name, records, labelled)
      .filter(({ ok }) => !ok)
      .map(({ what }) => `${name}: ${what}`),
  )

describe('storyChecks', () => {
  it('holds for a story that happened', () => {
    expect(broken(finished())).toEqual([])
  })

  it('holds for no stage where nothing was pushed', () => {
    for (const name of names) expect(storyChecks(name, undefined, labelled).every(({ ok }) => ok)).toBe(false)
  })

  const without = (list: string, index: number) => (records: Loose) => {
    ;(records[list] as unknown[]).splice(index, 1)
  }
  it.each<[string, (records: Loose) => void, string]>([
    [
      'the refused model was promoted after all',
      (r) => (r.promotions as unknown[]).push(promotion('e2', 9)),
      'refused: nothing was promoted',
    ],
    [
      'the gate let the worse model pass',
      (r) => Object.assign((r.verdicts as Loose[])[2]!, { outcome: 'pass' }),
      "refused: the gate's verdict is fail",
    ],
    [
      'the champion was not evaluated anew',
      (r) => Object.assign((r.executions as Loose[])[1]!, { nodes: [] }),
      'canary: the champion was evaluated anew on the same rows',
    ],
    [
      'the canary went straight to all traffic',
      (r) => Object.assign((r.deployment as { rollouts: Loose[] }).rollouts[1]!, { straight: 'why' }),
      'canary: it went out step by step, each decided and recorded',
    ],
    [
      'the rollout is not over',
      (r) => Object.assign((r.deployment as { rollouts: Loose[] }).rollouts[1]!, { state: 'step' }),
      'canary: the rollout is done',
    ],
    [
      'no prediction leads to the first version',
      without('answered', 0),
      'first: it answered, and the prediction id leads back to it',
    ],
    ['there was no alert', without('alerts', 0), 'drift: an alert says drift, of the version that served'],
    [
      'some labels are missing',
      (r) => Object.assign(r, { labels: [{ labels: labelled - 1 }] }),
      `retrained: ${labelled} labels arrived by prediction id`,
    ],
    [
      'the retraining was asked for by a person',
      (r) => Object.assign((r.retrainings as Loose[])[0]!, { trigger: { kind: 'person' } }),
      'retrained: drift started a retraining',
    ],
    [
      'an older version serves',
      (r) => Object.assign((r.why as Loose).deployment as Loose, { serving: { digest: 'sha256:2' } }),
      'why: the retrained version serves',
    ],
  ])('says what is not so where %s', (_, change, expected) => {
    expect(broken(finished(change))).toContain(expected)
  })

  it('takes the features that asked for the retraining where the alert has moved on', () => {
    const records = finished((r) => Object.assign((r.alerts as Loose[])[0]!, { features: ['mean_area'] }))
    expect(broken(records)).toEqual([])
  })
})
