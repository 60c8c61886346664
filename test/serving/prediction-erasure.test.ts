import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Db } from '../../src/db/index.ts'
import { digestOf } from '../../src/kernel/digest.ts'
import { PredictionLog, type PredictionRecord } from '../../src/serving/index.ts'
import { LogHash } from '../../src/serving/log-hash.ts'
import { predictionId } from '../../src/serving/prediction-id.ts'
import { eachDatabase } from '../support/databases.ts'

const digest = digestOf('version 3')
const noon = Date.UTC(2026, 4, 1, 12)
const hour = 3_600_000
const all = { project: 'clinic', environment: 'production', fromMs: 0, toMs: noon + 1e9, limit: 100 }

eachDatabase('the prediction log', ({ open }) => {
  let dataDir: string
  let journal: string
  let db: Db
  let log: PredictionLog
  let now: number
  let hash: (text: string) => string
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'mw-erase-'))
    journal = join(dataDir, 'gateway', 'journal')
    mkdirSync(journal, { recursive: true })
    db = await open()
    now = noon
    log = newLog()
    hash = new LogHash(join(dataDir, 'gateway')).of
  })
  afterEach(async () => {
    await db.destroy()
    rmSync(dataDir, { recursive: true })
  })
  const newLog = () => new PredictionLog({ db, dataDir, clock: { now: () => now, sleep: async () => undefined } })
  const closed = (n: number, at = noon) => join(journal, `${at}-77-${n}.jsonl`)
  const write = (path: string, ...records: PredictionRecord[]) =>
    appendFileSync(path, records.map((one) => `${JSON.stringify(one)}\n`).join(''))
  let sequence = 0
  function record(rows: PredictionRecord['rows'], more: Partial<PredictionRecord> = {}): PredictionRecord {
    const at = more.at ?? noon
    const random = new Uint8Array(10)
    new DataView(random.buffer).setUint32(0, ++sequence)
    const id = predictionId({ at, version: 3, digest }, random)
    const facts = { id, at, project: 'clinic', environment: 'production', model: 'm', version: 3, digest }
    return { ...facts, outcome: 'answered', latencyMs: 2, rows, ...more }
  }
  const row = (who: string, more: object = {}) => ({ input: { who, x: 1 }, output: 1, ...more })
  const shown = async () => (await log.rows(all)).map(({ input }) => input.who).sort()
  /** Every byte that the tables hold. */
  async function tables(): Promise<string> {
    const duck = await (await DuckDBInstance.create(':memory:')).connect()
    const files = join(dataDir, 'predictions/*/*/*.parquet')
    const read = await duck.runAndReadAll(`SELECT * FROM read_parquet('${files}', union_by_name = true)`)
    return JSON.stringify(read.getRowObjectsJS(), (_, value) => (typeof value === 'bigint' ? Number(value) : value))
  }

  it("removes a person's rows from tables and journals, by key, hashed key, subject and a named column, and no others", async () => {
    write(
      closed(0),
      record([row('ann', { key: 'ann' }), row('bob', { key: 'bob' })]),
      record([row('ann', { key: hash('ann') })]),
      record([row('x1', { subject: hash('ann') })], { at: noon + hour }),
      record([row('ann')]),
      record([row('bob', { key: "o'neil" })]),
      record([row('ann', { key: 'ann' })], { environment: 'staging' }),
    )
    await log.convert()
    const openSegment = join(journal, `${noon}-78-0.open.jsonl`)
    const two = record([row('ann', { key: 'ann' }), row('cy', { key: 'cy' })])
    write(openSegment, two, record([row('dee', { key: 'dee' })]))
    now = noon + 2 * hour

    const asked = { project: 'clinic', environment: 'production', subject: 'ann', actor: 'owner' }
    const erasure = await log.erase({ ...asked, column: 'who' })
    expect(erasure).toMatchObject({ rows: 4, stage: 'journals', subjectHash: hash('ann') })
    expect(await shown(), 'what is still in the journal is shown no more').toEqual(['bob', 'bob', 'cy', 'dee'])
    expect(await log.find(`${two.id}:0`)).toBeUndefined()
    expect((await log.find(`${two.id}:1`))?.rows).toEqual([row('cy', { key: 'cy' })])

    // Later rows of the same person are nobody's who was erased.
    write(openSegment, record([row('ann', { key: 'ann' })], { at: now + 1 }))
    renameSync(openSegment, openSegment.replace('.open', ''))
    await newLog().convert()
    await newLog().convert()
    expect(await log.erasures('clinic', 10)).toMatchObject([{ id: erasure.id, rows: 5, stage: 'done' }])
    expect(await shown()).toEqual(['ann', 'bob', 'bob', 'cy', 'dee'])
    expect(await log.find(`${two.id}:0`)).toBeUndefined()
    expect((await log.find(`${two.id}:1`))?.rows).toEqual([row('cy', { key: 'cy' })])
    const left = await log.rows({ ...all, environment: 'staging' })
    expect(left).toHaveLength(1)
    const audit = await db.selectFrom('audit').select(['action', 'details']).orderBy('id').execute()
    expect(audit.map(({ action }) => action)).toEqual(['predictions.erase', 'predictions.erased'])
    expect(JSON.stringify([audit, await log.erasures('clinic', 10)])).not.toContain('ann')

    now += 10
    await log.erase({ ...asked, column: 'who' })
    await log.erase({ project: 'clinic', subject: 'ann', actor: 'owner' })
    expect(await tables()).not.toContain('ann')
  })

  it('goes on with an erasure that a death stopped, and removes a table of which no row is left', async () => {
    write(closed(0), record([row('ann', { key: 'ann' })]))
    write(closed(1), record([row('bob', { key: 'bob' })]))
    await log.convert()
    await log.erase({ project: 'clinic', subject: 'ann', actor: 'owner' })
    expect(readdirSync(join(dataDir, 'predictions/clinic/production'))).toHaveLength(1)
    await log.erase({ project: 'clinic', subject: 'bob', actor: 'owner' })
    await db.updateTable('serving_erasures').set({ stage: 'files' }).execute()
    await newLog().convert()
    expect(await shown()).toEqual([])
    expect((await log.erasures('clinic', 10)).map(({ stage }) => stage)).toEqual(['done', 'done'])
    expect(await db.selectFrom('serving_parquet').selectAll().execute()).toEqual([])
  })

  it('removes what is older than it is kept, counts it still, and leaves other deployments alone', async () => {
    write(
      closed(0),
      record([row('old')], { at: noon }),
      record([row('new')], { at: noon + 3 * hour }),
      record([row('old')], { at: noon, environment: 'staging' }),
    )
    await log.convert()
    now = noon + 4 * hour
    expect(await log.expire(all, 2 * hour)).toEqual({ files: 1 })
    expect(await log.expire(all, 2 * hour)).toEqual({ files: 0 })
    expect(await shown()).toEqual(['new'])
    expect(await log.rows({ ...all, environment: 'staging' })).toHaveLength(1)
    expect(readdirSync(join(dataDir, 'predictions/clinic/production'))).toHaveLength(1)
    expect((await log.observationsSince('clinic', 'production', digest, 0)).requests).toBe(2)
    const [entry] = await db.selectFrom('audit').selectAll().execute()
    expect(entry).toMatchObject({ action: 'predictions.expire', subject: 'clinic/production' })
    expect(JSON.parse(entry!.details)).toEqual({ files: 1, rows: 1, keepMs: 2 * hour })
  })

  it('counts requests that were not sampled and keeps no row of them, and keeps warnings', async () => {
    const unsampled = record([], { sampled: false })
    const warned = record([row('ann')], { warnings: { range: 1 } })
    write(closed(0), unsampled, warned)
    await log.ingest()
    expect(await log.find(unsampled.id)).toBeUndefined()
    expect(await log.find(warned.id)).toEqual(warned)
    await log.convert()
    expect(await shown()).toEqual(['ann'])
    expect(await log.find(unsampled.id)).toBeUndefined()
    expect(await log.find(warned.id)).toEqual(warned)
    expect((await log.observationsSince('clinic', 'production', digest, 0)).requests).toBe(2)
    expect(existsSync(closed(0))).toBe(false)
  })
})
