import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/db/index.ts'
import { type Digest, digestOf } from '../../src/kernel/digest.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { type GatewayOptions, type RunningGateway, runGateway } from '../../src/serving/gateway/index.ts'
import type {
  EndpointDesired,
  GatewayDesired,
  GatewayObserved,
  InputContract,
} from '../../src/serving/gateway-state.ts'
import { decodePredictionId, PredictionLog } from '../../src/serving/index.ts'

const python = process.env.MODELWRIGHT_TEST_PYTHON
const required = (process.env.REQUIRE ?? '').split(',').includes('python')
if (!python && !required)
  console.log('gateway tests skipped: MODELWRIGHT_TEST_PYTHON names no Python with mlflow and scikit-learn')

const here = fileURLToPath(new URL('.', import.meta.url))
const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
}
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

const contract: InputContract = {
  columns: [
    { name: 'radius', type: 'double', required: true },
    { name: 'texture', type: 'double', required: true },
  ],
  checks: [{ column: 'radius', type: 'number', range: [0, 100], mayBeMissing: false }],
  key: 'sample_id',
}
const free: InputContract = { columns: [], checks: [], key: 'sample_id' }

// A worker imports mlflow, which takes seconds of a busy machine.
describe.skipIf(!python && !required)('the gateway', () => {
  let models: string
  let dataDir: string
  let revision = 0
  const running: { gateway: RunningGateway; stop: AbortController }[] = []

  beforeAll(async () => {
    expect(python, 'REQUIRE has python, but MODELWRIGHT_TEST_PYTHON is not set').toBeTruthy()
    models = mkdtempSync(join(tmpdir(), 'mw-models-'))
    await promisify(execFile)(python!, [join(here, 'models/make_models.py'), models])
  })
  afterAll(() => models && rmSync(models, { recursive: true, force: true }))
  async function stopAll(): Promise<void> {
    for (const { gateway, stop } of running.splice(0)) {
      stop.abort()
      await gateway.finished
    }
    if (dataDir) rmSync(dataDir, { recursive: true, force: true })
  }

  const digests = { one: digestOf('one'), two: digestOf('two'), moody: digestOf('moody'), broken: digestOf('broken') }
  type Name = keyof typeof digests

  function endpoint(weights: Partial<Record<Name, number>>, more: Partial<EndpointDesired> = {}): EndpointDesired {
    return {
      project: 'tumours',
      environment: 'production',
      model: 'm',
      versions: Object.entries(weights).map(([name, weight]) => ({
        weight,
        target: {
          model: 'm',
          version: Object.keys(digests).indexOf(name) + 1,
          digest: digests[name as Name],
          modelPath: join(models, name),
          pythonPath: python!,
          inputs: name === 'moody' ? free : contract,
        },
      })),
      ...more,
    }
  }

  function want(...endpoints: EndpointDesired[]): void {
    const folder = join(dataDir, 'gateway')
    const desired: GatewayDesired = { revision: ++revision, endpoints }
    writeFileSync(join(folder, 'desired.tmp'), JSON.stringify(desired))
    renameSync(join(folder, 'desired.tmp'), join(folder, 'desired.json'))
  }

  async function start(endpoints: EndpointDesired[], more: Partial<GatewayOptions> = {}): Promise<RunningGateway> {
    newDataDir()
    want(...endpoints)
    return startAgain(more)
  }
  function newDataDir(): void {
    dataDir = mkdtempSync(join(tmpdir(), 'mw-gateway-'))
    mkdirSync(join(dataDir, 'gateway'))
  }
  async function startAgain(more: Partial<GatewayOptions> = {}): Promise<RunningGateway> {
    const stop = new AbortController()
    const options = { dataDir, host: '127.0.0.1', port: 0, log: silent, clock, signal: stop.signal, seed: 1, ...more }
    const gateway = await runGateway(options)
    running.push({ gateway, stop })
    return gateway
  }

  const post = (gateway: { url: string }, body: unknown, path = '/invocations', type = 'application/json') =>
    fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  /** fetch() lets nobody set the Host header. */
  const statusAs = (gateway: RunningGateway, host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      get(`${gateway.url}/ping`, { headers: { host } }, (answer) => resolve(answer.resume().statusCode)).on(
        'error',
        reject,
      )
    })
  const records = (...rows: object[]) => ({ dataframe_records: rows })
  const good = records({ radius: 3.5, texture: 1 })
  const versionOf = (gateway: RunningGateway, digest: Digest) =>
    gateway
      .status()
      .endpoints.flatMap((endpoint) => endpoint.versions)
      .find((one) => one.digest === digest)

  async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 150_000): Promise<void> {
    for (const end = Date.now() + ms; !(await holds()); await sleep(20))
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
  }
  const ready = (gateway: RunningGateway, name: Name) =>
    until(`${name} is ready`, () => versionOf(gateway, digests[name])?.state === 'ready')
  let holds = 0
  /** For the moody model: it answers once it is let go. */
  function hold() {
    const file = join(models, `go-${holds++}`)
    return {
      record: records({ mood: 'held', until: file }),
      isComputed: () => existsSync(`${file}.begun`),
      release: () => writeFileSync(file, ''),
    }
  }
  const inside = (gateway: RunningGateway, environment: string) =>
    gateway.status().endpoints.find((one) => one.environment === environment)?.requests?.inside
  const isAlive = (pid: number) => {
    try {
      process.kill(pid, 0)
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch {
      return false
    }
  }

  describe('with two deployments', () => {
    const one = '/endpoints/tumours/production/invocations'
    const moods = '/endpoints/tumours/moods/invocations'
    let gateway: RunningGateway
    let turned = 0
    beforeAll(async () => {
      const moody = { ...endpoint({ moody: 1 }), environment: 'moods' }
      gateway = await start([endpoint({ one: 1 }), moody], {
        clock: { ...clock, now: () => clock.now() + turned },
        limits: { answerMs: 60_000, waitMs: 150_000, queueLength: 3 },
        journal: { segmentMs: 100 },
      })
    })
    afterAll(stopAll)

    it('answers every form of MLflow with the same predictions and an id that leads to the version', async () => {
      expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
      // Asked while the model loads: it waits instead of failing.
      const waited = await post(gateway, good, one)
      expect([waited.status, await waited.json()]).toEqual([200, { predictions: [11] }])
      await ready(gateway, 'moody')
      const ping = await fetch(`${gateway.url}/ping`)
      expect([ping.status, await ping.text()]).toEqual([200, '\n'])

      const forms = [
        {
          dataframe_split: {
            columns: ['texture', 'radius'],
            data: [
              [1, 4],
              [4, 1],
            ],
          },
        },
        {
          dataframe_split: {
            columns: ['texture', 'radius', 'sample_id'],
            index: [7, 8],
            data: [
              [1, 4, 'a'],
              [4, 1, 'b'],
            ],
          },
        },
        {
          dataframe_records: [
            { radius: 4, texture: 1 },
            { texture: 4, radius: 1 },
          ],
        },
        {
          instances: [
            { radius: 4, texture: 1 },
            { radius: 1, texture: 4 },
          ],
        },
        { inputs: { radius: [4, 1], texture: [1, 4] }, params: { unknown: 1 }, other: 'ignored' },
      ]
      for (const form of forms) {
        const answer = await post(gateway, form, one, 'application/json; charset=utf-8')
        expect([JSON.stringify(form), answer.status, await answer.json()]).toEqual([
          JSON.stringify(form),
          200,
          { predictions: [11, 10] },
        ])
        const decoded = decodePredictionId(answer.headers.get('x-modelwright-prediction-id')!)!
        expect(decoded.version).toBe(1)
        expect(digests.one).toContain(decoded.digestPrefix)
        expect(Math.abs(decoded.at - Date.now())).toBeLessThan(60_000)
      }
      const csv = await post(gateway, 'radius,texture\n4,1\n1,4\n', one, 'text/csv')
      expect(await csv.json()).toEqual({ predictions: [11, 10] })

      const refusals: [unknown, number, string, RegExp][] = [
        [records({ radius: 1 }), 400, 'INVALID_PARAMETER_VALUE', /lacks the required column texture/],
        [
          records({ radius: 1, texture: 1, radios: 1 }),
          400,
          'INVALID_PARAMETER_VALUE',
          /"radios".*did you mean "radius"/,
        ],
        [
          records({ radius: 1, texture: 1 }, { radius: 500, texture: 1 }),
          400,
          'INVALID_PARAMETER_VALUE',
          /"radius", row 1: 500 is outside the range 0 to 100/,
        ],
        [
          records({ radius: null, texture: 1 }),
          400,
          'INVALID_PARAMETER_VALUE',
          /"radius", row 0: the value is missing/,
        ],
        [records({ radius: 1, texture: 'rough' }), 400, 'INVALID_PARAMETER_VALUE', /rough|texture/],
        [{ instances: [[1, 2]] }, 400, 'INVALID_PARAMETER_VALUE', /no column names/],
        ['{"dataframe_records":[{"radius":NaN,"texture":1}]}', 400, 'BAD_REQUEST', /JSON has no NaN/],
        ['not json', 400, 'BAD_REQUEST', /not valid JSON/],
        [{ rows: [] }, 400, 'BAD_REQUEST', /exactly one of/],
        [{ ...good, instances: [] }, 400, 'BAD_REQUEST', /exactly one of/],
        [records({ radius: 1, texture: null }), 400, 'BAD_REQUEST', /NaN/],
      ]
      for (const [body, status, code, message] of refusals) {
        const answer = await post(gateway, body, one)
        const told = (await answer.json()) as { error_code: string; message: string }
        expect([body, answer.status, told.error_code]).toEqual([body, status, code])
        expect(told.message).toMatch(message)
      }
      expect((await post(gateway, 'x', one, 'application/xml')).status).toBe(415)
      expect((await post(gateway, '{}', one, 'application/json; version=2')).status).toBe(415)
      expect((await fetch(gateway.url + one)).status).toBe(405)
      expect((await post(gateway, good, '/endpoints/tumours/staging/invocations')).status).toBe(404)
    })

    it('writes each prediction down, so that the log finds and counts it', async () => {
      const db = await openDatabase(':memory:')
      const log = new PredictionLog({ db, dataDir, clock })
      const two = records({ radius: 4, texture: 1, sample_id: 'a7' }, { radius: 1, texture: 4, sample_id: 'a8' })
      const answered = (await post(gateway, two, one)).headers.get('x-modelwright-prediction-id')!
      const refused = (await post(gateway, records({ radius: 512, texture: 1 }), one)).headers.get(
        'x-modelwright-prediction-id',
      )!
      await until('both are taken in', async () => {
        await log.ingest()
        return (await log.find(answered)) !== undefined && (await log.find(refused)) !== undefined
      })
      const facts = { project: 'tumours', environment: 'production', model: 'm', version: 1, digest: digests.one }
      expect(await log.find(answered)).toMatchObject({
        ...facts,
        outcome: 'answered',
        rows: [
          { key: 'a7', input: { radius: 4, texture: 1, sample_id: 'a7' }, output: 11 },
          { key: 'a8', input: { radius: 1, texture: 4, sample_id: 'a8' }, output: 10 },
        ],
      })
      expect(await log.find(refused)).toMatchObject({
        ...facts,
        outcome: 'input refused',
        rows: [{ input: { radius: 512 } }],
      })
      await log.convert()
      const rows = await log.rows({ ...facts, fromMs: 0, toMs: Date.now(), limit: 1000 })
      const seen = await log.observationsSince('tumours', 'production', digests.one, 0)
      expect(seen.requests).toBe(new Set(rows.map((row) => row.id.split(':')[0])).size)
      expect(seen.p99LatencyMs).toBeGreaterThan(0)
      await db.destroy()
    })

    it('heals a killed worker, tells the request that it was computing, and loses none that waited', async () => {
      const pid = versionOf(gateway, digests.moody)!.workerPid!
      const { record, isComputed } = hold()
      const begun = post(gateway, record, moods)
      await until('it is computed', isComputed)
      const waiting = [1, 2, 3].map(() => post(gateway, records({ mood: 'good' }), moods))
      await until('the others wait', () => inside(gateway, 'moods') === 4)
      process.kill(pid, 'SIGKILL')
      const told = await begun
      expect(told.status).toBe(503)
      expect(told.headers.get('retry-after')).toBe('1')
      expect(await told.text()).toContain('ended while it answered')
      expect(['restarting', 'ready']).toContain(versionOf(gateway, digests.moody)!.state)
      for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200)
      expect(versionOf(gateway, digests.moody)!.workerPid).not.toBe(pid)
    })

    it("keeps a model's prints, errors and odd answers from breaking anything", async () => {
      const ask = async (mood: string) => {
        const answer = await post(gateway, records({ mood, sample_id: 1 }), moods)
        return [answer.status, await answer.text()]
      }
      expect(await ask('good')).toEqual([200, '{"predictions": ["fine"]}'])
      expect(await ask('columns')).toEqual([200, '{"predictions": ["mood"]}'])
      expect(await ask('table')).toEqual([
        200,
        '{"predictions": [{"score": 0.5, "when": "2026-01-01T00:00:00"}, {"score": null, "when": null}]}',
      ])
      expect(await ask('numbers')).toEqual([200, '{"predictions": [0.5, 9007199254740993, null, true]}'])
      expect(await ask('fail')).toEqual([
        400,
        '{"error_code":"BAD_REQUEST","message":"Encountered an unexpected error while evaluating the model. Verify that the input is compatible with the model for inference. ValueError: in no mood to answer"}',
      ])
      const { record, isComputed } = hold()
      const hanging = post(gateway, record, moods)
      await until('it is computed', isComputed)
      turned += 60_000
      expect((await hanging).status).toBe(504)
      expect((await ask('die'))[0]).toBe(503)
      expect((await ask('good'))[0]).toBe(200)
      const log = readdirSync(join(dataDir, 'gateway/logs')).find((name) => name.startsWith('m-3-'))
      const text = readFileSync(join(dataDir, 'gateway/logs', log!), 'utf8')
      expect(text).toContain('moody says hello on stdout')
      expect(text).toContain('and on file descriptor 1')
      expect(text).toContain('in no mood to answer')
    })

    it('refuses what does not fit into the queue and says when to come again', async () => {
      const { record, isComputed, release } = hold()
      const four = () => Array.from({ length: 4 }, () => post(gateway, record, moods))
      const accepted = four()
      await until('four are there', () => isComputed() && inside(gateway, 'moods') === 4)
      const refused = await Promise.all(four())
      expect(refused.map(({ status }) => status)).toEqual([429, 429, 429, 429])
      expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(await refused[0]!.json()).toMatchObject({ error_code: 'RESOURCE_EXHAUSTED' })
      release()
      expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
      expect(gateway.status().endpoints[1]!.requests).toEqual({ inside: 0, waiting: 0, turnedAway: 4 })
    })
  })

  describe('alone', () => {
    afterEach(stopAll)

    it('asks which endpoint is meant where there are two', async () => {
      const gateway = await start([endpoint({}), { ...endpoint({}), environment: 'staging' }])
      const answer = await post(gateway, good)
      expect(answer.status).toBe(404)
      expect(await answer.text()).toContain('/endpoints/tumours/staging/invocations')
    })

    it('takes over to a new version under load without a failed request, stops the old one, and then shares by weight and key', async () => {
      const gateway = await start([endpoint({ one: 1 })])
      await ready(gateway, 'one')
      const oldPid = versionOf(gateway, digests.one)!.workerPid!
      const seen = new Map<string, number>()
      let goOn = true
      const clients = Array.from({ length: 4 }, async () => {
        while (goOn) {
          const answer = await post(gateway, good)
          const text = `${answer.status} ${await answer.text()}`
          seen.set(text, (seen.get(text) ?? 0) + 1)
          await sleep(5)
        }
      })
      want(endpoint({ two: 1 }))
      await ready(gateway, 'two')
      await until('the old worker is gone', () => !isAlive(oldPid))
      await until('the new one has answered', () => seen.size === 2)
      goOn = false
      await Promise.all(clients)
      expect([...seen.keys()].sort()).toEqual(['200 {"predictions": [11]}', '200 {"predictions": [21]}'])
      expect(gateway.status().endpoints[0]!.versions.map((one) => [one.version, one.weight])).toEqual([[2, 1]])

      want(endpoint({ one: 0.75, two: 0.25 }))
      await ready(gateway, 'one')
      let two = 0
      for (let i = 0; i < 200; i++) {
        const { predictions } = (await (await post(gateway, good)).json()) as { predictions: number[] }
        if (predictions[0] === 21) two++
      }
      // Five standard deviations of binomial(200, 0.25): which numbers are drawn depends on how many asked before.
      expect(two).toBeGreaterThan(50 - 31)
      expect(two).toBeLessThan(50 + 31)
      for (const key of ['p1', 'p2', 'p3', 'p4', 'p5', 'p6']) {
        const met = new Set<string>()
        for (let i = 0; i < 5; i++)
          met.add(await (await post(gateway, records({ radius: 3, texture: 1, sample_id: key }))).text())
        expect(met.size).toBe(1)
      }
    })

    it('goes on with the old version where the new one cannot be loaded, and says why', async () => {
      const gateway = await start([endpoint({ one: 1 })])
      await ready(gateway, 'one')
      want(endpoint({ broken: 1 }))
      await until('it failed', () => versionOf(gateway, digests.broken)?.state === 'failed')
      expect(versionOf(gateway, digests.broken)!.reason).toMatch(/cannot be loaded/)
      expect(versionOf(gateway, digests.broken)!.weight).toBe(0)
      expect(versionOf(gateway, digests.one)).toMatchObject({ state: 'ready', weight: 1 })
      expect((await post(gateway, good)).status).toBe(200)
    })

    it('says 503 and the reason where the only version cannot be loaded or has no Python', async () => {
      const gateway = await start([endpoint({ broken: 1 })])
      const answer = await post(gateway, good)
      expect(answer.status).toBe(503)
      const none = endpoint({ one: 1 })
      none.versions[0]!.target.pythonPath = '/no/such/python'
      want({ ...none, environment: 'staging' })
      await until('it is seen', () => gateway.status().endpoints[0]?.environment === 'staging')
      await until('it failed', () => versionOf(gateway, digests.one)?.state === 'failed')
      expect(await (await post(gateway, good)).text()).toContain('/no/such/python')
    })

    it('keeps the last good desired state while the file is broken, also across its own restart', async () => {
      const gateway = await start([endpoint({ one: 1 })])
      await ready(gateway, 'one')
      const before = gateway.status().revision
      writeFileSync(join(dataDir, 'gateway/desired.json'), '{"revision": 99, "endpoints": [{"project": "../x"')
      await until('the problem is told', () => gateway.status().problem !== undefined)
      expect(gateway.status().revision).toBe(before)
      expect((await post(gateway, good)).status).toBe(200)
      const { stop } = running.pop()!
      stop.abort()
      await gateway.finished
      const again = await startAgain()
      expect(again.status().problem).toContain('desired.json')
      expect((await post(again, good)).status).toBe(200)
      want(endpoint({}))
      await until('the mended file is taken', () => again.status().problem === undefined)
    })

    it('takes a newcomer that breaks its bounds out of traffic by itself, and keeps it out after a restart', async () => {
      const guard = { newcomer: digests.moody, minRequests: 4, maxErrorRate: 0.5 }
      const shares = () => endpoint({ one: 0, moody: 1 }, { guard })
      const gateway = await start([shares()])
      await ready(gateway, 'one')
      await ready(gateway, 'moody')
      for (let i = 0; i < 4; i++)
        expect((await post(gateway, records({ mood: 'fail', radius: 3.5, texture: 1 }))).status).toBe(400)
      const observed = gateway.status().endpoints[0] as GatewayObserved['endpoints'][number]
      expect(observed.guardTripped).toMatchObject({ newcomer: digests.moody, requests: 4, errors: 4, inputFailures: 0 })
      expect(observed.guardTripped!.reason).toBe('4 of 4 requests failed (100%, allowed 50%)')
      expect(observed.versions.map((one) => one.weight)).toEqual([1, 0])
      expect(await (await post(gateway, good)).text()).toContain('11')
      // The server has not noticed and writes again: the weight is not raised.
      want(shares())
      await until('it is taken', () => gateway.status().revision === revision)
      expect(versionOf(gateway, digests.moody)!.weight).toBe(0)

      const { stop } = running.pop()!
      stop.abort()
      await gateway.finished
      const again = await startAgain()
      await ready(again, 'one')
      await ready(again, 'moody')
      expect(versionOf(again, digests.moody)!.weight).toBe(0)
      want(endpoint({ one: 1 }))
      await until(
        'the trip is forgotten with its newcomer',
        () => again.status().endpoints[0]?.guardTripped === undefined,
      )
    })

    it('leaves no worker behind when it is killed, and the next one goes on with its journal', async () => {
      newDataDir()
      want(endpoint({ one: 1 }))
      const child = spawn(process.execPath, [join(here, 'gateway-process.ts'), dataDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const url = await new Promise<string>((resolve) =>
        child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk).trim())),
      )
      await post({ url }, good)
      await until('the prediction is written', () =>
        readdirSync(join(dataDir, 'gateway/journal')).some(
          (name) => readFileSync(join(dataDir, 'gateway/journal', name)).length > 0,
        ),
      )
      const status = (await (await fetch(`${url}/status`)).json()) as GatewayObserved
      const worker = status.endpoints[0]!.versions[0]!.workerPid!
      expect(isAlive(worker)).toBe(true)
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      // A zombie still counts as alive: its segment is taken up when the killed process is reaped.
      await ended
      await until('the worker has gone', () => !isAlive(worker))
      const segments = () => readdirSync(join(dataDir, 'gateway/journal'))
      expect(segments()).toEqual([expect.stringMatching(/\.open\.jsonl$/)])
      want(endpoint({}))
      await startAgain()
      expect(segments()).toEqual([expect.not.stringMatching(/\.open\.jsonl$/)])
    })

    it('ends on SIGTERM with answers given and nothing left', async () => {
      newDataDir()
      want(endpoint({ moody: 1 }))
      const child = spawn(process.execPath, [join(here, 'gateway-process.ts'), dataDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const url = await new Promise<string>((resolve) =>
        child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk).trim())),
      )
      await post({ url }, records({ mood: 'good' }))
      const status = (await (await fetch(`${url}/status`)).json()) as GatewayObserved
      const { record, isComputed, release } = hold()
      const begun = post({ url }, record)
      await until('it is computed', isComputed)
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await sleep(150)
      release()
      expect((await begun).status).toBe(200)
      expect(await ended).toBe(0)
      expect(isAlive(status.endpoints[0]!.versions[0]!.workerPid!)).toBe(false)
      expect(readdirSync(join(dataDir, 'gateway/journal')).every((name) => !name.includes('.open.'))).toBe(true)
    })

    it('answers only with the token, and only under the names that it has', async () => {
      const gateway = await start([endpoint({})], { token: 'secret', allowedHosts: ['models.example'] })
      expect((await fetch(`${gateway.url}/status`)).status).toBe(401)
      expect((await fetch(`${gateway.url}/status`, { headers: { authorization: 'Bearer secret' } })).status).toBe(200)
      expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
      expect(await statusAs(gateway, 'models.example')).toBe(200)
      expect(await statusAs(gateway, 'elsewhere.example')).toBe(403)
    })

    it('says that its port is taken, without touching the journal of the one who has it', async () => {
      const gateway = await start([endpoint({})])
      await expect(startAgain({ port: gateway.port })).rejects.toMatchObject({ code: 'PortTaken' })
      expect(existsSync(join(dataDir, 'gateway/journal'))).toBe(true)
    })
  })
})
