import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import { lineageLines, rowLines } from './lineage.ts'
import { type Reproduction, reproductionLines } from './reproduce.ts'

const color = pc.createColors(false)
const plain = (lines: string[]) => lines.map(stripVTControlCharacters)

describe('lineage in a terminal', () => {
  const thing = (id: string, distance: number) =>
    ({ id, kind: 'file', name: id, ref: id, distance, ...(distance === 0 ? { asked: true as const } : {}) }) as const
  const found = {
    ...{ project: 'p', of: 'm', depth: 6, more: true, cut: false },
    things: [thing('rows', -2), thing('a', -1), thing('b', -1), thing('m', 0), thing('out', 1)],
    lines: [
      ...[
        { from: 'rows', to: 'a' },
        { from: 'rows', to: 'b' },
      ],
      ...[
        { from: 'a', to: 'm' },
        { from: 'b', to: 'm' },
        { from: 'm', to: 'out' },
      ],
    ],
  }

  it('is a tree each way; what was told is not told again', () => {
    expect(plain(lineageLines({ ...found, direction: 'both' }, color))).toEqual([
      'm  ',
      '  came from',
      '  ├─ a  ',
      '  │  └─ rows  ',
      '  └─ b  ',
      '     └─ rows  (above)',
      '  led to',
      '  └─ out  ',
      'There is more: ask with a larger --depth.',
    ])
  })

  it('says so where nothing is recorded that way', () => {
    const end = { ...found, things: [thing('m', 0)], lines: [], more: false, direction: 'down' as const }
    expect(plain(lineageLines(end, color))).toEqual(['m  ', '  led to nothing that was recorded'])
  })
})

it('tells of a row in which versions it is, which models came of them, and what is not known', () => {
  const digest = `sha256:${'9'.repeat(64)}`
  const row = {
    ...{ project: 'p', dataset: 'rows', keyColumn: 'id', key: 'P-1', share: 0.25, looked: 3 },
    versions: [{ digest, row: 7, origin: 'git' as const, text: 'rows.csv in Git', firstSeenAt: 1, models: [] }],
    models: [{ name: 'm v1', digest, serves: ['production'] }],
    unread: [{ digest, reason: 'it is gone' }],
  }
  const told = plain(rowLines(row, color)).join('\n')
  expect(told).toContain('id P-1 is in 1 version of rows; 1 model version came of them:\n  m v1  served in production')
  expect(told).toContain('999999999999 could not be searched: it is gone')
  expect(told).toContain('“in the dataset of”')
  expect(plain(rowLines({ ...row, versions: [], models: [] }, color))[0]).toBe(
    'No version of rows that could be searched has a row with id P-1 (2 versions searched).',
  )
})

it('tells of a reproduction the verdict, the sentence, and what differs step by step', () => {
  const one: Reproduction = {
    ...{
      id: '1',
      project: 'p',
      model: 'm',
      version: 3,
      digest: 'sha256:1',
      recorded: 'e',
      commit: 'c',
      fromRecord: true,
    },
    ...{ runs: 1, tolerance: 0, state: 'judged', passes: {}, requestedBy: 'mia', createdAt: 0, endedAt: 90_000 },
    sentence: 'It differs first in prepare.',
    comparison: {
      outcome: 'different',
      steps: [
        {
          ...{ step: 'prepare', outcome: 'different', files: [{ path: 'work/a.csv', change: 'changed' }] },
          metrics: [{ name: 'auc', was: 0.9, is: 'NaN', within: false }],
          model: {
            ...{ name: 'm', same: false, files: [{ path: 'model.pkl', change: 'changed' }] },
            predictions: { compared: true, rows: 4, equal: false, largest: 0.5 },
          },
        },
        { step: 'train', outcome: 'identical', files: [], metrics: [] },
      ],
      compared: { steps: 2, files: 1, metrics: 1, models: 1, tolerance: 0 },
    },
  }
  const told = plain(reproductionLines(one, color)).join('\n')
  for (const part of [
    ...['✗ different in 1 m 30 s', 'It differs first in prepare.', 'changed  work/a.csv', 'auc: 0.9 → NaN'],
    ...['model.pkl; predictions on 4 rows differ, at most 0.5 apart', '✓ identical  train'],
  ])
    expect(told).toContain(part)
  const failed = { ...one, comparison: undefined, error: { code: 'StepFailed', message: 'no disk', next: 'Look.' } }
  expect(plain(reproductionLines(failed as Reproduction, color))).toEqual(['✗ failed in 1 m 30 s: no disk', 'Look.'])
})
