import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SystemClock } from '../../adapters/clock/system/system-clock.ts'
import { runScoring, type ScoringOptions } from './run-scoring.ts'

// Made by test/fixtures/converted/make_fixture.py; what is expected is scikit-learn's own answer.
const fixture = new URL('../../../test/fixtures/converted/', import.meta.url).pathname
const expected = JSON.parse(readFileSync(`${fixture}expected.json`, 'utf8')) as { labels: string[]; yes: number[] }
const table = readFileSync(`${fixture}rows.csv`, 'utf8')
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'modelwright-scoring-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const options = (more: Partial<ScoringOptions> = {}): ScoringOptions => ({
  modelPath: `${fixture}model`,
  name: 'm',
  version: '1',
  input: `${fixture}rows.csv`,
  output: join(folder, 'out.csv'),
  cwd: folder,
  keep: undefined,
  checks: [],
  onBad: 'reject',
  restart: false,
  pythonPath: '',
  workerEnv: {},
  folder: join(folder, 'work'),
  progress: () => undefined,
  log: quiet,
  clock: new SystemClock(),
  signal: new AbortController().signal,
  ...more,
})
const read = (path: string) => parse(readFileSync(path, 'utf8'), { columns: true }) as Record<string, string>[]

it('answers each row of a table in its order, beside the columns that the model does not take', async () => {
  const scored = await runScoring(options())
  expect(scored).toMatchObject({ rows: 60, answered: 60, rejected: 0, resumedRows: 0 })
  const out = read(scored.output)
  expect(Object.keys(out[0]!)).toEqual(['id', 'prediction', 'probability_no', 'probability_yes'])
  expect(out.map(({ id }) => id)).toEqual(expected.labels.map((_, index) => `row-${index}`))
  expect(out.map(({ prediction }) => prediction)).toEqual(expected.labels)
  for (const [index, yes] of expected.yes.entries()) expect(Number(out[index]!.probability_yes)).toBeCloseTo(yes, 6)
  expect(existsSync(`${scored.output}.parts`)).toBe(false)
})

it('reads a folder of files in the order of their names, and writes Parquet', async () => {
  const [head, ...lines] = table.trim().split('\n')
  writeFileSync(join(folder, 'b.csv'), `${[head, ...lines.slice(25)].join('\n')}\n`)
  writeFileSync(join(folder, 'a.csv'), `${[head, ...lines.slice(0, 25)].join('\n')}\n`)
  const first = await runScoring(options({ input: '[ab].csv', output: join(folder, 'out.parquet') }))
  expect(first.answered).toBe(60)
  // Its own output is a table again: all columns that it needs are there with `keep: all`.
  const kept = await runScoring(options({ input: '[ab].csv', output: join(folder, 'all.parquet'), keep: 'all' }))
  const again = await runScoring(options({ input: kept.output, keep: ['id'], output: join(folder, 'again.csv') }))
  expect(read(again.output).map(({ prediction }) => prediction)).toEqual(expected.labels)
})

it('leaves out rows that cannot be cast, miss a value, or that the model refuses, and says why', async () => {
  const lines = table.trim().split('\n')
  lines[2] = 'row-1,Oslo,30,20000.0,True'
  lines[4] = 'row-3,Rome,young,20000.0,True'
  lines[6] = 'row-5,Rome,30,,False'
  lines[8] = 'row-7,,30,20000.0,False'
  lines[10] = 'row-9,Rome,-3,20000.0,False'
  writeFileSync(join(folder, 'in.csv'), `${lines.join('\n')}\n`)
  const checks = [{ column: 'age', range: [0, 120] as [number, number], mayBeMissing: false }]
  const scored = await runScoring(options({ input: 'in.csv', checks }))
  expect(scored).toMatchObject({ rows: 60, answered: 55, rejected: 5 })
  expect(read(scored.rejects!)).toMatchObject([
    { row: '1', id: 'row-1', reason: 'Column "city": "Oslo" is none of the values that the model knows.' },
    { row: '3', id: 'row-3', reason: 'Column "age": young is no bigint.' },
    { row: '5', id: 'row-5', reason: 'Column "income": the value is missing, which the model refuses.' },
    { row: '7', id: 'row-7', reason: 'Column "city": the value is missing.' },
    { row: '9', id: 'row-9', reason: expect.stringContaining('Column "age": -3') },
  ])
  expect(read(scored.output).map(({ prediction }) => prediction)).toEqual(
    expected.labels.filter((_, index) => ![1, 3, 5, 7, 9].includes(index)),
  )
  await expect(
    runScoring(options({ input: 'in.csv', onBad: 'fail', output: join(folder, 'strict.csv') })),
  ).rejects.toMatchObject({
    code: 'ScoringFailed',
    message: 'Row 1 cannot be scored. Column "city": "Oslo" is none of the values that the model knows.',
  })
})

it('goes on after an interruption where the last finished part ended, and then holds each row once', async () => {
  const [head, ...lines] = table.trim().split('\n')
  const many = Array.from({ length: 20_000 }, (_, index) => lines[index % 60]!.replace(/^[^,]+/, `row-${index}`))
  writeFileSync(join(folder, 'in.csv'), `${[head, ...many].join('\n')}\n`)
  const stop = new AbortController()
  const part = { input: 'in.csv', partRows: 8_192 }
  const stopAfterFirst = (rows: number) => (rows > 8_192 ? stop.abort() : undefined)
  await expect(runScoring(options({ ...part, signal: stop.signal, progress: stopAfterFirst }))).rejects.toMatchObject({
    code: 'ScoringFailed',
  })
  expect(existsSync(join(folder, 'out.csv'))).toBe(false)
  const scored = await runScoring(options(part))
  expect(scored.resumedRows).toBeGreaterThanOrEqual(8_192)
  expect(read(scored.output).map(({ id }) => id)).toEqual(many.map((_, index) => `row-${index}`))
})

it('does not go on with the parts of another table', async () => {
  const stop = new AbortController()
  stop.abort()
  await runScoring(options({ signal: stop.signal })).catch(() => undefined)
  writeFileSync(join(folder, 'out.csv.parts-made'), '')
  const [head, ...lines] = table.trim().split('\n')
  writeFileSync(join(folder, 'other.csv'), `${[head, ...lines.slice(1)].join('\n')}\n`)
  const { mkdirSync } = await import('node:fs')
  mkdirSync(join(folder, 'out.csv.parts'), { recursive: true })
  writeFileSync(join(folder, 'out.csv.parts', 'job.json'), JSON.stringify({ input: 'sha256:0' }))
  await expect(runScoring(options({ input: 'other.csv' }))).rejects.toMatchObject({ code: 'Conflict' })
  expect(await runScoring(options({ input: 'other.csv', restart: true }))).toMatchObject({ answered: 59 })
})

it('says which column a table lacks before anything is scored', async () => {
  writeFileSync(join(folder, 'in.csv'), 'city,years,income,member\nRome,3,4.0,True\n')
  await expect(runScoring(options({ input: 'in.csv' }))).rejects.toMatchObject({
    code: 'BadRequest',
    message: 'The table has no column "age", which the model takes; it has city, years, income, member.',
  })
})
