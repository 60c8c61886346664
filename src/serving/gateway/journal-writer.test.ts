import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../kernel/digest.ts'
import type { PredictionRecord } from '../gateway-state.ts'
import { JournalWriter, journalLimits, lineOf } from './journal-writer.ts'

const record: PredictionRecord = {
  id: 'x',
  at: 5,
  project: 'p',
  environment: 'e',
  model: 'm',
  version: 1,
  digest: digestOf('m'),
  outcome: 'answered',
  latencyMs: 1,
  rows: [{ input: { a: 1 } }, { key: 'k', input: { a: 2 } }],
}
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

const disk = mkdtempSync(join(tmpdir(), 'mw-journal-disk-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0
if (!mounted) console.warn('the journal on a full disk: skipped, a tmpfs of 1 MB cannot be mounted here')

describe.skipIf(!mounted)('the journal writer on a full disk', () => {
  afterAll(() => {
    spawnSync('umount', ['--lazy', disk])
    rmSync(disk, { recursive: true, force: true })
  })

  it('counts as written exactly the lines that can be read, leaves no half one, and fills the disk with no empty files', async () => {
    const folder = join(disk, 'journal')
    const filler = join(disk, 'filler')
    writeFileSync(filler, Buffer.alloc(500_000))
    const clock = { now: () => 1_000, sleep: async () => undefined }
    const journal = new JournalWriter(folder, clock, silent, { ...journalLimits, lineBytes: 50_000 })
    await journal.open(() => false)
    const ask = async (letters: number) => {
      journal.record({ record: { ...record, rows: [{ input: { a: 'y'.repeat(letters) } }] } })
      await journal.flush()
    }
    const lines = () =>
      readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean))
    for (let batch = 0; batch < 30; batch++) {
      for (let n = 0; n < 8; n++) journal.record({ record: { ...record, rows: [{ input: { a: 'y'.repeat(7_000) } }] } })
      await ask(60_000)
    }
    expect(journal.dropped).toBeGreaterThan(60)
    expect(journal.written + journal.dropped).toBe(270)
    rmSync(filler)
    await ask(100)
    expect(lines().map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(Array(journal.written).fill('x'))
    expect(readdirSync(folder)).toHaveLength(1)
    await journal.close()
  })
})

describe('the journal writer', () => {
  let folder: string
  let now: number
  const clock = { now: () => now, sleep: async () => undefined }
  const writer = (limits = {}) => new JournalWriter(folder, clock, silent, { ...journalLimits, ...limits })
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mw-journal-'))
    now = 1_000
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const names = () => readdirSync(folder).sort()

  it('closes a segment when it is old or full, and begins none while nothing is asked', async () => {
    const journal = writer({ segmentMs: 60_000, segmentBytes: 900 })
    await journal.open(() => false)
    await journal.flush()
    expect(names()).toEqual([])
    journal.record({ record })
    await journal.flush()
    expect(names()).toEqual([`1000-${process.pid}-0.open.jsonl`])
    now += 60_000
    await journal.flush()
    expect(names()).toEqual([`1000-${process.pid}-0.jsonl`])
    for (let i = 0; i < 4; i++) journal.record({ record })
    await journal.close()
    expect(names()).toEqual([`1000-${process.pid}-0.jsonl`, `61000-${process.pid}-1.jsonl`])
    expect(journal.written).toBe(5)
  })

  it('drops and counts what does not fit into memory or on the disk, and goes on when there is room again', async () => {
    const journal = writer({ pendingBytes: 2_000 })
    await journal.open(() => false)
    for (let i = 0; i < 100; i++) journal.record({ record })
    expect(journal.dropped).toBeGreaterThan(90)
    const kept = 100 - journal.dropped
    await journal.flush()
    expect(journal.written).toBe(kept)
    await journal.close()

    const other = writer()
    await other.open(() => false)
    rmSync(folder, { recursive: true })
    other.record({ record })
    await other.flush()
    expect([other.written, other.dropped]).toEqual([0, 1])
    await other.open(() => false)
    other.record({ record })
    await other.flush()
    expect([other.written, other.dropped]).toEqual([1, 1])
    await other.close()
  })

  it('writes many bytes before anybody tells it to, and lines of all lengths in their order', async () => {
    const journal = writer({ segmentBytes: 1e9 })
    await journal.open(() => false)
    const sizes = [10, 700_000, 20, 400_000, 30, 9_000_000, 40]
    for (const size of sizes) journal.record({ record: { ...record, id: 'i'.repeat(size), rows: [] } })
    const outputs = Buffer.alloc(300_000, ' ')
    journal.record({ record, outputs })
    await expect.poll(() => journal.written).toBe(sizes.length)
    expect(journal.dropped).toBe(1)
    await journal.close()
    const lines = names().flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    const lengths = lines.map((line) => (JSON.parse(line) as PredictionRecord).id.length)
    expect(lengths).toEqual([10, 700_000, 20, 400_000, 30, 40, record.id.length])
  })

  it('closes the segments of the dead and leaves those of the living', async () => {
    writeFileSync(join(folder, '1-111-0.open.jsonl'), 'a\n')
    writeFileSync(join(folder, '2-222-0.open.jsonl'), 'b\n')
    await writer().open((pid) => pid === 222)
    expect(names()).toEqual(['1-111-0.jsonl', '2-222-0.open.jsonl'])
    expect(readFileSync(join(folder, '1-111-0.jsonl'), 'utf8')).toBe('a\n')
  })

  it('writes of what nests too deep for a line its count alone, and the lines of others beside it', async () => {
    const journal = writer()
    await journal.open(() => false)
    const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)) as unknown
    journal.record({ record })
    journal.record({ record: { ...record, rows: [{ input: { a: deep } }] } })
    journal.record({ record })
    await journal.close()
    const records = names().flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    expect(records.map((line) => (JSON.parse(line) as PredictionRecord).sampled)).toEqual([undefined, false, undefined])
    expect([journal.written, journal.dropped]).toEqual([3, 0])
  })

  it('gives each row its output, or the first row all where the model gave something else', () => {
    const rowsOf = (outputs: string) =>
      (JSON.parse(lineOf({ record, outputs: Buffer.from(outputs) }).texts[0]!) as PredictionRecord).rows
    expect(rowsOf('{"predictions":[7,{"p":1}]}').map((row) => row.output)).toEqual([7, { p: 1 }])
    expect(rowsOf('{"predictions":{"p":[1,2]}}').map((row) => row.output)).toEqual([{ p: [1, 2] }, null])
    expect((JSON.parse(lineOf({ record }).texts[0]!) as PredictionRecord).rows[0]).toEqual({ input: { a: 1 } })
  })
})
