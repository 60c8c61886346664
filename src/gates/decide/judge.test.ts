import { describe, expect, it } from 'vitest'
import { type BoundsExpr, parseBound } from '../../kernel/bound.ts'
import type { Gate, GateFacts, Objective } from '../gate.ts'
import { judge } from './judge.ts'

/** Bounds as modelwright.yaml writes them: a text, a list (AND), or any: […] (OR). */
type Written = string | Written[] | { any: Written[] }

function bounds(written: Written): BoundsExpr {
  if (Array.isArray(written)) return { all: written.map(bounds) }
  if (typeof written === 'object') return { any: written.any.map(bounds) }
  const parsed = parseBound(written)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.bound
}

function objective(
  metric: string,
  written: { pass?: Written; warn?: Written; weight?: number; key?: boolean },
): Objective {
  const { pass, warn, weight = 1, key = false } = written
  return { metric, ...(pass ? { pass: bounds(pass) } : {}), ...(warn ? { warn: bounds(warn) } : {}), weight, key }
}

const gate = (objectives: Objective[], more: Partial<Gate> = {}): Gate => ({
  objectives,
  total: { pass: 0.9, warn: 0.75 },
  ...more,
})

const facts = (candidate: GateFacts['candidate'], champion?: GateFacts['champion']): GateFacts => ({
  candidate,
  champion,
})

const auc = objective('auc', { pass: ['>= 0.95', '>= champion - 0.005'], warn: ['>= 0.93'], key: true })
const latency = objective('p99', { pass: ['<= 20'] })

describe('a candidate beside a champion', () => {
  it('passes when every bound holds', () => {
    const verdict = judge(gate([auc, latency]), facts({ auc: 0.96, p99: 12 }, { auc: 0.963, p99: 9 }))
    expect(verdict).toMatchObject({ outcome: 'pass', score: 100, ruleVersion: 'gate/1' })
    expect(verdict.objectives[0]!.bounds).toEqual([
      { text: '>= 0.95', level: 'pass', target: 0.95, held: true },
      { text: '>= champion - 0.005', level: 'pass', target: 0.958, held: true },
      { text: '>= 0.93', level: 'warn', target: 0.93, held: true },
    ])
  })

  it('warns on half points that reach the warn share', () => {
    const verdict = judge(gate([auc, latency]), facts({ auc: 0.94, p99: 12 }, { auc: 0.94 }))
    expect(verdict).toMatchObject({ outcome: 'warn', score: 75 })
    expect(verdict.objectives[0]!.reason).toBe('auc: 0.94 misses ">= 0.95" but meets ">= 0.93"')
  })

  it('fails whatever the score when a key objective fails', () => {
    const heavy = objective('p99', { pass: ['<= 20'], weight: 1000 })
    const verdict = judge(gate([auc, heavy]), facts({ auc: 0.5, p99: 1 }, { auc: 0.5 }))
    expect(verdict.outcome).toBe('fail')
    expect(verdict.score).toBeGreaterThan(99)
    expect(verdict.reasons[0]).toBe('Key objective failed: auc.')
  })

  it('does not fail on a key objective that only warns', () => {
    expect(
      judge(gate([auc, objective('b', { pass: ['> 0'], weight: 9 })]), facts({ auc: 0.94, b: 1 }, { auc: 0.9 }))
        .outcome,
    ).toBe('pass')
  })

  it('takes the alternatives of any as OR', () => {
    const either = gate([objective('auc', { pass: { any: ['>= 0.99', '>= champion'] } })])
    expect(judge(either, facts({ auc: 0.8 }, { auc: 0.8 })).outcome).toBe('pass')
    expect(judge(either, facts({ auc: 0.79 }, { auc: 0.8 })).outcome).toBe('fail')
  })

  it('does not take an empty list among alternatives as met', () => {
    const either = gate([objective('auc', { pass: { any: [[], '>= 0.9'] } })])
    expect(judge(either, facts({ auc: 0.1 }, { auc: 0 })).outcome).toBe('fail')
    expect(judge(either, facts({ auc: 0.1 })).outcome).toBe('fail')
  })

  it('takes a percentage of a negative champion from its magnitude', () => {
    const loss = gate([objective('loss', { pass: ['<= champion + 10%'] })])
    expect(judge(loss, facts({ loss: -9.5 }, { loss: -10 })).outcome).toBe('pass')
    expect(judge(loss, facts({ loss: -8.9 }, { loss: -10 })).outcome).toBe('fail')
  })

  it.each([
    ['is missing', {}, 'has no value'],
    ['is NaN', { auc: Number.NaN }, 'NaN'],
  ])("is inconclusive when the champion's value %s", (_, champion, why) => {
    const verdict = judge(gate([auc, latency]), facts({ auc: 0.96, p99: 1 }, champion))
    expect(verdict.outcome).toBe('inconclusive')
    expect(verdict.objectives[0]).toMatchObject({ outcome: 'inconclusive', score: 0 })
    expect(verdict.objectives[0]!.reason).toContain(why)
  })

  it('decides by the fixed bounds alone where they settle it, although the champion has no value', () => {
    const both = gate([objective('auc', { pass: ['>= 0.95', '>= champion'] })])
    expect(judge(both, facts({ auc: 0.9 }, {})).outcome).toBe('fail')
    const either = gate([objective('auc', { pass: { any: ['>= 0.95', '>= champion'] } })])
    expect(judge(either, facts({ auc: 0.96 }, {})).outcome).toBe('pass')
  })

  it("fails in spite of a missing champion's value when even its pass would not reach the score", () => {
    const heavy = objective('p99', { pass: ['<= 20'], weight: 9 })
    expect(
      judge(gate([objective('auc', { pass: ['>= champion'] }), heavy]), facts({ auc: 1, p99: 99 }, {})).outcome,
    ).toBe('fail')
  })
})

