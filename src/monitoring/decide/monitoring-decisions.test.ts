import { describe, expect, it } from 'vitest'
import { parseBound } from '../../kernel/bound.ts'
import { profileColumn } from '../../math/feature-profile.ts'
import { type AlertFacts, alertMove } from './alert-move.ts'
import { judgeQuality, type LabelledAnswer } from './judge-quality.ts'
import { judgeWindow } from './judge-window.ts'
import { metricSight } from './metric-sight.ts'
import { driftBounds, windowAt } from './window.ts'

const bound = (text: string) => {
  const read = parseBound(text)
  if (!read.ok) throw new Error(read.problem)
  return read.bound
}

describe('alertMove', () => {
  it.each<[string, AlertFacts, string]>([
    ['opens at the first look beyond', { isOpen: false, sight: 'beyond', rowsSince: 0, minRows: 50 }, 'open'],
    ['goes on while it is beyond', { isOpen: true, sight: 'beyond', rowsSince: 80, minRows: 50 }, 'update'],
    ['stays for a look within right after', { isOpen: true, sight: 'within', rowsSince: 49, minRows: 50 }, 'none'],
    ['ends when enough came since', { isOpen: true, sight: 'within', rowsSince: 50, minRows: 50 }, 'close'],
    ['is not ended by a look that cannot say', { isOpen: true, sight: 'unknown', rowsSince: 99, minRows: 50 }, 'none'],
    ['is not opened by one either', { isOpen: false, sight: 'unknown', rowsSince: 0, minRows: 50 }, 'none'],
    ['is not there while all is well', { isOpen: false, sight: 'within', rowsSince: 99, minRows: 50 }, 'none'],
  ])('%s', (_, facts, move) => {
    expect(alertMove(facts)).toBe(move)
  })
})

describe('windowAt', () => {
  const day = 86_400_000
  it('takes the last 500 rows of 7 days and judges 50, where the file says nothing', () => {
    expect(windowAt(10 * day, undefined)).toEqual({ fromMs: 3 * day, toMs: 10 * day, limit: 500, minRows: 50 })
  })

  it('judges a window that is smaller than 50 rows when it is full', () => {
    expect(windowAt(10 * day, { predictions: 20 })).toMatchObject({ limit: 20, minRows: 20 })
  })

  it('takes a span as it is said', () => {
    expect(windowAt(10 * day, { ms: day })).toMatchObject({ fromMs: 9 * day, minRows: 50 })
  })

  it('reads the bounds of the file', () => {
    expect(driftBounds({ psi: bound('> 0.2'), missing: bound('> 5%') })).toEqual([
      { statistic: 'missing', comparator: '>', bound: 0.05 },
      { statistic: 'psi', comparator: '>', bound: 0.2 },
    ])
  })
})

describe('judgeWindow', () => {
  const evenly = (count: number, shift = 0) => Array.from({ length: count }, (_, i) => i / count + shift)
  const profile = (values: (number | string)[]) => profileColumn(values, { seed: 1 })
  const reference = {
    inputs: ['radius', 'site'],
    features: {
      radius: profile(evenly(400)),
      site: profile(Array.from({ length: 400 }, (_, i) => (i % 4 ? 'left' : 'right'))),
      diagnosis: profile(['benign', 'malignant']),
    },
  }
  const rows = (shift: number) => evenly(100, shift).map((radius, i) => ({ radius, site: i % 4 ? 'left' : 'right' }))
  const judge = (inputs: Record<string, unknown>[], ref: typeof reference | undefined = reference) =>
    judgeWindow({ rows: inputs, reference: ref, bounds: [], minRows: 50 })

  it('names the feature that moved and not the one that stayed', () => {
    const { outcome, features } = judge(rows(0.5))
    expect(outcome).toBe('drift')
    expect(features.map(({ feature, outcome: one }) => [feature, one])).toEqual([
      ['radius', 'drift'],
      ['site', 'no drift'],
    ])
  })

  it('never asks for the label, which has a profile but is no input', () => {
    expect(judge(rows(0)).features.map(({ feature }) => feature)).not.toContain('diagnosis')
    const unsigned = { ...reference, inputs: [] }
    expect(judge(rows(0), unsigned).features.map(({ feature }) => feature)).toEqual(['radius', 'site'])
  })

  it('sees an input that nobody sends any more as missing', () => {
    const { outcome, reasons } = judge(rows(0).map(({ radius }) => ({ radius })))
    expect(outcome).toBe('drift')
    expect(reasons.join()).toMatch(/site: 100 % missing/)
  })

  it('says of a column that the log does not keep that it cannot be compared, instead of calling it missing', () => {
    const kept = rows(0).map(({ radius }) => ({ radius }))
    const leftOut = (column: string) => (column === 'site' ? 'The log does not keep site.' : undefined)
    const facts = { rows: kept, reference, bounds: [], minRows: 50 }
    const { outcome, features, reasons } = judgeWindow({ ...facts, leftOut })
    expect([outcome, features.map(({ feature }) => feature)]).toEqual(['no drift', ['radius']])
    expect(reasons).toContain('The log does not keep site.')
    expect(judgeWindow({ ...facts, leftOut: (column) => `Nothing of ${column}.` })).toEqual({
      outcome: 'no reference',
      features: [],
      reasons: ['Nothing of radius.', 'Nothing of site.'],
    })
  })

  it('charts shares that add up to one on either side', () => {
    const { chart } = judge(rows(0.5)).features[0]!
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
    expect(sum(chart.reference)).toBeCloseTo(1)
    expect(sum(chart.current)).toBeCloseTo(1)
    expect(chart.kind === 'numeric' && chart.current.length === chart.edges.length + 1).toBe(true)
  })

  it('says that there is nothing to compare with', () => {
    expect(judgeWindow({ rows: rows(0), reference: undefined, bounds: [], minRows: 50 }).outcome).toBe('no reference')
  })
})

