import { describe, expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { seededRng } from '../../math/rng.ts'
import { journalEntry, type Outcome } from './journal-entry.ts'
import { lineOf } from './journal-writer.ts'
import { type Line, LineBuffer } from './line-buffer.ts'
import { readScoringRequest } from './scoring-request.ts'

const outcome = (more: Partial<Outcome> = {}): Outcome => ({
  ...{ id: 'p1', at: 1, project: 'p', environment: 'e', outcome: 'answered', latencyMs: 2, warnings: {} },
  served: {
    ...{ model: 'm', version: 1, digest: digestOf('m'), modelPath: '', pythonPath: '' },
    inputs: { columns: [], checks: [], key: 'id' },
  },
  request: { named: true, rows: [{ id: 'ann', x: 1 }] },
  outputs: () => Buffer.from('{"predictions":[1]}'),
  ...more,
})
const hash = (text: string) => `#${text}`
const written = (line: Line): string => {
  const buffer = new LineBuffer()
  buffer.add(line)
  return buffer.bytes.toString().slice(0, -1)
}

it('keeps all where nothing is said', () => {
  const { record, outputs } = journalEntry(outcome(), { policy: undefined, hash })
  expect(record.rows).toEqual([{ key: 'ann', input: { id: 'ann', x: 1 } }])
  expect(Object.keys(record)).not.toContain('sampled')
  expect(outputs?.toString()).toBe('{"predictions":[1]}')
})

it('keeps of a request that is not sampled that it was there, and does not even read its answer', () => {
  let read = false
  const outputs = () => {
    read = true
    return Buffer.from('')
  }
  const refused = outcome({ outputs, error: 'Column "x", row 0: 1 is no text.', kind: 'type: x' })
  const entry = journalEntry(refused, { policy: { sample: 0, hash: [] }, hash })
  expect(entry).toEqual({ record: expect.objectContaining({ rows: [], sampled: false, error: 'type: x' }) })
  expect(read).toBe(false)
})

it('keeps no row rather than a clear one where the key of the hashes cannot be had', () => {
  const noKey = () => {
    throw new Error('ENOSPC')
  }
  const { record } = journalEntry(outcome(), { policy: { sample: 1, hash: ['id'] }, hash: noKey })
  expect(record).toMatchObject({ rows: [], sampled: false, outcome: 'answered' })
  expect(JSON.stringify(record)).not.toContain('ann')
})

describe('rows that are copied as they were written', () => {
  const rng = seededRng('rows as written')
  const below = (count: number) => Math.floor(rng.uniform() * count)
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
  const cells = [
    '0',
    '-0',
    '1.50',
    '1e400',
    '-1E-7',
    '12345678901234567890',
    'null',
    'true',
    '" a\\"]"',
    '"\\ud800\\u00e9ä"',
  ]
  const nests = ['[1, [2]]', '{"a": [3], "inputs": 4}', '[]']
  const space = () => pick(['', '', ' ', '\n', '\r\n\t '])
  const list = (parts: string[]) => `${space()}[${parts.map((part) => space() + part + space()).join()}]${space()}`
  const body = () => {
    const odd = rng.uniform() < 0.5 ? [] : rng.uniform() < 0.5 ? cells : [...cells, ...nests]
    const cell = () => (rng.uniform() < 0.3 && odd.length > 0 ? pick(odd) : String(rng.uniform()))
    const rows = () => list(Array.from({ length: 1 + below(4) }, () => list(Array.from({ length: below(4) }, cell))))
    const own = `${pick(['"inputs"', '"\\u0069nputs"'])}${space()}:${rows()}`
    const others = pick([[], ['"params":{"a":"]"}'], ['"inputs":[[7]]'], ['"x\\\\":[{"inputs":[8]}]']])
    return `${pick(['', '', '\ufeff'])}${space()}{${space()}${[...others, own].join()}${pick(['', ',"y":"z"'])}}${space()}`
  }

  it('are kept as those that were read, whatever they hold', async () => {
    for (let round = 0; round < 2_000; round++) {
      const request = await readScoringRequest('application/json', Buffer.from(body()))
      const outputs = () => Buffer.from(`{"predictions": [${request.rows.map((_, row) => row).join(', ')}]}`)
      const unkeyed = { ...outcome().served, inputs: { columns: [], checks: [] } }
      const line = (own: Outcome['request']) =>
        written(lineOf(journalEntry(outcome({ request: own, outputs, served: unkeyed }), { policy: undefined, hash })))
      const { rows, named } = request
      expect(request.written).toBeDefined()
      const [asWritten, asRead] = [line(request), line({ rows, named })]
      expect(asWritten).not.toMatch(/[\r\n]/)
      // JSON has no word for an infinity that was written as 1e400: what is read is written down as null.
      expect(JSON.stringify(JSON.parse(asWritten))).toEqual(JSON.stringify(JSON.parse(asRead)))
    }
  })

  it('are copied as bytes where they are numbers alone, with the output of each', async () => {
    for (const [inputs, predictions] of [
      ['[[1.50,-0]]', '[7]'],
      ['[[1, 2.0], [ 3e2,0.10000000000000000001 ] ]', '["\\ud800ä", {"a": [1]}]'],
      ['[[1],[2],[3]]', '[[1, 2], [3]]'],
    ] as const) {
      const request = await readScoringRequest('application/json', Buffer.from(`{"inputs": ${inputs}}`))
      const unkeyed = { ...outcome().served, inputs: { columns: [], checks: [] } }
      const outputs = () => Buffer.from(`{"predictions": ${predictions}}`)
      const entry = journalEntry(outcome({ request, outputs, served: unkeyed }), { policy: undefined, hash })
      const [line, known] = [written(lineOf(entry)), JSON.parse(predictions.replace('\\ud800', '\ufffd')) as unknown[]]
      const rows = JSON.parse(inputs) as number[][]
      expect(request.numbers).toBeDefined()
      expect((JSON.parse(line) as Outcome & { rows: unknown[] }).rows).toEqual(
        rows.map((input, at) => ({
          input,
          output: known.length === rows.length ? known[at] : at === 0 ? known : null,
        })),
      )
      expect(line).toContain(inputs.slice(1, inputs.indexOf(']') + 1))
    }
  })
})