describe('a value that cannot be judged', () => {
  it('fails a missing metric, with the reason that was given', () => {
    const missing = { candidate: { p99: 'the model could not be loaded' } }
    const verdict = judge(gate([latency]), { candidate: {}, champion: {}, missing })
    expect(verdict.outcome).toBe('fail')
    expect(verdict.reasons).toContain('p99: the model could not be loaded')
  })

  it('fails NaN with a reason of its own, even where the bound is !=', () => {
    const verdict = judge(gate([objective('m', { pass: ['!= 0'] })]), facts({ m: Number.NaN }, {}))
    expect(verdict.outcome).toBe('fail')
    expect(verdict.objectives[0]!.reason).toContain('NaN')
  })

  it('does not take a property that every object has for a metric', () => {
    expect(
      judge(gate([objective('constructor', { pass: ['!= 0'] })]), facts({}, {})).objectives[0]!.value,
    ).toBeUndefined()
  })

  it('compares an infinite value as a number, and says that it is none', () => {
    const verdict = judge(gate([latency]), facts({ p99: -Infinity }, {}))
    expect(verdict.outcome).toBe('pass')
    expect(verdict.objectives[0]!.reason).toContain('not a finite number')
    expect(judge(gate([latency]), facts({ p99: Infinity }, {})).outcome).toBe('fail')
  })

  it('is inconclusive where an infinite champion leaves no number to compare with', () => {
    const near = gate([objective('m', { pass: ['<= champion + 10%'] })])
    expect(judge(near, facts({ m: 1 }, { m: -Infinity })).outcome).toBe('inconclusive')
  })
})

describe('the first candidate', () => {
  it('is judged by the fixed bounds, and the verdict says what was left out', () => {
    const verdict = judge(gate([auc, latency]), facts({ auc: 0.96, p99: 1 }))
    expect(verdict.outcome).toBe('pass')
    expect(verdict.reasons.join()).toContain('there is no champion, so ">= champion - 0.005" was left out')
    expect(judge(gate([auc, latency]), facts({ auc: 0.5, p99: 1 })).outcome).toBe('fail')
  })

  it('leaves champion bounds out of alternatives too, instead of taking them as met', () => {
    const either = gate([objective('auc', { pass: { any: ['>= champion', '>= 0.95'] } })])
    expect(judge(either, facts({ auc: 0.9 })).outcome).toBe('fail')
    expect(judge(either, facts({ auc: 0.96 })).outcome).toBe('pass')
  })

  const relative = objective('auc', { pass: ['>= champion'] })

  it('waits for a person when every bound compares with a champion, unless the gate says first: allow', () => {
    expect(judge(gate([relative]), facts({ auc: 0.9 })).outcome).toBe('inconclusive')
    expect(judge(gate([relative]), facts({ auc: 0.9 }, { auc: 0.8 })).outcome).toBe('pass')
    expect(judge(gate([relative], { first: 'allow' }), facts({ auc: 0.9 })).outcome).toBe('pass')
  })

  it('fails a missing metric even where the gate says first: allow', () => {
    expect(judge(gate([relative], { first: 'allow' }), facts({})).outcome).toBe('fail')
  })

  it('leaves an objective without fixed bounds out of the score', () => {
    const verdict = judge(gate([relative, latency]), facts({ auc: 0.9, p99: 1 }))
    expect(verdict).toMatchObject({ outcome: 'pass', score: 100 })
    expect(verdict.objectives[0]).toMatchObject({ outcome: 'inconclusive', score: 0 })
  })

  it('waits for a person when a key objective cannot be judged, unless the rest fails anyway', () => {
    const key = { ...relative, key: true }
    expect(judge(gate([key, latency]), facts({ auc: 0.9, p99: 1 })).outcome).toBe('inconclusive')
    expect(judge(gate([key, latency]), facts({ auc: 0.9, p99: 99 })).outcome).toBe('fail')
    expect(judge(gate([key, latency], { first: 'allow' }), facts({ auc: 0.9, p99: 1 })).outcome).toBe('pass')
  })
})

