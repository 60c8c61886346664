import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Db, openDatabase } from '../../src/db/index.ts'
import { digestOf } from '../../src/kernel/digest.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { type RunningGateway, runGateway } from '../../src/serving/gateway/index.ts'
import type { EndpointDesired, GatewayDesired, InputContract } from '../../src/serving/gateway-state.ts'
import { PredictionLog } from '../../src/serving/index.ts'
import { LogHash } from '../../src/serving/log-hash.ts'
import { oipMethods } from '../../src/serving/protocols/oip-proto.ts'

const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
}
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const digest = digestOf('one')
const inputs: InputContract = {
  columns: [
    { name: 'radius', type: 'double', required: true },
    { name: 'ms', type: 'long', required: false },
    { name: 'until', type: 'string', required: false },
  ],
  checks: [{ column: 'radius', type: 'number', range: [0, 100], mayBeMissing: false }],
  key: 'patient',
}

// The gateway as it is, a worker that is quick to load: what Git says of an endpoint, through its doors.
describe('what Git says of an endpoint', () => {
  let dataDir: string
  let gateway: RunningGateway
  let revision = 0
  let db: Db
  let log: PredictionLog
  const stop = new AbortController()
  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'mw-policies-'))
    mkdirSync(join(dataDir, 'gateway'))
    const worker = fileURLToPath(new URL('models/small-worker.ts', import.meta.url))
    writeFileSync(join(dataDir, 'python'), `#!/bin/sh\nexec ${process.execPath} ${worker} "$3"\n`, { mode: 0o755 })
    mkdirSync(join(dataDir, 'model'))
    writeFileSync(join(dataDir, 'model/behaviour.json'), JSON.stringify({ loadMs: 1_000 }))
    db = await openDatabase(':memory:')
    log = new PredictionLog({ db, dataDir, clock })
    want({})
    const options = { dataDir, host: '127.0.0.1', port: 0, log: silent, clock, signal: stop.signal, seed: 1 }
    gateway = await runGateway({ ...options, journal: { segmentMs: 100 } })
    await ready(1)
  })
  afterAll(async () => {
    stop.abort()
    await gateway.finished
    await db.destroy()
    rmSync(dataDir, { recursive: true, force: true })
  })

  function want(policies: Pick<EndpointDesired, 'serve' | 'inputs' | 'log'>): void {
    const [modelPath, pythonPath] = [join(dataDir, 'model'), join(dataDir, 'python')]
    const target = { model: 'm', version: 1, digest, modelPath, pythonPath, inputs }
    const place = { project: 'clinic', environment: 'production', model: 'm' }
    const endpoints = [{ ...place, versions: [{ target, weight: 1 }], ...policies }]
    const file = join(dataDir, 'gateway/desired.json')
    writeFileSync(`${file}.tmp`, JSON.stringify({ revision: ++revision, endpoints } satisfies GatewayDesired))
    renameSync(`${file}.tmp`, file)
  }
  const observed = () => gateway.status().endpoints[0]!
  const workers = () => observed().versions[0]?.workers ?? []
  async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 180_000; !(await holds()); await sleep(10))
      if (Date.now() > end) throw new Error(`never: ${what}`)
  }
  const ready = (count: number) =>
    until(`${count} are ready`, () => workers().filter(({ state }) => state === 'ready').length === count)
  async function says(policies: Parameters<typeof want>[0]): Promise<void> {
    want(policies)
    await until('the gateway has read it', () => gateway.status().revision === revision)
  }

  async function ask(...rows: object[]) {
    const answer = await fetch(`${gateway.url}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataframe_records: rows, params: { p: 1 } }),
    })
    const told = (await answer.json()) as {
      predictions: { pid: number; given: Record<string, unknown> }[]
      message: string
      error_code: string
    }
    return {
      status: answer.status,
      headers: answer.headers,
      ...told,
      id: answer.headers.get('x-modelwright-prediction-id')!,
    }
  }
  const record = async (id: string) => {
    await until('it is in the log', async () => (await log.ingest()).lines >= 0 && (await log.find(id)) !== undefined)
    return (await log.find(id))!
  }

  let holds = 0
  /** A request that names the file is computed until it is let go. */
  function hold() {
    const file = join(dataDir, `go-${holds++}`)
    return { file, isComputed: () => existsSync(`${file}.begun`), release: () => writeFileSync(file, '') }
  }

  /** The code of the refusal. */
  const askGrpc = () =>
    new Promise<status | undefined>((resolve) => {
      const { path, writeQuestion, readAnswer } = oipMethods().find(({ name }) => name === 'ModelInfer')!
      const client = new Client(new URL(gateway.url).host, credentials.createInsecure())
      const radius = { name: 'radius', datatype: 'FP64', shape: [1], contents: { fp64_contents: [1] } }
      const question = { model_name: 'clinic.production', inputs: [radius] }
      client.makeUnaryRequest(path, writeQuestion, readAnswer, question, new Metadata(), (error) => {
        client.close()
        resolve(error?.code)
      })
    })

  it('lets so many requests in, keeps so many waiting, and tells the next one 429 and when, in each protocol', async () => {
    await says({ serve: { concurrency: 1, queue: 1 } })
    const before = observed().requests!.turnedAway
    const held = hold()
    const computed = ask({ radius: 1, until: held.file })
    await until('one is computed', held.isComputed)
    const answers = [computed, ask({ radius: 1 })]
    await until('one waits', () => observed().requests!.waiting === 1)
    const refused = await ask({ radius: 1 })
    expect([refused.status, refused.error_code]).toEqual([429, 'RESOURCE_EXHAUSTED'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const tensor = { name: 'radius', datatype: 'FP64', shape: [1], data: [1] }
    const oip = await fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [tensor] }),
    })
    expect([oip.status, await oip.json()]).toEqual([
      429,
      { error: 'Too many requests at once: 1 are computed, 1 wait.' },
    ])
    expect(oip.headers.get('retry-after')).not.toBeNull()
    expect(await askGrpc()).toBe(status.RESOURCE_EXHAUSTED)
    held.release()
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200])
    await until('they are over', () => observed().requests!.inside === 0)
    expect(observed().requests).toEqual({ inside: 0, waiting: 0, turnedAway: before + 3 })
  })

  it('tells a client its deadline, and goes on answering others', async () => {
    await says({ serve: { deadlineMs: 300 } })
    const held = hold()
    expect((await ask({ radius: 1, until: held.file })).status).toBe(504)
    held.release()
    await says({})
    expect((await ask({ radius: 1 })).status).toBe(200)
  })

  it('keeps a warm spare: killed under load, only the request in flight fails, and the others go on within a moment', async () => {
    await says({ serve: { spare: true } })
    await ready(2)
    const { pid } = (await ask({ radius: 1 })).predictions[0]!
    const spare = workers().find((one) => one.pid !== pid)!.pid
    const told: { status: number; message: string; at: number; pid: number | undefined }[] = []
    let goOn = true
    const clients = Array.from({ length: 8 }, async () => {
      while (goOn) {
        const { status, message, predictions } = await ask({ radius: 1, ms: 5 })
        told.push({ status, message, at: Date.now(), pid: predictions?.[0]?.pid })
      }
    })
    await until('answers flow', () => told.length > 20)
    const killedAt = Date.now()
    process.kill(pid, 'SIGKILL')
    await until('another one answers', () => told.some((one) => one.pid !== undefined && one.pid !== pid))
    const backMs = Date.now() - killedAt
    console.log(`a spare took over ${backMs} ms after kill -9`)
    // Not a process that had yet to be loaded.
    expect(told.find((one) => one.pid !== undefined && one.pid !== pid)?.pid).toBe(spare)
    await ready(2)
    goOn = false
    await Promise.all(clients)
    const failed = told.filter(({ status }) => status !== 200)
    expect(failed.length).toBeLessThanOrEqual(1)
    for (const { status, message } of failed)
      expect([status, message]).toEqual([503, expect.stringContaining("The model's process ended while it answered")])
    expect(workers().map((one) => one.pid)).not.toContain(pid)
    await says({})
    await until('one is left', () => workers().length === 1)
  })

  it('rejects, warns of or imputes what breaks a check, counts it by kind, and says so', async () => {
    const counts = () => structuredClone(observed().inputs!)
    await says({})
    const before = counts()
    expect((await ask({ radius: 200 })).status).toBe(400)
    expect(counts().refused.range).toBe((before.refused.range ?? 0) + 1)

    await says({ inputs: { onFailure: 'warn', impute: {} } })
    const warned = await ask({ radius: 200 }, { radius: null })
    expect([warned.status, warned.headers.get('x-modelwright-input-warnings')]).toEqual([200, 'range=1, missing=1'])
    expect(counts().warned).toMatchObject({ range: 1, missing: 1 })
    const kept = await record(warned.id)
    expect(kept).toMatchObject({ outcome: 'answered', warnings: { range: 1, missing: 1 } })
    expect((await ask({ radius: 5 })).headers.get('x-modelwright-input-warnings')).toBeNull()

    await says({ inputs: { onFailure: 'impute', impute: { radius: 14.5 } } })
    const imputed = await ask({ radius: 200 }, {}, { radius: 3 })
    expect(imputed.status).toBe(200)
    expect(imputed.predictions[0]!.given).toEqual({
      dataframe_split: { columns: ['radius'], data: [[14.5], [14.5], [3]] },
      params: { p: 1 },
    })
    expect(counts().imputed).toBe(2)
    // What came is what is kept.
    expect((await record(imputed.id)).rows.map(({ input }) => input)).toEqual([{ radius: 200 }, {}, { radius: 3 }])
    expect((await ask({ radius: 1, other: 1 })).status).toBe(400)
  })

  it('keeps of a request what may be kept: a share of them, allowed columns, hashes', async () => {
    const { of: hash } = new LogHash(join(dataDir, 'gateway'))
    await says({ log: { sample: 1, fields: ['radius'], hash: ['patient'], subject: 'patient' } })
    const kept = await record((await ask({ radius: 5, ms: 1, patient: 'ann' })).id)
    expect(kept.rows).toEqual([
      {
        key: hash('ann'),
        subject: hash('ann'),
        input: { radius: 5, patient: hash('ann') },
        output: expect.anything(),
      },
    ])
    expect(statSync(join(dataDir, 'gateway/log-hash.key')).mode & 0o777).toBe(0o600)
    const refused = await record((await ask({ radius: 731, patient: 'ann' })).id)
    expect([refused.outcome, refused.error]).toEqual(['input refused', 'range: radius'])

    await says({ log: { sample: 0, hash: [] } })
    const seen = async () => (await log.observationsSince('clinic', 'production', digest, 0)).requests
    await until('all is counted', async () => (await log.ingest()).lines === 0)
    const before = await seen()
    const { id } = await ask({ radius: 5 })
    await until('it is counted', async () => (await log.ingest()).lines >= 0 && (await seen()) === before + 1)
    expect(await log.find(id)).toBeUndefined()
  })
})
