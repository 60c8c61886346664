import { expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import { journalEntry, type Outcome } from './journal-entry.ts'

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