describe('the gate as a whole', () => {
  it('fails without objectives', () => {
    expect(judge(gate([]), facts({}))).toMatchObject({ outcome: 'fail', score: 0 })
  })

  it('passes with 100 when every objective only informs', () => {
    expect(judge(gate([objective('m', { warn: ['> 5'] })]), facts({}))).toMatchObject({ outcome: 'pass', score: 100 })
  })

  it('passes a score that equals the limit exactly', () => {
    const nine = gate([objective('a', { pass: ['> 0'], weight: 9 }), objective('b', { pass: ['> 0'], weight: 1 })])
    expect(judge(nine, facts({ a: 1, b: 0 })).outcome).toBe('pass')
  })
})

/** A small linear congruential generator: the same gates on every run. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32
    return state / 2 ** 32
  }
}

describe('for any gate', () => {
  const metrics = ['a', 'b', 'c', 'd']
  const floors = [
    ['>= 0.5'],
    ['> champion - 0.1', '>= 0.3'],
    { any: ['>= champion + 10%', '>= 0.8'] },
    [],
    ['>= champion * 0.9'],
  ]

  function randomGate(next: () => number): { gate: Gate; facts: GateFacts } {
    const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!
    const value = (): number | undefined => pick([undefined, Number.NaN, next(), next(), next(), next() - 1, Infinity])
    const objectives = metrics.map((metric) =>
      objective(metric, {
        pass: pick(floors),
        warn: pick(floors),
        weight: pick([0.1, 0.2, 0.3, 0.7, 2, 3]),
        key: next() < 0.2,
      }),
    )
    const values = (): Record<string, number | undefined> =>
      Object.fromEntries(metrics.map((metric) => [metric, value()]))
    const first = next() < 0.3 ? ({ first: 'allow' } as const) : {}
    return { gate: gate(objectives, first), facts: facts(values(), next() < 0.3 ? undefined : values()) }
  }

  it('permuting objectives never changes outcome or score', () => {
    const next = generator(7)
    for (let i = 0; i < 2000; i++) {
      const given = randomGate(next)
      const permuted = { ...given.gate, objectives: given.gate.objectives.toSorted(() => next() - 0.5) }
      const { outcome, score } = judge(given.gate, given.facts)
      expect(judge(permuted, given.facts)).toMatchObject({ outcome, score })
    }
  })

  it('raising a value whose bounds are all floors never worsens the verdict, given a whole champion or none', () => {
    const next = generator(11)
    const rank = { fail: 0, inconclusive: 1, warn: 2, pass: 3 }
    for (let i = 0; i < 4000; i++) {
      const given = randomGate(next)
      // A champion without a usable value leaves open what a failing value would have settled.
      if (Object.values(given.facts.champion ?? {}).some((value) => !Number.isFinite(value))) continue
      const raised = Object.fromEntries(
        Object.entries(given.facts.candidate).map(([metric, value]) => [
          metric,
          value === undefined ? undefined : value + next(),
        ]),
      )
      const before = judge(given.gate, given.facts)
      const after = judge(given.gate, { ...given.facts, candidate: raised })
      expect(rank[after.outcome]).toBeGreaterThanOrEqual(rank[before.outcome])
    }
  })
})
