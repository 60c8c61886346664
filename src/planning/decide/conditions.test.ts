import { describe, expect, it } from 'vitest'
import type { CommitId, RunId } from '../../kernel/ids.ts'
import { parseProjectFile } from '../../projects/decide/parse-project-file.ts'
import type { NodeOutcome, PlanContext, PlanNode } from '../plan.ts'
import { decisionWithoutKey } from './conditions.ts'

const measured = (metrics: Record<string, number>): ReadonlyMap<string, NodeOutcome> =>
  new Map([['count', { result: { runId: 'r' as RunId, outs: {}, metrics } }]])

function decided(
  when: string,
  {
    facts = { trigger: 'push', branch: 'main' },
    set = {},
    outcomes = measured({ rows: 50 }),
  }: {
    facts?: PlanContext['facts']
    set?: PlanContext['set']
    outcomes?: ReadonlyMap<string, NodeOutcome>
  } = {},
) {
  const file = parseProjectFile(`project: p
steps:
  count: { run: "true", metrics: true }
  train: { run: "true", params: { depth: 3, kind: xgb, fast: true }, when: ${when} }
`)
  const context: PlanContext = {
    ...{ project: 'p', commit: 'c' as CommitId, file, set, data: {}, champions: {}, executionId: 'e', facts },
  }
  const node: PlanNode = { id: 'train', kind: 'step', step: 'train', after: ['count'] }
  const decision = decisionWithoutKey(context, node, outcomes)
  return decision ? { outcome: decision.outcome, reasons: decision.reasons } : 'its key decides'
}

describe('a step runs when', () => {
  it.each([
    '"count.rows >= 50"',
    '"count.rows != 49"',
    '"branch == main"',
    '"branch != dev"',
    '"trigger == push"',
    '"params.depth == 3"',
    '"params.depth == 3.0"',
    '"params.kind == xgb"',
    '"params.fast == true"',
    '["count.rows < 100", "branch == main", "params.depth != 4"]',
  ])('%s', (when) => expect(decided(when)).toBe('its key decides'))
})

describe('a step is skipped, with the value, when not', () => {
  it.each([
    ['"count.rows >= 100"', 'count.rows >= 100 does not hold: it is 50'],
    ['"branch == dev"', 'branch == dev does not hold: it is main'],
    ['"trigger != push"', 'trigger != push does not hold: it is push'],
    ['"params.depth == 4"', 'params.depth == 4 does not hold: it is 3'],
  ])('%s', (when, reason) => expect(decided(when)).toEqual({ outcome: 'skipped', reasons: [reason] }))

  it('all conditions that do not hold are told', () =>
    expect(decided('["branch == dev", "count.rows > 50"]')).toMatchObject({
      reasons: [expect.any(String), expect.any(String)],
    }))

  it('a parameter is asked for as this execution has it', () =>
    expect(decided('"params.depth == 3"', { set: { depth: 9 } })).toMatchObject({ outcome: 'skipped' }))

  it('no branch is none: what asks for one is skipped, what asks for another runs', () => {
    expect(decided('"branch == main"', { facts: { trigger: 'schedule' } })).toMatchObject({
      reasons: ['branch == main does not hold: it is not set'],
    })
    expect(decided('"branch != main"', { facts: { trigger: 'schedule' } })).toBe('its key decides')
  })

  it('a branch is known before anything ran, and a metric is not', () => {
    const outcomes = new Map<string, NodeOutcome>()
    expect(decided('["branch == dev", "count.rows >= 100"]', { outcomes })).toEqual({
      outcome: 'skipped',
      reasons: ['branch == dev does not hold: it is main'],
    })
    expect(decided('"count.rows >= 100"', { outcomes })).toBe('its key decides')
  })

  it('a metric that is not a number holds nothing', () =>
    expect(decided('"count.rows >= 1"', { outcomes: measured({ rows: Number.NaN }) })).toMatchObject({
      outcome: 'skipped',
    }))
})

it('a metric that was not measured is an error that names those there are', () => {
  expect(() => decided('"count.row >= 1"')).toThrow(
    'Step "train" runs when count.row >= 1, but "count" measured no "row"; it measured: rows.',
  )
  expect(() => decided('"count.rows >= 1"', { outcomes: measured({}) })).toThrow('it measured: nothing')
})
