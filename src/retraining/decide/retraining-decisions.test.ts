import { describe, expect, it } from 'vitest'
import type { Digest } from '../../kernel/digest.ts'
import type { LabelledRow } from '../../labels/index.ts'
import type { Check } from '../../projects/index.ts'
import type { RetrainCause } from '../retraining.ts'
import { latestDue, nextDue } from './due-times.ts'
import { labelColumn } from './label-column.ts'
import { labelledTable } from './labelled-table.ts'
import { type RetrainFacts, shouldRetrain } from './should-retrain.ts'

const hour = 3_600_000
const day = 24 * hour
const now = Date.UTC(2026, 2, 10, 12)

const drift: RetrainCause = { kind: 'drift', alert: 'a1', features: ['radius'], openedAt: now - hour, windowFromMs: 0 }
const metric: RetrainCause = { kind: 'metric', report: 'r1', metric: 'accuracy', value: 0.8, reason: 'accuracy 0.8' }
const schedule: RetrainCause = { kind: 'schedule', text: 'every day 06:00', due: now - 6 * hour }
const person: RetrainCause = { kind: 'person', request: 'p1', actor: 'ada', note: 'new scanner' }

const facts = (change: Partial<RetrainFacts> = {}): RetrainFacts => ({
  cause: drift,
  now,
  history: [],
  answered: false,
  labels: { needed: true, rows: 40, least: 30, withinMs: 7 * day },
  atMost: { count: 1, perMs: day },
  cooldownMs: hour,
  ...change,
})
const few = { needed: true, rows: 12, least: 30, withinMs: 7 * day }

describe('shouldRetrain', () => {
  it.each<[string, Partial<RetrainFacts>, string, RegExp]>([
    ['drift with enough labels', {}, 'retrain', /drift of radius; 40 rows were labelled/],
    ['drift with exactly enough', { labels: { ...few, rows: 30 } }, 'retrain', /drift of radius/],
    [
      'drift with too few labels',
      { labels: few },
      'wait',
      /12 of at least 30 .* awaited until 2026-03-17T11:00:00.000Z/,
    ],
    [
      'drift whose labels never came',
      { labels: few, cause: { ...drift, openedAt: now - 7 * day } },
      'wait',
      /a person is needed/,
    ],
    ['drift where no dataset takes labels', { labels: { ...few, needed: false } }, 'retrain', /no dataset adds/],
    ['a broken metric, however few labels are new', { cause: metric, labels: few }, 'retrain', /accuracy 0.8/],
    ['a schedule, however few labels are new', { cause: schedule, labels: few }, 'retrain', /was due at 2026-03-10T06/],
    ['a cause that was answered', { answered: true }, 'nothing', /drift:a1 was answered before/],
    [
      'a due time before one that was answered',
      { cause: schedule, lastDue: schedule.due + hour },
      'nothing',
      /was answered/,
    ],
    ['a due time after one that was answered', { cause: schedule, lastDue: schedule.due - hour }, 'retrain', /was due/],
    ['one under way', { openExecution: 'e1' }, 'wait', /e1 is still under way/],
    ['a bar', { barred: 'version 4 was aborted' }, 'wait', /a person is needed first: version 4 was aborted/],
    [
      'within the cool-down',
      { history: [{ cause: 'x', at: now - hour + 1 }], atMost: { count: 9, perMs: day } },
      'wait',
      /cools down for 1 h 0 m/,
    ],
    [
      'at the end of the cool-down',
      { history: [{ cause: 'x', at: now - hour }], atMost: { count: 9, perMs: day } },
      'retrain',
      /drift/,
    ],
    ['a spent budget', { history: [{ cause: 'x', at: now - day + 1 }] }, 'wait', /1 of at most 1 .* may start at/],
    ['a budget that is free again', { history: [{ cause: 'x', at: now - day }] }, 'retrain', /drift/],
    [
      'a person, within cool-down and budget',
      { cause: person, history: [{ cause: 'x', at: now - 1 }] },
      'retrain',
      /ada asked for it: new scanner; a person overrides: cools down.*; a person overrides: 1 of at most 1/,
    ],
    ['a person beside one under way', { cause: person, openExecution: 'e1' }, 'wait', /still under way/],
    [
      'a person where a bar stands',
      { cause: person, barred: 'aborted' },
      'retrain',
      /overrides: a person is needed first/,
    ],
  ])('%s', (_, change, outcome, reasons) => {
    const decision = shouldRetrain(facts(change))
    expect(decision.outcome).toBe(outcome)
    expect(decision.reasons.join('; ')).toMatch(reasons)
  })

  it('frees the budget when the oldest that counts leaves the span', () => {
    const history = [now - 20 * hour, now - 10 * hour, now - 5 * hour].map((at) => ({ cause: 'x', at }))
    const decision = shouldRetrain(facts({ history, atMost: { count: 2, perMs: day } }))
    // The second newest started ten hours ago: a day after it there is one left in the span.
    expect(decision.reasons.join()).toContain(new Date(now + 14 * hour).toISOString())
  })

  it('starts nothing twice when the clock jumps back behind the last retraining', () => {
    const history = [{ cause: 'x', at: now + 3 * hour }]
    expect(shouldRetrain(facts({ history })).outcome).toBe('wait')
    expect(shouldRetrain(facts({ cause: schedule, history, lastDue: now + 2 * hour })).outcome).toBe('nothing')
  })

  it('keys a cause by what makes it one of a kind, not by what changes about it', () => {
    expect(shouldRetrain(facts({ cause: { ...drift, features: ['other'] } })).cause).toBe('drift:a1')
    expect(shouldRetrain(facts({ cause: { ...metric, value: 0.1 } })).cause).toBe('metric:r1')
    expect(shouldRetrain(facts({ cause: schedule })).cause).toBe(`schedule:${schedule.due}`)
  })
})

