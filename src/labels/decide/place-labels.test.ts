import { describe, expect, it } from 'vitest'
import type { Digest } from '../../kernel/digest.ts'
import type { LabelValue, LoggedPrediction } from '../label.ts'
import { type PlacingFacts, placeLabels } from './place-labels.ts'

const prediction = (id: string, change: Partial<LoggedPrediction> = {}): LoggedPrediction => ({
  id,
  at: 1,
  project: 'tumour',
  environment: 'production',
  model: 'm',
  version: 1,
  digest: 'sha256:1' as Digest,
  outcome: 'answered',
  rows: [{ input: { radius: 1 }, output: 'benign' }],
  ...change,
})

const predictions = new Map(
  [
    prediction('one'),
    prediction('three', { rows: [{ input: {} }, { input: {} }, { input: {} }] }),
    prediction('refused', { outcome: 'input refused' }),
    prediction('foreign', { project: 'other' }),
  ].map((p) => [p.id, p]),
)

const decode = (text: string) => {
  if (text === 'nonsense') return undefined
  const [id, row] = text.split(':')
  return { prediction: id!, ...(row === undefined ? {} : { row: Number(row) }) }
}

const place = (labels: [string, LabelValue][], existing: [string, LabelValue][] = []) => {
  const facts: PlacingFacts = {
    project: 'tumour',
    labels: labels.map(([predictionId, value]) => ({ predictionId, value })),
    decoded: labels.map(([id]) => decode(id)),
    predictions,
    existing: new Map(existing),
  }
  return placeLabels(facts)
}

describe('placeLabels', () => {
  it.each<[string, string, RegExp]>([
    ['a text that is no id', 'nonsense', /no prediction id/],
    ['an id that is not in the log', 'unknown', /no prediction of tumour is logged/],
    ['an id of another project', 'foreign', /no prediction of tumour is logged/],
    ['a request that was refused', 'refused', /not answered \(input refused\)/],
    ['a request of several rows without the row', 'three', /3 rows: add the row, ":0" to ":2"/],
    ['a row beyond the last', 'three:3', /so there is no row 3/],
    ['a row of a request that had one', 'one:1', /had one row, so there is no row 1/],
  ])('refuses %s and says why', (_, id, reason) => {
    const { placed, refused } = place([[id, 'benign']])
    expect(placed).toEqual([])
    expect(refused).toEqual([{ index: 0, predictionId: id, reason: expect.stringMatching(reason) }])
  })

  it('takes the row of a single-row request with and without ":0"', () => {
    expect(place([['one', 1]]).placed[0]).toMatchObject({ row: 0, outcome: 'recorded' })
    expect(place([['one:0', 1]]).placed[0]).toMatchObject({ row: 0, outcome: 'recorded' })
  })

  it('tells the same value from another one, a number from its text too', () => {
    expect(place([['one', 1]], [['one:0', 1]]).placed[0]!.outcome).toBe('unchanged')
    expect(place([['one', '1']], [['one:0', 1]]).placed[0]!.outcome).toBe('replaced')
  })

  it('lets the later of two values in one call stand', () => {
    const { placed } = place([
      ['one', 'a'],
      ['one:0', 'b'],
      ['one', 'b'],
    ])
    expect(placed.map(({ outcome }) => outcome)).toEqual(['recorded', 'replaced', 'unchanged'])
  })
})
