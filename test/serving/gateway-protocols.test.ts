import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client, credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { digestOf } from '../../src/kernel/digest.ts'
import { type RunningGateway, runGateway } from '../../src/serving/gateway/index.ts'
import type { EndpointDesired, PredictionRecord } from '../../src/serving/gateway-state.ts'
import { decodePredictionId } from '../../src/serving/index.ts'
import { oipMethods } from '../../src/serving/protocols/oip-proto.ts'
import { getWhole } from '../dialects/serving/serve-model.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/serving/${name}`, import.meta.url))
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

const endpoint = (environment: string, model: string, folder: string, version: number): EndpointDesired => ({
  project: 'sums',
  environment,
  model,
  versions: [
    {
      weight: 1,
      target: {
        model,
        version,
        digest: digestOf(folder),
        modelPath: fixture(folder),
        pythonPath: '/no/python',
        inputs: {
          columns: [],
          checks: [{ column: 'a', type: 'number', range: [0, 100], mayBeMissing: false }],
          key: 'who',
        },
      },
    },
  ],
})

// Graphs need no Python: these are the doors alone, and what is written down behind them.
describe('the gateway’s doors', () => {
  let dataDir: string
  let gateway: RunningGateway
  const stop = new AbortController()
  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'mw-doors-'))
    mkdirSync(join(dataDir, 'gateway'))
    const desired = {
      revision: 1,
      endpoints: [endpoint('production', 'sum', 'onnx-two', 3), endpoint('staging', 'double', 'onnx-double', 4)],
    }
    writeFileSync(join(dataDir, 'gateway', 'desired.json'), JSON.stringify(desired))
    gateway = await runGateway({
      dataDir,
      host: '127.0.0.1',
      port: 0,
      log: silent,
      signal: stop.signal,
      seed: 1,
      clock: {
        now: () => Date.now(),
        sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
      },
    })
    while ((await fetch(`${gateway.url}/ping`)).status !== 200) await sleep(20)
  })
  afterAll(async () => {
    stop.abort()
    await gateway?.finished
    rmSync(dataDir, { recursive: true, force: true })
  })

  const get = async (path: string) => {
    const response = await fetch(gateway.url + path)
    return [response.status, await response.json()]
  }
  const column = (name: string, data: number[], datatype = 'FP32') => ({ name, shape: [data.length], datatype, data })
  const infer = (path: string, inputs: object[]) =>
    fetch(`${gateway.url}${path}/infer`, { method: 'POST', body: JSON.stringify({ id: 'mine', inputs }) })

  it('answers the Open Inference Protocol below each endpoint’s path, and for all of them as models', async () => {
    const model = { name: 'sum', versions: ['3'], inputs: [{ name: 'a' }, { name: 'b' }] }
    expect(await get('/endpoints/sums/production/v2/models/sum')).toMatchObject([200, model])
    expect(await get('/v2/models/sums.production')).toMatchObject([200, { ...model, name: 'sums.production' }])
    expect(await get('/v2/models')).toEqual([200, { models: ['sums.production', 'sums.staging'] }])
    expect(await get('/v2/models/double/ready')).toEqual([200, { name: 'double', ready: true }])
    expect(await get('/endpoints/sums/elsewhere/v2')).toEqual([
      404,
      { error: expect.stringContaining('sums/elsewhere') },
    ])
    for (const path of ['/endpoints/sums/production/v2/models/sum', '/v2/models/sums.production']) {
      const response = await infer(path, [column('a', [5]), column('b', [1])])
      expect(await response.json()).toMatchObject({
        model_version: '3',
        id: 'mine',
        outputs: [
          { name: 's', data: [6] },
          { name: 'd', data: [4] },
        ],
      })
      const id = response.headers.get('x-modelwright-prediction-id')!
      expect(decodePredictionId(id)).toMatchObject({ version: 3 })
    }
  })

  it('takes the whole address for the target, as proxies send it', async () => {
    const whole = (path: string) => getWhole(gateway.url, `http://models.example${path}`, 'proxy.example')
    expect(await whole('/v2/models/double/ready')).toEqual({ status: 200, body: '{"name":"double","ready":true}' })
    expect(await whole('/endpoints/sums/production/v2/models/sum')).toMatchObject({ status: 200 })
    expect(await whole('/version')).toEqual({ status: 200, body: 'modelwright' })
  })

  it('answers gRPC on the same port', async () => {
    const { path, writeQuestion, readAnswer } = oipMethods().find(({ name }) => name === 'ModelInfer')!
    const client = new Client(`127.0.0.1:${gateway.port}`, credentials.createInsecure())
    const input = (name: string, value: number) => ({
      name,
      datatype: 'FP32',
      shape: [1],
      contents: { fp32_contents: [value] },
    })
    const question = { model_name: 'sums.production', inputs: [input('a', 2), input('b', 1)] }
    const answer = await new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, writeQuestion, readAnswer, question, (error, one) =>
        error ? reject(error) : resolve(JSON.parse(JSON.stringify(one))),
      )
    })
    client.close()
    expect(answer).toMatchObject({
      outputs: [{ contents: { fp32_contents: [3] } }, { contents: { fp32_contents: [1] } }],
    })
  })

  it('holds tensors against the declared checks, and writes rows, keys and outputs down', async () => {
    const path = '/endpoints/sums/production/v2/models/sum'
    const who = { name: 'who', shape: [2], datatype: 'BYTES', data: ['ann', 'bob'] }
    const good = await infer(path, [column('a', [7, 8]), column('b', [1, 2]), who as never])
    expect(good.status).toBe(200)
    const bad = await infer(path, [column('a', [7, 800]), column('b', [1, 2])])
    expect([bad.status, await bad.json()]).toEqual([400, { error: expect.stringContaining('"a", row 1') }])
    const [kept, refused] = [
      await recordOf(good.headers.get('x-modelwright-prediction-id')!),
      // It may stand in the next write.
      await vi.waitFor(async () => {
        const found = (await records()).find(({ outcome }) => outcome === 'input refused')
        expect(found).toBeDefined()
        return found!
      }, 120_000),
    ]
    expect(kept).toMatchObject({
      outcome: 'answered',
      version: 3,
      rows: [
        { key: 'ann', input: { a: 7, b: 1 }, output: { s: 8, d: 6 } },
        { key: 'bob', input: { a: 8, b: 2 }, output: { s: 10, d: 6 } },
      ],
    })
    expect(refused.rows[1]).toMatchObject({ input: { a: 800, b: 2 } })
  })

  it('answers MLflow’s protocol with the same graph', async () => {
    const response = await fetch(`${gateway.url}/endpoints/sums/production/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataframe_records: [{ who: 'ann', a: 5, b: 1 }] }),
    })
    expect([response.status, await response.json()]).toEqual([200, { predictions: [{ s: 6, d: 4 }] }])
  })

  it('leaves loading and unloading to Git', async () => {
    const url = `${gateway.url}/endpoints/sums/production/v2/repository/models/sum/unload`
    const response = await fetch(url, { method: 'POST' })
    expect([response.status, await response.json()]).toEqual([400, { error: expect.stringContaining('Git') }])
  })

  async function records(): Promise<PredictionRecord[]> {
    const folder = join(dataDir, 'gateway', 'journal')
    return readdirSync(folder).flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as PredictionRecord),
    )
  }

  async function recordOf(id: string): Promise<PredictionRecord | undefined> {
    for (let tries = 0; tries < 1_500; tries++) {
      const found = (await records()).find((one) => one.id === id)
      if (found) return found
      await sleep(20)
    }
    return undefined
  }
})
