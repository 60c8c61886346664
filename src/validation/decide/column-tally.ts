import { createHash } from 'node:crypto'
import { compares, targetOf } from '../../kernel/bound.ts'
import type { ColumnCheck } from '../../projects/index.ts'
import type { FailedCheck } from '../data-report.ts'
import { checkValue, readCell, type ValueCheck } from './check-value.ts'

const sampleCount = 5
type Kind = 'type' | 'range' | 'values' | 'regex' | 'missing' | 'unique'
type Found = { rows: number; problem: string; samples: FailedCheck['samples'] }

/** Counts what one column's check finds, cell by cell; memory stays small but for `unique`, which keeps 12 bytes a value. */
export type ColumnTally = {
  take(text: string, line: number, key: string | undefined): void
  /** @param rows of the whole table */
  failures(rows: number): FailedCheck[]
}

/** An empty tally for one check; feed it each cell once, then ask for its failures. */
export function columnTally(check: ColumnCheck): ColumnTally {
  const valueCheck: ValueCheck = {
    ...(check.type ? { type: check.type } : {}),
    ...(check.range ? { range: [check.range.min ?? null, check.range.max ?? null] } : {}),
    ...(check.values ? { values: check.values } : {}),
    ...(check.regex === undefined ? {} : { regex: check.regex }),
  }
  const found = new Map<Kind, Found>()
  const seen = new Set<string>()

  function note(kind: Kind, problem: string, sample: FailedCheck['samples'][number]): void {
    const known = found.get(kind) ?? { rows: 0, problem, samples: [] }
    known.rows++
    if (known.samples.length < sampleCount) known.samples.push(sample)
    found.set(kind, known)
  }

  return {
    take(text, line, key) {
      const value = readCell(text, valueCheck)
      const sample = { line, ...(key === undefined ? {} : { key }), value: value === null ? null : text }
      if (value === null) {
        if (check.missing) note('missing', '', sample)
        return
      }
      const failure = checkValue(valueCheck, value)
      if (failure) note(failure.check, failure.problem, sample)
      if (!check.unique) return
      const mark = text.length <= 12 ? text : createHash('sha256').update(text).digest('base64').slice(0, 16)
      if (seen.has(mark)) note('unique', 'occurred before', sample)
      seen.add(mark)
    },
    failures: (rows) =>
      [...found].flatMap(([kind, { rows: failedRows, problem, samples }]) => {
        const share = failedRows / rows
        const bound = kind === 'missing' ? check.missing : undefined
        if (bound && compares(share, bound.comparator, targetOf(bound, undefined))) return []
        const text = bound
          ? `Column "${check.column}": ${percent(share)} of the rows (${failedRows} of ${rows}) have no value; the check wants ${bound.text}`
          : `Column "${check.column}": ${failedRows} of ${rows} rows, first ${JSON.stringify(samples[0]?.value)} on line ${samples[0]?.line}, which ${problem}`
        return [{ check: kind, column: check.column, problem: text, failedRows, share, samples }]
      }),
  }
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))}%`
