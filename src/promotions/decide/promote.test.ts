import { describe, expect, it } from 'vitest'
import type { GateOutcome } from '../../gates/index.ts'
import { digestOf } from '../../kernel/digest.ts'
import type { PromoteRule } from '../../projects/index.ts'
import type { PromotionState } from '../promotion.ts'
import {
  becomesVersion,
  decidePromotions,
  type EnvironmentFacts,
  type PromotionFacts,
  type Standing,
} from './promote.ts'
import { canHear, nextPromotionState, type PromotionEvent } from './promotion-states.ts'

const yes: Standing = { deployable: true }
const snapshot: Standing = { deployable: false, snapshot: true, reason: 'a snapshot is never deployable' }
const oldCommit: Standing = { deployable: false, snapshot: false, reason: 'its commit is no longer the head' }
const candidate = { model: 'm', version: 4, digest: digestOf('4') }

const place = (rule: PromoteRule, more: Partial<EnvironmentFacts> = {}): EnvironmentFacts => ({
  environment: 'production',
  rule,
  desired: { model: 'm', digest: digestOf('3') },
  earlier: undefined,
  barred: undefined,
  ...more,
})

const decide = (verdict: GateOutcome, environment: EnvironmentFacts, standing: Standing = yes) =>
  decidePromotions({ verdict, standing, candidate, environments: [environment] })[0]!

const earlier = (state: PromotionState) => ({ earlier: { id: 'p1', state } })
const barred = { barred: { reason: 'reverted by mia' } }

describe('what becomes of a judged candidate in an environment', () => {
  const byRole: PromoteRule = { approval: 'owner' }
  const cases: [string, GateOutcome, EnvironmentFacts, Standing, string][] = [
    ['a pass goes by the rule: automatic', 'pass', place('automatic'), yes, 'commit to branch'],
    ['a pass goes by the rule: pull-request', 'pass', place('pull-request'), yes, 'propose'],
    ['a pass goes by the rule: approval', 'pass', place(byRole), yes, 'wait for approval'],
    [
      'a first version goes by the rule too',
      'pass',
      place('automatic', { desired: undefined }),
      yes,
      'commit to branch',
    ],
    ['a warning needs a person where promotion is automatic', 'warn', place('automatic'), yes, 'propose'],
    ['a warning waits for the role where there is one', 'warn', place(byRole), yes, 'wait for approval'],
    ['a failure goes nowhere', 'fail', place('automatic'), yes, 'nothing'],
    [
      'an inconclusive verdict waits for approval under every rule',
      'inconclusive',
      place('automatic'),
      yes,
      'wait for approval',
    ],
    ['a snapshot goes nowhere', 'pass', place('automatic'), snapshot, 'nothing'],
    ['what is no longer at the head goes nowhere', 'pass', place('pull-request'), oldCommit, 'nothing'],
    [
      'equal content changes nothing',
      'pass',
      place('automatic', { desired: { model: 'm', digest: candidate.digest } }),
      yes,
      'nothing',
    ],
    ['another model is not replaced', 'pass', place('automatic', { desired: { model: 'other' } }), yes, 'nothing'],
    ['a second automatic promotion is for a person', 'pass', place('automatic', earlier('committed')), yes, 'propose'],
    [
      'what a person merged once is not promoted again by itself',
      'pass',
      place('automatic', earlier('merged')),
      yes,
      'propose',
    ],
    [
      'a blocked promotion did not use up the one',
      'pass',
      place('automatic', earlier('blocked')),
      yes,
      'commit to branch',
    ],
    ['what is on its way is not sent again', 'pass', place('pull-request', earlier('proposed')), yes, 'nothing'],
    [
      'what a person rejected is not proposed again',
      'pass',
      place('pull-request', earlier('rejected')),
      yes,
      'nothing',
    ],
    [
      'a barred one stays with its promotion',
      'pass',
      place('automatic', { ...earlier('barred'), ...barred }),
      yes,
      'nothing',
    ],
    ['a bar without a promotion waits for approval', 'pass', place('automatic', barred), yes, 'wait for approval'],
  ]
  it.each(cases)('%s', (_, verdict, environment, standing, outcome) => {
    const decision = decide(verdict, environment, standing)
    expect(decision.outcome).toBe(outcome)
    expect(decision.reasons.every((reason) => reason.length > 0)).toBe(true)
  })

  it('never commits by itself unless the gate passed, the rule is automatic, and nothing happened to the version before', () => {
    const states: (PromotionState | undefined)[] = [
      ...[undefined, 'intended', 'proposed', 'approved', 'committed', 'merged'],
      ...['superseded', 'rejected', 'barred', 'blocked'],
    ] as (PromotionState | undefined)[]
    for (const verdict of ['pass', 'warn', 'fail', 'inconclusive'] as const)
      for (const standing of [yes, snapshot, oldCommit])
        for (const rule of ['automatic', 'pull-request', byRole] as const)
          for (const state of states)
            for (const bar of [{}, barred]) {
              const environment = place(rule, { ...(state ? earlier(state) : {}), ...bar })
              if (decide(verdict, environment, standing).outcome !== 'commit to branch') continue
              expect([verdict, standing.deployable, rule, bar]).toEqual(['pass', true, 'automatic', {}])
              expect([undefined, 'blocked']).toContain(state)
            }
  })

  it('decides each environment by itself: leaving one out changes no other', () => {
    const environments = [place('automatic'), { ...place('pull-request'), environment: 'staging' }]
    const facts: PromotionFacts = { verdict: 'pass', standing: yes, candidate, environments }
    const both = decidePromotions(facts)
    expect(decidePromotions({ ...facts, environments: environments.slice(1) })).toEqual(both.slice(1))
  })

  it.each([
    ['pass', yes, true],
    ['warn', oldCommit, true],
    ['inconclusive', yes, true],
    ['inconclusive', oldCommit, false],
    ['fail', yes, false],
    ['pass', snapshot, false],
  ] as const)('%s makes a version or none', (verdict, standing, expected) => {
    expect(becomesVersion(verdict, standing)).toBe(expected)
  })
})

describe('the states of a promotion', () => {
  it('lets nothing but a person bring back what was barred', () => {
    const events: PromotionEvent[] = [
      'committed',
      'proposal written',
      'a newer one came',
      'champion changed',
      'cannot be committed',
    ]
    expect(events.filter((event) => canHear('barred', event))).toEqual([])
    expect(nextPromotionState('barred', 'approve')).toBe('approved')
    expect(nextPromotionState('barred', 'declared by a person')).toBe('merged')
  })

  it('calls an unlisted pair a bug', () => {
    expect(() => nextPromotionState('rejected', 'committed')).toThrow('met "committed"')
  })
})
