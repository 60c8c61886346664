import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'
import { digestOf } from '../../src/kernel/digest.ts'
import { anonymous, type Endpoint } from '../../src/kernel/route.ts'
import { PredictionLog, predictionEndpoints } from '../../src/serving/index.ts'
import { predictionId } from '../../src/serving/prediction-id.ts'

const digest = digestOf('v')
const at = 1_800_000_000_000
const id = predictionId({ at, version: 2, digest }, new Uint8Array(10))
const gone = predictionId({ at, version: 9, digest }, new Uint8Array(10).fill(1))
let dataDir: string
let db: Db
let endpoints: Endpoint[]

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'mw-routes-'))
  mkdirSync(join(dataDir, 'gateway/journal'), { recursive: true })
  const names = { project: 'p', environment: 'e', model: 'm', version: 2, digest }
  const rows = [{ input: { a: 1 }, output: 2 }]
  const record = { id, at, ...names, outcome: 'answered', latencyMs: 1.5, rows }
  appendFileSync(join(dataDir, 'gateway/journal/1-1-0.open.jsonl'), `${JSON.stringify(record)}\n`)
  db = await openDatabase(':memory:')
  endpoints = predictionEndpoints(
    new PredictionLog({ db, dataDir, clock: { now: () => at, sleep: async () => undefined } }),
  )
})
afterAll(async () => {
  await db.destroy()
  rmSync(dataDir, { recursive: true })
})

async function call(name: string, params: object, query: object = {}, body?: object): Promise<unknown> {
  const { route, handle } = endpoints.find((one) => one.route.id === name)!
  const parsed = {
    params: route.params!.parse(params),
    query: route.query?.parse(query),
    body: route.body?.parse(body),
    actor: anonymous,
  }
  return route.output.parse(await handle(parsed as never))
}

it('answers for an id with its record, and for one whose record is gone with what the id itself says', async () => {
  expect(await call('predictions.get', { id })).toMatchObject({
    decoded: { at, version: 2 },
    record: { id, rows: [{ input: { a: 1 }, output: 2 }] },
  })
  expect(await call('predictions.get', { id: gone })).toEqual({
    decoded: { at, version: 9, digestPrefix: digest.slice(7, 17) },
  })
  await expect(call('predictions.get', { id: 'nonsense' })).rejects.toMatchObject({ code: 'NotFound' })
})

it('lists the predictions of a deployment', async () => {
  expect(await call('predictions.list', { project: 'p', environment: 'e' }, { limit: '5' })).toMatchObject({
    items: [{ id, version: 2, output: 2 }],
  })
  expect(await call('predictions.list', { project: 'p', environment: 'other' })).toEqual({ items: [] })
  await expect(call('predictions.list', { project: 'p', environment: 'e' }, { digest: 'x' })).rejects.toMatchObject({
    code: 'BadRequest',
  })
})

it("erases a person's rows on request and says so without naming the person", async () => {
  const erasure = await call('predictions.erase', { project: 'p' }, {}, { subject: '1', column: 'a' })
  // The journal is still open: shown no more, and gone with its segment.
  expect(erasure).toMatchObject({ project: 'p', column: 'a', rows: 0, isDone: false })
  expect(await call('predictions.list', { project: 'p', environment: 'e' })).toEqual({ items: [] })
  expect(await call('predictions.erasures', { project: 'p' })).toEqual({ items: [erasure] })
  for (const body of [{ subject: '' }, { subject: 'x', column: 'a"b' }, { subject: 'x', environment: '../e' }, {}])
    await expect(call('predictions.erase', { project: 'p' }, {}, body)).rejects.toThrow()
})
