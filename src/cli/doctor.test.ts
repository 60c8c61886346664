import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import { clockFinding, compareVersions, findingLines } from './doctor.ts'

describe('doctor', () => {
  it.each([
    ['2.39.5', '2.28', 1],
    ['2.9', '2.28', -1],
    ['2.28', '2.28.0', 0],
    ['3.11.7', '3.9', 1],
  ])('version %s against %s is %d', (a, b, order) => {
    expect(compareVersions(a, b)).toBe(order)
  })

  it.each([
    [1_000, 'ok'],
    [1_500, 'ok'],
    [2_500, 'ok'],
    [4_600, 'warn'],
    [-2_000, 'warn'],
    [100_000, 'fail'],
  ])('a server whose clock says %d between 1000 and 2000 is %s', (serverNow, level) => {
    expect(clockFinding(serverNow, 1_000, 2_000).level).toBe(level)
  })

  it('ends with the next move of each thing that is not well', () => {
    const findings = [
      { what: 'git', level: 'ok', text: '2.39.5' },
      { what: 'disk', level: 'warn', text: '1 GB free', next: 'Free space.' },
    ] as const
    expect(findingLines(findings, pc.createColors(false))).toEqual([
      '✓ ok    git   2.39.5',
      '! warn  disk  1 GB free',
      '',
      'disk: Free space.',
    ])
  })
})
