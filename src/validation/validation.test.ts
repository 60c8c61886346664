import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Bound, parseBound } from '../kernel/bound.ts'
import type { Check, ColumnCheck } from '../projects/index.ts'
import { checkTable, profileTable } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'mw-tables-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(text: string, name = 'data.csv'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
function bound(text: string): Bound {
  const parsed = parseBound(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.bound
}
const column = (column: string, more: Partial<ColumnCheck>): Check => ({ kind: 'column', column, at: 'both', ...more })

const biopsies = `sample_id,radius,note,diagnosis
s1,12.5,"two
lines",benign
s2,140,,malignant
s3,,fine,benign
s4,abc,fine,benignant
s4,-1,fine,benign
`

describe('checkTable', () => {
  it('names the offending rows of each failed check by line, key and value', async () => {
    const report = await checkTable({
      path: file(biopsies),
      key: 'sample_id',
      checks: [
        { kind: 'rows', rows: bound('>= 300') },
        column('radius', { type: 'number', range: { min: 0, max: 100 }, missing: bound('<= 1%') }),
        column('diagnosis', { values: ['benign', 'malignant'], at: 'training' }),
        column('sample_id', { unique: true, regex: 's[0-9]' }),
      ],
    })
    expect(report.outcome).toBe('fail')
    expect(report.rows).toBe(5)
    expect(
      report.failures.map(({ check, column, failedRows, share, samples }) => ({
        check,
        column,
        failedRows,
        share,
        samples,
      })),
    ).toEqual([
      { check: 'rows', column: undefined, failedRows: 0, share: 0, samples: [] },
      {
        check: 'range',
        column: 'radius',
        failedRows: 2,
        share: 0.4,
        samples: [
          { line: 4, key: 's2', value: '140' },
          { line: 7, key: 's4', value: '-1' },
        ],
      },
      { check: 'missing', column: 'radius', failedRows: 1, share: 0.2, samples: [{ line: 5, key: 's3', value: null }] },
      { check: 'type', column: 'radius', failedRows: 1, share: 0.2, samples: [{ line: 6, key: 's4', value: 'abc' }] },
      {
        check: 'values',
        column: 'diagnosis',
        failedRows: 1,
        share: 0.2,
        samples: [{ line: 6, key: 's4', value: 'benignant' }],
      },
      {
        check: 'unique',
        column: 'sample_id',
        failedRows: 1,
        share: 0.2,
        samples: [{ line: 7, key: 's4', value: 's4' }],
      },
    ])
    expect(report.failures[0]!.problem).toBe('The table has 5 rows; the check wants >= 300')
    expect(report.failures[1]!.problem).toBe(
      'Column "radius": 2 of 5 rows, first "140" on line 4, which is outside the range 0 to 100',
    )
    expect(report.failures[2]!.problem).toBe(
      'Column "radius": 20% of the rows (1 of 5) have no value; the check wants <= 1%',
    )
  })

  it('passes what holds, and leaves checks of inference alone', async () => {
    const report = await checkTable({
      path: file(biopsies),
      checks: [
        { kind: 'rows', rows: bound('== 5') },
        column('radius', { missing: bound('<= 20%') }),
        column('radius', { type: 'integer', at: 'inference' }),
        column('not there', { at: 'inference' }),
      ],
    })
    expect(report).toEqual({ rows: 5, failures: [], outcome: 'pass' })
  })

  it('fails where a checked column is not there, and names the nearest', async () => {
    const { failures } = await checkTable({ path: file(biopsies), checks: [column('radios', { type: 'number' })] })
    expect(failures).toMatchObject([{ check: 'column', column: 'radios', failedRows: 5, share: 1 }])
    expect(failures[0]!.problem).toContain('did you mean "radius"?')
  })

  it('shows five rows and counts all', async () => {
    const { failures } = await checkTable({
      path: file(`x\n${'9\n'.repeat(1000)}`),
      checks: [column('x', { range: { max: 1 } })],
    })
    expect(failures[0]).toMatchObject({ failedRows: 1000, share: 1 })
    expect(failures[0]!.samples).toHaveLength(5)
  })

  it.each([
    ['', 'empty'],
    ['a,a\n1,2\n', '"a" twice'],
    ['a,b\n1\n', 'line 2'],
    ['a,b\n"1,2\n', 'uote'],
  ])('refuses %j as a table', async (text, said) => {
    await expect(checkTable({ path: file(text), checks: [] })).rejects.toMatchObject({
      code: 'DataUnreadable',
      message: expect.stringContaining(said),
    })
  })

  it('says of other files that they are not supported yet, and of a missing one that it is missing', async () => {
    await expect(checkTable({ path: file('x', 'data.parquet'), checks: [] })).rejects.toMatchObject({
      code: 'NotYetSupported',
    })
    await expect(checkTable({ path: join(folder, 'none.csv'), checks: [] })).rejects.toMatchObject({
      code: 'DataUnreadable',
    })
  })
})

describe('profileTable', () => {
  it('profiles numbers as numbers and words as categories, with what is missing', async () => {
    const { rows, columns } = await profileTable({ path: file('n,w,g\n1,a,\n2,b,\n,a,\n'), seed: 1 })
    expect(rows).toBe(3)
    expect(columns.n).toMatchObject({ kind: 'numeric', count: 3, missing: 1, mean: 1.5, min: 1, max: 2 })
    expect(columns.w).toMatchObject({ kind: 'categorical', count: 3, missing: 0 })
    expect(columns.w).toHaveProperty('counts', [
      { category: 'a', count: 2 },
      { category: 'b', count: 1 },
    ])
    expect(columns.g).toMatchObject({ count: 3, missing: 3 })
  })
})
