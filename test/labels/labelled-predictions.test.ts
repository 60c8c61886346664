import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'
import { digestOf } from '../../src/kernel/digest.ts'
import type { Actor } from '../../src/kernel/route.ts'
import { LabelsService } from '../../src/labels/index.ts'
import { decodePredictionId, PredictionLog, type PredictionRecord } from '../../src/serving/index.ts'
import { predictionId } from '../../src/serving/prediction-id.ts'
import { processorMs } from '../support/processor-time.ts'

const digest = digestOf('version 3')
const noon = Date.UTC(2026, 4, 1, 12)
const ada: Actor = { kind: 'member', name: 'ada' }
const clock = { now: () => noon + 3_600_000, sleep: async () => undefined }

let dataDir: string
let db: Db
let log: PredictionLog
let labels: LabelsService

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'mw-labels-'))
  mkdirSync(join(dataDir, 'gateway', 'journal'), { recursive: true })
  db = await openDatabase(':memory:')
  log = new PredictionLog({ db, dataDir, clock })
  labels = new LabelsService({
    db,
    clock,
    predictions: { decode: decodePredictionId, find: (ids) => log.findMany(ids) },
  })
})

afterEach(async () => {
  await db.destroy()
  rmSync(dataDir, { recursive: true })
})

let sequence = 0
function record(rows: number): PredictionRecord {
  const at = noon + ++sequence
  const random = new Uint8Array(10)
  new DataView(random.buffer).setUint32(0, sequence)
  return {
    ...{ id: predictionId({ at, version: 3, digest }, random), at, project: 'tumours', environment: 'production' },
    ...{ model: 'm', version: 3, digest, outcome: 'answered', latencyMs: 2 },
    rows: Array.from({ length: rows }, (_, row) => ({ key: `k${sequence}-${row}`, input: { row }, output: row })),
  }
}

/** As the gateway leaves them: closed segments become Parquet at the next conversion, the open one does not. */
function write(name: string, records: readonly PredictionRecord[]): void {
  const path = join(dataDir, 'gateway', 'journal', `${noon}-77-${name}`)
  appendFileSync(`${path}.open.jsonl`, records.map((one) => `${JSON.stringify(one)}\n`).join(''))
  if (name !== 'last') renameSync(`${path}.open.jsonl`, `${path}.jsonl`)
}

it('joins labels with answers of the real log, be they Parquet already or still in the journal', async () => {
  const [old, fresh, unlabelled] = [record(12), record(1), record(1)]
  write('0', [old, unlabelled])
  await log.convert()
  write('last', [fresh])
  await log.ingest()
  const given = [
    ...old.rows.map((_, row) => ({ predictionId: `${old.id}:${row}`, value: row })),
    { predictionId: fresh.id, value: 0 },
  ]
  expect(await labels.receive('tumours', given, ada)).toMatchObject({ recorded: 13, refused: [] })
  const rows = await labels.labelledRows({ project: 'tumours', environment: 'production' })
  expect(rows).toHaveLength(13)
  for (const { predictionId, row, input, output, key, label } of rows)
    expect([predictionId, input, output, key]).toEqual([
      predictionId === old.id ? old.id : fresh.id,
      { row },
      label,
      predictionId === old.id ? old.rows[row]!.key : fresh.rows[0]!.key,
    ])
})

it('takes 10,000 labels in one call within seconds of a processor', async () => {
  const records = Array.from({ length: 10_000 }, () => record(1))
  write('0', records.slice(0, 6_000))
  await log.convert()
  write('last', records.slice(6_000))
  const given = records.map(({ id }) => ({ predictionId: id, value: 1 }))
  const receive = async () => expect((await labels.receive('tumours', given, ada)).recorded).toBe(10_000)
  expect(await processorMs(receive)).toBeLessThan(8_000)
})

it('finds nothing under an id that was never given out', async () => {
  write('last', [record(1)])
  const { refused } = await labels.receive('tumours', [{ predictionId: record(1).id, value: 1 }], ada)
  expect(refused).toMatchObject([{ reason: 'no prediction of tumours is logged under this id' }])
})