describe('due times', () => {
  const mondays = '0 6 * * 1'
  const monday = Date.UTC(2026, 0, 5, 6)
  const week = 7 * day

  it.each<[string, number, number, number | undefined]>([
    ['the very moment', monday - 1, monday, monday],
    ['a millisecond before', monday - week, monday - 1, undefined],
    ['a while after', monday - 1, monday + day, monday],
    ['only the latest of many missed', monday - 1, monday + 5 * week + day, monday + 5 * week],
    ['nothing that was due when it was first seen', monday, monday + day, undefined],
    ['nothing when the clock stands before', monday + week, monday + day, undefined],
  ])('gives %s', (_, since, at, due) => {
    expect(latestDue(mondays, since, at)).toBe(due)
  })

  it('tells the next', () => {
    expect(nextDue(mondays, monday)).toBe(monday + week)
    expect(nextDue('0 0 31 2 *', monday)).toBeUndefined()
  })
})

describe('labelColumn', () => {
  const check = (column: string, at: 'training' | 'both'): Check => ({ kind: 'column', column, at })
  const find = (header: string[], checks: Check[] = []) =>
    labelColumn({ dataset: 'biopsies', header, key: 'id', inputs: ['radius', 'site'], checks })

  it('is the only column that is neither key nor input', () => {
    expect(find(['id', 'radius', 'diagnosis', 'site'])).toBe('diagnosis')
  })

  it('is, of several, the one that is checked at training', () => {
    expect(find(['id', 'radius', 'date', 'diagnosis'], [check('diagnosis', 'training'), check('date', 'both')])).toBe(
      'diagnosis',
    )
  })

  it.each<[string, string[], Check[], RegExp]>([
    ['none is left', ['id', 'radius'], [], /each of its columns is an input/],
    ['several are left', ['id', 'date', 'diagnosis'], [], /date, diagnosis/],
    [
      'several are checked',
      ['date', 'diagnosis'],
      [check('date', 'training'), check('diagnosis', 'training')],
      /date, diagnosis/,
    ],
  ])('is refused where %s', (_, header, checks, message) => {
    expect(() => find(header, checks)).toThrow(message)
  })
})

describe('labelledTable', () => {
  const row = (change: Partial<LabelledRow>): LabelledRow => ({
    ...{ predictionId: 'p1', row: 0, at: 1, labelledAt: 2, model: 'm', version: 1, digest: 'sha256:1' as Digest },
    ...{ input: { radius: 1.5, site: null }, output: 'benign', label: 'malignant' },
    ...change,
  })
  const columns = { header: ['id', 'site', 'radius', 'date', 'diagnosis'], key: 'id', label: 'diagnosis' }

  it('puts inputs, key and label where the dataset has them, and leaves the rest empty', () => {
    expect(labelledTable([row({ key: 's1' })], columns)).toEqual([columns.header, ['s1', '', '1.5', '', 'malignant']])
  })

  it('names a row without a key by its prediction', () => {
    expect(labelledTable([row({ row: 3 })], columns)[1]![0]).toBe('p1:3')
    expect(labelledTable([row({ input: { id: 7 } })], columns)[1]![0]).toBe('7')
  })

  it('is the same table whatever the order in which the rows came', () => {
    const rows = [row({ at: 2, key: 'c' }), row({ at: 1, predictionId: 'p2', key: 'b' }), row({ at: 1, key: 'a' })]
    expect(labelledTable(rows, columns).map(([key]) => key)).toEqual(['id', 'a', 'b', 'c'])
    expect(labelledTable([...rows].reverse(), columns)).toEqual(labelledTable(rows, columns))
  })
})
