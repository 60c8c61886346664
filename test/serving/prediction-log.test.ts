import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'
import { digestOf } from '../../src/kernel/digest.ts'
import { PredictionLog, type PredictionRecord } from '../../src/serving/index.ts'
import { predictionId } from '../../src/serving/prediction-id.ts'

const digest = digestOf('version 3')
const noon = Date.UTC(2026, 4, 1, 12)
const day = { project: 'tumours', environment: 'production', fromMs: noon - 1e7, toMs: noon + 1e8 }

describe('the prediction log', () => {
  let dataDir: string
  let journal: string
  let db: Db
  let log: PredictionLog
  let now: number

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'mw-log-'))
    journal = join(dataDir, 'gateway', 'journal')
    mkdirSync(journal, { recursive: true })
    db = await openDatabase(':memory:')
    now = noon
    log = newLog()
  })
  afterEach(async () => {
    await db.destroy()
    rmSync(dataDir, { recursive: true })
  })
  const newLog = () => new PredictionLog({ db, dataDir, clock: { now: () => now, sleep: async () => undefined } })
  const segment = (n: number) => join(journal, `${noon}-77-${n}.jsonl`)
  const openSegment = (n: number) => join(journal, `${noon}-77-${n}.open.jsonl`)
  const write = (path: string, ...records: PredictionRecord[]) =>
    appendFileSync(path, records.map((one) => `${JSON.stringify(one)}\n`).join(''))

  let sequence = 0
  function record(more: Partial<PredictionRecord> = {}): PredictionRecord {
    const at = more.at ?? noon
    const random = new Uint8Array(10)
    new DataView(random.buffer).setUint32(0, ++sequence)
    return {
      id: predictionId({ at, version: 3, digest }, random),
      at,
      project: 'tumours',
      environment: 'production',
      model: 'm',
      version: 3,
      digest,
      outcome: 'answered',
      latencyMs: 2,
      rows: [{ key: 'a', input: { radius: 1.5, note: "it's", gone: null }, output: 1 }],
      ...more,
    }
  }

  it('counts each line once, however often it is asked and whoever asks', async () => {
    write(openSegment(0), record(), record({ outcome: 'failed', error: 'x' }), record({ outcome: 'input refused' }))
    await log.ingest()
    await log.ingest()
    await newLog().ingest()
    write(openSegment(0), record({ latencyMs: 80 }))
    renameSync(openSegment(0), segment(0))
    expect(await log.ingest()).toEqual({ lines: 1, bad: 0 })
    const seen = await log.observationsSince('tumours', 'production', digest, noon)
    expect(seen).toMatchObject({ requests: 4, failed: 1, inputRefused: 1 })
    expect(seen.p99LatencyMs).toBeGreaterThanOrEqual(80)
    expect(seen.p99LatencyMs).toBeLessThan(80 * 1.1)
    expect(seen.p50LatencyMs).toBeGreaterThanOrEqual(2)
    expect(seen.p50LatencyMs).toBeLessThan(2.2)
  })

  it('leaves half a line until it is whole', async () => {
    const line = JSON.stringify(record())
    appendFileSync(openSegment(0), line.slice(0, 40))
    expect(await log.ingest()).toEqual({ lines: 0, bad: 0 })
    appendFileSync(openSegment(0), `${line.slice(40)}\n`)
    expect(await log.ingest()).toEqual({ lines: 1, bad: 0 })
  })

  it('counts a line that cannot be read and goes on behind it', async () => {
    appendFileSync(openSegment(0), 'no json\n{"id":3}\n')
    write(openSegment(0), record())
    expect(await log.ingest()).toEqual({ lines: 1, bad: 2 })
  })

  it('sees only what came since, and keeps sums when old seconds become minutes', async () => {
    write(
      segment(0),
      record({ at: noon }),
      record({ at: noon + 5_000 }),
      record({ at: noon + 65_000, outcome: 'failed' }),
    )
    await log.ingest()
    const since = async (ms: number) => (await log.observationsSince('tumours', 'production', digest, ms)).requests
    expect(await since(noon + 4_000)).toBe(2)
    expect(await since(noon + 6_000)).toBe(1)
    now = noon + 2 * 3_600_000
    await log.ingest()
    expect(await since(noon)).toBe(3)
    expect((await db.selectFrom('serving_counts').selectAll().execute()).map((row) => row.at)).toEqual([
      noon,
      noon + 60_000,
    ])
  })

  it('turns closed segments into Parquet that DuckDB reads by a glob, and shows each row once before and after', async () => {
    const two = record({
      rows: [
        { input: { radius: 1 }, output: { p: 0.5 } },
        { key: 'b', input: { radius: 2 }, output: null },
      ],
    })
    write(
      segment(0),
      record({ at: noon + 1 }),
      two,
      record({ at: noon + 3_700_000, outcome: 'failed', error: 'no', rows: [{ input: {} }] }),
    )
    write(openSegment(1), record({ at: noon + 9 }))
    const before = await log.rows({ ...day, limit: 100 })
    expect(before).toHaveLength(5)
    expect(await log.convert()).toEqual({ segments: 1 })
    expect(existsSync(segment(0))).toBe(false)
    expect(existsSync(openSegment(1))).toBe(true)
    expect(readdirSync(join(dataDir, 'predictions/tumours/production')).sort()).toEqual([
      `2026-05-01-12-${noon}-77-0.parquet`,
      `2026-05-01-13-${noon}-77-0.parquet`,
    ])
    expect(await log.rows({ ...day, limit: 100 })).toEqual(before)
    expect((await log.observationsSince('tumours', 'production', digest, noon)).requests).toBe(3)

    const duck = await (await DuckDBInstance.create(':memory:')).connect()
    const read = await duck.runAndReadAll(
      `SELECT id, input->>'$.radius' AS radius, output FROM read_parquet('${dataDir}/predictions/*/*/*.parquet') WHERE id LIKE '%:1'`,
    )
    expect(read.getRowObjectsJS()).toEqual([{ id: `${two.id}:1`, radius: '2', output: null }])
  })

  it('finds a prediction by its id in the journal and in Parquet, and one row of several', async () => {
    const two = record({
      rows: [
        { input: { radius: 1 }, output: 0 },
        { input: { radius: 2 }, output: 1 },
      ],
    })
    const one = record()
    write(segment(0), one, two)
    for (const stage of ['journal', 'parquet']) {
      if (stage === 'parquet') await log.convert()
      expect(await log.find(one.id)).toEqual(one)
      expect(await log.find(two.id)).toEqual(two)
      expect((await log.find(`${two.id}:1`))?.rows).toEqual([{ input: { radius: 2 }, output: 1 }])
      expect(await log.find(record().id)).toBeUndefined()
    }
    expect(await log.find('nonsense')).toBeUndefined()
  })

  it('converts again, without a row twice, after a death between the file and its record, or before the segment is removed', async () => {
    write(segment(0), record(), record())
    const bytes = readFileSync(segment(0))
    await log.convert()
    // As if it died before it was recorded: the file is there, the segment too, the database knows of neither.
    await db.deleteFrom('serving_parquet').execute()
    await db.updateTable('serving_segments').set({ stored_as: 'journal' }).execute()
    writeFileSync(segment(0), bytes)
    expect(await newLog().rows({ ...day, limit: 10 })).toHaveLength(2)
    await newLog().convert()
    // As if it died before the segment was removed.
    writeFileSync(segment(0), bytes)
    await newLog().ingest()
    expect(await newLog().rows({ ...day, limit: 10 })).toHaveLength(2)
    await newLog().convert()
    expect(existsSync(segment(0))).toBe(false)
    expect(await newLog().rows({ ...day, limit: 10 })).toHaveLength(2)
    expect((await log.observationsSince('tumours', 'production', digest, noon)).requests).toBe(2)
  })

  it('gives the newest rows where there are more than asked for, of one version where one is named', async () => {
    const other = digestOf('version 4')
    write(segment(0), record({ at: noon }), record({ at: noon + 1, digest: other }), record({ at: noon + 2 }))
    expect((await log.rows({ ...day, limit: 2 })).map((row) => row.at)).toEqual([noon + 2, noon + 1])
    expect((await log.rows({ ...day, digest: other, limit: 2 })).map((row) => row.at)).toEqual([noon + 1])
  })

  it('keeps a torn last line of a killed gateway out of Parquet', async () => {
    write(segment(0), record())
    appendFileSync(segment(0), JSON.stringify(record()).slice(0, 90))
    await log.convert()
    expect(await log.rows({ ...day, limit: 10 })).toHaveLength(1)
  })
})
