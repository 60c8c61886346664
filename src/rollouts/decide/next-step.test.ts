import { describe, expect, it } from 'vitest'
import { type Bound, parseBound } from '../../kernel/bound.ts'
import { digestOf } from '../../kernel/digest.ts'
import type { CommitId } from '../../kernel/ids.ts'
import { parseProjectFile } from '../../projects/index.ts'
import type { Rollout } from '../rollout.ts'
import { endpointOf, policiesOf, weightsOf } from './gateway-content.ts'
import { mismatches } from './mismatches.ts'
import { nextStep, type RolloutFacts } from './next-step.ts'
import { activeStates, canFollow, nextRolloutState, type RolloutOutcome } from './rollout-states.ts'
import { straightReason } from './straight-reason.ts'

const bound = (text: string): Bound => {
  const parsed = parseBound(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.bound
}

const newcomer = { digest: digestOf('4'), version: 4 }
const old = { digest: digestOf('3'), version: 3 }
const everyMs = 60_000

const rollout = (more: Partial<Rollout> = {}): Rollout => ({
  id: 'r1',
  project: 'p',
  environment: 'production',
  model: 'm',
  newcomer,
  old,
  commit: 'c' as CommitId,
  state: 'step',
  step: 0,
  plan: {
    canary: [0.05, 0.25, 1],
    everyMs,
    minRequests: 100,
    abort: { errorRate: bound('> 2%'), inputFailureRate: bound('> champion + 0.1') },
  },
  stepSince: 0,
  createdAt: 0,
  updatedAt: 0,
  ...more,
})

const none = { requests: 0, failed: 0, inputRefused: 0 }
const facts = (more: Partial<RolloutFacts> = {}): RolloutFacts => ({
  now: everyMs,
  desired: newcomer.digest,
  clearance: { cleared: true, version: 4 },
  prepared: { state: 'ready' },
  newcomer: { state: 'ready' },
  guardTripped: undefined,
  traffic: { newcomer: { ...none, requests: 100 }, old: { ...none, requests: 1000 } },
  ...more,
})
const seen = (counts: Partial<typeof none>, before: Partial<typeof none> = { requests: 1000 }) => ({
  traffic: { newcomer: { ...none, ...counts }, old: { ...none, ...before } },
})
const preparing = { state: 'preparing' } as const
const waiting = { state: 'waiting' } as const
const plain = { plan: { ...rollout().plan, canary: [1] } }
const held = () => facts({ newcomer: { state: 'asleep', cause: 'held' } })
const barred = { cleared: false, cause: 'barred', reason: 'reverted by mia' } as const

describe('one look at a rollout', () => {
  const cases: [string, Rollout, RolloutFacts, RolloutOutcome][] = [
    ['waits until it is on this machine', rollout(preparing), facts({ prepared: { state: 'going on' } }), 'wait'],
    ['waits until it is loaded', rollout(preparing), facts({ newcomer: { state: 'loading' } }), 'wait'],
    ['waits while the gateway says nothing of it', rollout(preparing), facts({ newcomer: undefined }), 'wait'],
    ['begins the canary when it is ready', rollout(preparing), facts(), 'begin'],
    ['begins the canary of a model that sleeps', rollout(preparing), facts({ newcomer: { state: 'asleep' } }), 'begin'],
    ['waits for a person where a canary does not fit into memory', rollout(preparing), held(), 'wait'],
    [
      'takes the place where it does not fit and no canary is declared',
      rollout({ ...preparing, ...plain }),
      held(),
      'begin',
    ],
    [
      'takes the place where a person said to go on',
      rollout({ ...preparing, request: { what: 'continue', by: 'olga' } }),
      held(),
      'begin',
    ],
    ['takes the place straight away on the way back', rollout({ ...preparing, straight: 'back' }), held(), 'begin'],
    ['waits until it serves in the place', rollout({ step: 2 }), facts({ newcomer: { state: 'loading' } }), 'wait'],
    ['is done when it serves in the place', rollout({ step: 2 }), facts(), 'finish'],
    [
      'rolls back what could not take the place',
      rollout({ step: 2 }),
      facts({ newcomer: { state: 'failed', cause: 'not loaded', reason: 'no module' } }),
      'roll back',
    ],
    [
      'takes all at once where nothing serves',
      rollout({ ...preparing, straight: 'nothing serves yet' }),
      facts(),
      'finish',
    ],
    [
      'takes all at once without a canary',
      rollout({ ...preparing, plan: { ...rollout().plan, canary: [1] } }),
      facts(),
      'finish',
    ],
    [
      'rolls back what cannot be prepared',
      rollout(preparing),
      facts({ prepared: { state: 'failed', reason: 'no' } }),
      'roll back',
    ],
    [
      'rolls back what cannot be loaded',
      rollout(preparing),
      facts({ newcomer: { state: 'failed', reason: 'no' } }),
      'roll back',
    ],
    ['advances after the time with enough requests within bounds', rollout(), facts(), 'advance'],
    ['finishes after the last partial step', rollout({ step: 1 }), facts(), 'finish'],
    ['does not advance a moment early', rollout(), facts({ now: everyMs - 1 }), 'wait'],
    ['does not advance one request short', rollout(), facts(seen({ requests: 99 })), 'wait'],
    ['lets exactly the bound pass', rollout(), facts(seen({ requests: 100, failed: 2 })), 'advance'],
    ['rolls back just above the bound', rollout(), facts(seen({ requests: 100, failed: 3 })), 'roll back'],
    [
      'rolls back before the time is over',
      rollout(),
      facts({ now: 1, ...seen({ requests: 100, failed: 3 }) }),
      'roll back',
    ],
    [
      'rolls back early when nothing could mend it',
      rollout(),
      facts({ now: 1, ...seen({ requests: 3, failed: 3 }) }),
      'roll back',
    ],
    [
      'does not roll back early for what could be mended',
      rollout(),
      facts({ now: 1, ...seen({ requests: 2, failed: 2 }) }),
      'wait',
    ],
    [
      'compares with the old one where the bound says so',
      rollout(),
      facts(seen({ requests: 100, inputRefused: 40 }, { requests: 100, inputRefused: 35 })),
      'advance',
    ],
    [
      'rolls back above the old one',
      rollout(),
      facts(seen({ requests: 100, inputRefused: 40 }, { requests: 100, inputRefused: 10 })),
      'roll back',
    ],
    [
      'waits up to three times the time for traffic',
      rollout(),
      facts({ now: 3 * everyMs - 1, ...seen({ requests: 5 }) }),
      'wait',
    ],
    ['asks a person after that', rollout(), facts({ now: 3 * everyMs, ...seen({ requests: 5 }) }), 'ask a person'],
    ['goes on waiting for the person', rollout(waiting), facts({ now: 9 * everyMs, ...seen({ requests: 5 }) }), 'wait'],
    ['goes on by itself when the traffic came after all', rollout(waiting), facts({ now: 9 * everyMs }), 'advance'],
    ['rolls back while it waits', rollout(waiting), facts(seen({ requests: 100, failed: 50 })), 'roll back'],
    [
      'goes on when a person says so',
      rollout({ ...waiting, request: { what: 'continue', by: 'mia' } }),
      facts(seen({ requests: 1 })),
      'advance',
    ],
    ['stops when a person says so', rollout({ request: { what: 'abort', by: 'mia' } }), facts(), 'roll back'],
    [
      'does not go on past a broken bound for a person',
      rollout({ request: { what: 'continue', by: 'mia' } }),
      facts(seen({ requests: 100, failed: 50 })),
      'roll back',
    ],
    ['rolls back when the gateway tripped', rollout(), facts({ guardTripped: '9 of 20 failed' }), 'roll back'],
    ['rolls back what was barred meanwhile', rollout(), facts({ clearance: barred }), 'roll back'],
    ['leaves when Git wants the old one again', rollout(), facts({ desired: old.digest }), 'abandon'],
    ['leaves when Git wants nothing', rollout(), facts({ desired: undefined }), 'abandon'],
    ['makes way when Git wants another', rollout(), facts({ desired: digestOf('5') }), 'restart'],
    [
      'stalls after a rollback, whatever else there is',
      rollout({ state: 'rolling back' }),
      facts({ desired: old.digest }),
      'stall',
    ],
  ]
  it.each(cases)('%s', (_, one, given, outcome) => {
    const decision = nextStep(one, given)
    expect(decision.outcome).toBe(outcome)
    expect(decision.reasons[0]).toMatch(/\w/)
  })

  it('only ever decides what the table of states allows', () => {
    for (const state of activeStates)
      for (const desired of [newcomer.digest, old.digest, undefined, digestOf('5')])
        for (const clearance of [facts().clearance, barred])
          for (const requests of [0, 3, 100])
            for (const failed of [0, 3])
              for (const now of [0, everyMs, 5 * everyMs])
                for (const prepared of [
                  { state: 'ready' },
                  { state: 'going on' },
                  { state: 'failed', reason: 'x' },
                ] as const) {
                  const given = facts({
                    now,
                    desired,
                    clearance,
                    prepared,
                    ...seen({ requests, failed: Math.min(failed, requests) }),
                  })
                  const { outcome } = nextStep(rollout({ state }), given)
                  expect(canFollow(state, outcome), `${state} × ${outcome}`).toBe(true)
                }
  })

  it('never gives a newcomer more traffic because more of its requests failed', () => {
    const rank = (outcome: RolloutOutcome) => (outcome === 'roll back' ? 0 : outcome === 'wait' ? 1 : 2)
    for (const requests of [1, 50, 100, 400]) {
      let before = Number.POSITIVE_INFINITY
      for (let failed = 0; failed <= requests; failed++) {
        const now = rank(nextStep(rollout(), facts(seen({ requests, failed }))).outcome)
        expect(now).toBeLessThanOrEqual(before)
        before = now
      }
    }
  })

  it('ends in states that nothing leaves', () => {
    for (const state of ['done', 'stalled', 'rolled back', 'superseded'] as const)
      expect(() => nextRolloutState(state, 'advance')).toThrow('met "advance"')
  })

  it('says the numbers', () => {
    const { reasons } = nextStep(rollout(), facts(seen({ requests: 100, failed: 3 })))
    expect(reasons).toEqual(['3 of 100 requests failed (3%, abort > 2%)'])
  })
})

describe('what the gateway is told', () => {
  const served = (digest: string) => ({
    ...{
      model: 'm',
      version: 1,
      digest: digest as never,
      modelPath: '/m',
      pythonPath: '/p',
      inputs: { columns: [], checks: [] },
    },
  })
  const place = { project: 'p', environment: 'production', model: 'm' }
  const weights = (one: Rollout | undefined) =>
    weightsOf(one ? one.old : old, one).map(({ version, weight }) => [version, weight])

  it.each([
    ['only the old one without a rollout', undefined, [[3, 1]]],
    [
      'the newcomer kept warm while it is loaded',
      rollout(preparing),
      [
        [3, 1],
        [4, 0],
      ],
    ],
    [
      'the share of the step',
      rollout({ step: 1 }),
      [
        [3, 0.75],
        [4, 0.25],
      ],
    ],
    ['only the old one while it is rolled back', rollout({ state: 'rolling back' }), [[3, 1]]],
  ] as const)('%s', (_, one, expected) => {
    expect(weights(one)).toEqual(expected)
  })

  it('gives the first version everything, since nobody else could answer', () => {
    expect(weights(rollout({ ...preparing, old: undefined }))).toEqual([[4, 1]])
  })

  it('leaves out what is not on this machine, and gives its share to the other', () => {
    const endpoint = endpointOf(place, weightsOf(old, rollout()), rollout(), (digest) =>
      digest === old.digest ? served(digest) : undefined,
    )
    expect(endpoint!.versions.map(({ weight }) => weight)).toEqual([1])
  })

  it('names nobody rather than somebody without traffic', () => {
    expect(
      endpointOf(place, weightsOf(old, rollout(preparing)), undefined, (digest) =>
        digest === old.digest ? undefined : served(digest),
      ),
    ).toBeUndefined()
  })

  it('gives the gateway fixed bounds only, and only while somebody else can answer', () => {
    const guard = (one: Rollout) => endpointOf(place, weightsOf(one.old, one), one, (digest) => served(digest))?.guard
    expect(guard(rollout())).toEqual({ newcomer: newcomer.digest, minRequests: 100, maxErrorRate: 0.02 })
    expect(guard(rollout(preparing))).toBeUndefined()
    expect(guard(rollout({ old: undefined }))).toBeUndefined()
  })

  it('tells the gateway how Git wants the endpoint carried, and nothing of what differs in nothing from the defaults', () => {
    const file = (line: string) =>
      parseProjectFile(
        `project: p\nsteps: { t: { run: "true", model: m } }\ndeployments: { production: { model: m${line} } }\n`,
      ).deployments.production!
    expect(policiesOf(file(''))).toEqual({})
    const policies = policiesOf(file(', serve: { workers: 2 }, inputs: { on_failure: warn }, log: { sample: 10% }'))
    expect(policies).toEqual({
      serve: { workers: 2 },
      inputs: { onFailure: 'warn', impute: {} },
      log: { sample: 0.1, hash: [] },
    })
    const endpoint = endpointOf({ ...place, ...policies }, weightsOf(old, undefined), undefined, (digest) =>
      served(digest),
    )
    expect(endpoint).toMatchObject(policies)
  })

  it('calls a gateway that is behind a mismatch only after the time that it may take to read', () => {
    const endpoint = endpointOf(place, weightsOf(old, undefined), undefined, (digest) => served(digest))
    const wanted = { revision: 7, writtenAt: 1000, endpoint, loading: undefined, missing: undefined }
    const observed = { revision: 6, startedAt: 0, endpoints: [] }
    expect(mismatches(place, wanted, observed, 2000)).toEqual([])
    expect(mismatches(place, wanted, observed, 9000)[0]).toContain('revision 6')
    expect(mismatches(place, wanted, undefined, 2000)).toEqual(['the gateway does not answer'])
    expect(mismatches(place, wanted, { ...observed, revision: 7 }, 2000)).toEqual([
      'the gateway does not know this deployment',
    ])
    const processes = { of: 3, answering: [1, 3] }
    expect(mismatches(place, wanted, { ...observed, revision: 7, processes }, 2000)).toEqual([
      '1 of 3 processes of the gateway do not answer',
    ])
  })

  it('sends a version straight back only if it served before the present one', () => {
    expect(straightReason({ nothingServes: false, newcomerServedAt: 1, oldServedAt: 2 })).toContain(
      'served here before',
    )
    expect(straightReason({ nothingServes: false, newcomerServedAt: 2, oldServedAt: 1 })).toBeUndefined()
    expect(straightReason({ nothingServes: false, newcomerServedAt: undefined, oldServedAt: 1 })).toBeUndefined()
    expect(straightReason({ nothingServes: true, newcomerServedAt: undefined, oldServedAt: undefined })).toContain(
      'nothing serves',
    )
  })
})