describe('judgeQuality', () => {
  const answers = (pairs: [unknown, LabelledAnswer['label']][]): LabelledAnswer[] =>
    pairs.map(([output, label], i) => ({ at: 1_000, labelledAt: 1_000 + i * 100, output, label }))

  it('counts right classes, with the interval of Wilson', () => {
    const report = judgeQuality(
      answers([...Array(8).fill(['benign', 'benign']), ...Array(2).fill(['benign', 'malignant'])]),
    )!
    // Wilson's interval of 8 of 10, from the published formula (statsmodels: 0.4902, 0.9433).
    expect(report.metrics.accuracy!.value).toBe(0.8)
    expect(report.metrics.accuracy!.interval!.low).toBeCloseTo(0.4902, 4)
    expect(report.metrics.accuracy!.interval!.high).toBeCloseTo(0.9433, 4)
    expect(report.metrics.mae).toBeUndefined()
  })

  it.each<[unknown, LabelledAnswer['label']]>([
    [1, '1'],
    [true, 1],
    [true, 'True'],
    [['benign'], 'benign'],
    [{ prediction: 'benign' }, 'benign'],
  ])('takes %j and %j for one class', (output, label) => {
    expect(judgeQuality(answers([[output, label]]))!.metrics.accuracy!.value).toBe(1)
  })

  it('measures the distance of quantities and no accuracy', () => {
    const { metrics } = judgeQuality(
      answers([
        [1.5, 1],
        [2, 4.5],
      ]),
    )!
    expect(Object.keys(metrics)).toEqual(['mae', 'rmse', 'bias'])
    expect(metrics.mae!.value).toBe(1.5)
    expect(metrics.rmse!.value).toBeCloseTo(Math.sqrt((0.25 + 6.25) / 2))
    expect(metrics.bias!.value).toBe(-1)
  })

  it('leaves answers out that are no single value, and says how many', () => {
    const report = judgeQuality(
      answers([
        [[0.2, 0.8], 1],
        [null, 1],
        [1, 1],
      ]),
    )!
    expect([report.n, report.metrics.accuracy!.n]).toEqual([1, 1])
    expect(report.reasons[0]).toMatch(/^2 of 3 labelled answers/)
  })

  it('tells how late labels come, and nothing where there are none', () => {
    expect(
      judgeQuality(
        answers([
          [1, 1],
          [1, 1],
          [1, 1],
        ]),
      )!.delayMs,
    ).toEqual({ median: 100, max: 200 })
    expect(judgeQuality([])).toBeUndefined()
  })
})

describe('metricSight', () => {
  it.each<[string, { value: number; n: number } | undefined, string, RegExp]>([
    ['worse than the bound', { value: 0.85, n: 40 }, 'beyond', /accuracy 0.85 over 40.*< 0.9/],
    ['on the bound', { value: 0.9, n: 40 }, 'within', /not < 0.9/],
    ['of too few labels', { value: 0.1, n: 29 }, 'unknown', /at least 30/],
    ['unmeasured', undefined, 'unknown', /not measured/],
  ])('%s', (_, metric, sight, reason) => {
    const seen = metricSight('accuracy', bound('< 0.9'), metric)
    expect(seen.sight).toBe(sight)
    expect(seen.reason).toMatch(reason)
  })
})
