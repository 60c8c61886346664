import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { transact } from '../../../src/db/index.ts'
import type { RunId } from '../../../src/kernel/ids.ts'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

type Answer = { status: number; body: Record<string, never> & { error_code?: string; message?: string } }

eachDatabase("MLflow's REST API", (database) => {
  let server: MlflowServer

  beforeEach(async () => {
    server = await startMlflowServer(database)
  })
  afterEach(() => server.close())

  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(server.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }
  /** With the path as it is written: fetch would resolve `..` before it asks. */
  const rawCall = (method: string, path: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(server.url)
      const sent = request({ hostname, port, method, path }, (response) =>
        text(response).then((body) => resolve(JSON.parse(body)), reject),
      )
      sent.once('error', reject)
      sent.end(method === 'PUT' ? 'x' : undefined)
    })
  const post = (path: string, body: unknown, headers = {}) => call('POST', `/api/2.0/mlflow/${path}`, body, headers)

  async function newRun(headers: Record<string, string> = {}, experiment = '0'): Promise<string> {
    const { body } = await post('runs/create', { experiment_id: experiment, start_time: 1000 }, headers)
    return (body as unknown as { run: { info: { run_id: string } } }).run.info.run_id
  }

  async function newModel(runId: string | undefined, headers: Record<string, string> = {}): Promise<Answer> {
    return post('logged-models', { experiment_id: '0', name: 'm', source_run_id: runId }, headers)
  }

  const asStep = (runId: string) => ({ authorization: `Bearer ${server.stepToken(runId)}` })
  const put = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}`, { method: 'PUT', body, headers })

  describe('answers what MLflow refuses in its form', () => {
    it.each([
      ['experiments/create', {}, 400, 'INVALID_PARAMETER_VALUE', "Missing value for required parameter 'name'"],
      ['experiments/create', { name: 123 }, 400, 'INVALID_PARAMETER_VALUE', "Invalid value 123 for parameter 'name'"],
      ['experiments/create', { name: 'Default' }, 400, 'RESOURCE_ALREADY_EXISTS', 'already exists'],
      ['experiments/create', { name: 'x'.repeat(501) }, 400, 'INVALID_PARAMETER_VALUE', 'maximum length of 500'],
      ['experiments/delete', { experiment_id: '99' }, 404, 'RESOURCE_DOES_NOT_EXIST', 'No Experiment with id=99'],
      ['runs/create', { experiment_id: 'abc' }, 400, 'INVALID_PARAMETER_VALUE', 'must be a valid integer'],
      ['runs/log-batch', { run_id: 'none' }, 404, 'RESOURCE_DOES_NOT_EXIST', 'Run with id=none not found'],
      ['runs/log-metric', { run_id: 'r', key: 'a', timestamp: 1 }, 400, 'INVALID_PARAMETER_VALUE', "'value'"],
      ['runs/search', { experiment_ids: ['0'], filter: 'metrics.a >' }, 400, 'INVALID_PARAMETER_VALUE', ''],
      [
        'runs/search',
        { experiment_ids: ['0'], max_results: 60000 },
        400,
        'INVALID_PARAMETER_VALUE',
        'Invalid value 60000',
      ],
      ['runs/search', { experiment_ids: ['0'], page_token: 'zzz' }, 400, 'INVALID_PARAMETER_VALUE', 'page token'],
      ['runs/search', '{"experiment_ids": [', 400, 'BAD_REQUEST', 'JSON'],
      ['runs/search', '[1]', 400, 'INVALID_PARAMETER_VALUE', 'JSON object'],
      ['registered-models/create', { name: 'a/b' }, 400, 'INVALID_PARAMETER_VALUE', "cannot contain '/' or ':'"],
      ['model-versions/create', { name: 'm', source: '/etc' }, 400, 'INVALID_PARAMETER_VALUE', 'local path'],
      ['unified-traces', {}, 501, 'NOT_IMPLEMENTED', 'not supported'],
      ['nonsense', {}, 404, 'ENDPOINT_NOT_FOUND', 'no endpoint'],
    ])('POST %s %j → %d %s', async (path, body, status, code, words) => {
      const answer = await post(path, body)
      expect(answer).toMatchObject({ status, body: { error_code: code } })
      expect(answer.body.message).toContain(words)
    })

    it('an unknown token, also for reading', async () => {
      const answer = await call('GET', '/api/2.0/mlflow/experiments/get?experiment_id=0', undefined, {
        authorization: 'Bearer nobody',
      })
      expect(answer).toMatchObject({ status: 401, body: { error_code: 'UNAUTHENTICATED' } })
    })
  })

  it('keeps a batch whole or not at all', async () => {
    const run_id = await newRun()
    await post('runs/log-batch', { run_id, params: [{ key: 'depth', value: '3' }] })
    const refused = await post('runs/log-batch', {
      run_id,
      metrics: [{ key: 'auc', value: 0.5, timestamp: 1, step: 0 }],
      params: [{ key: 'depth', value: '4' }],
      tags: [{ key: 't', value: 'v' }],
    })
    expect(refused.body.error_code).toBe('INVALID_PARAMETER_VALUE')
    const run = await server.tracking.run(run_id)
    expect(run.metrics).toEqual([])
    expect(run.tags).not.toHaveProperty('t')
  })

  it('refuses batches beyond the limits and keys that are paths out', async () => {
    const run_id = await newRun()
    const metrics = Array.from({ length: 1001 }, (_, i) => ({ key: `m${i}`, value: 1, timestamp: 1, step: 0 }))
    expect((await post('runs/log-batch', { run_id, metrics })).body.message).toContain('at most 1000 metrics. Got 1001')
    for (const key of ['../a', 'a/../b', '/a', './a', 'a*', ''])
      expect((await post('runs/log-parameter', { run_id, key, value: '1' })).body.error_code).toBe(
        'INVALID_PARAMETER_VALUE',
      )
  })

  it('answers under /ajax-api what it answers under /api', async () => {
    const api = await call('GET', '/api/2.0/mlflow/experiments/get?experiment_id=0')
    expect(await call('GET', '/ajax-api/2.0/mlflow/experiments/get?experiment_id=0')).toEqual(api)
  })

  it('takes deleted runs out of searches until they are restored, and refuses to write them', async () => {
    const run_id = await newRun()
    const found = async (run_view_type?: string) => {
      const { body } = await post('runs/search', { experiment_ids: ['0'], run_view_type })
      return (body as unknown as { runs: unknown[] }).runs.length
    }
    await post('runs/delete', { run_id })
    expect([await found(), await found('DELETED_ONLY'), await found('ALL')]).toEqual([0, 1, 1])
    expect((await post('runs/set-tag', { run_id, key: 'a', value: 'b' })).body.message).toContain("'active' state")
    await post('runs/restore', { run_id })
    expect(await found()).toBe(1)
  })

  it('refuses a page token of another question', async () => {
    for (let i = 0; i < 3; i++) await newRun()
    const { body } = await post('runs/search', { experiment_ids: ['0'], max_results: 1 })
    const page_token = (body as unknown as { next_page_token: string }).next_page_token
    expect((await post('runs/search', { experiment_ids: ['0'], max_results: 2, page_token })).status).toBe(200)
    const other = await post('runs/search', { experiment_ids: ['0'], filter: "params.a = 'b'", page_token })
    expect(other.body).toMatchObject({ error_code: 'INVALID_PARAMETER_VALUE' })
  })

  it('never lets a filter shape a statement', async () => {
    await newRun()
    for (const filter of ["params.a = 'x'' or 1=1 --'", "tags.`a') or 1=1 --` = 'b'", "run_name = '%' or 1 = 1"]) {
      const { status, body } = await post('runs/search', { experiment_ids: ['0'], filter })
      expect(status === 400 || (body as unknown as { runs: unknown[] }).runs.length === 0).toBe(true)
    }
  })

  describe('artifacts', () => {
    it('come back byte for byte, whole and in ranges, whatever content type they were sent with', async () => {
      const bytes = randomBytes(3_000_000)
      for (const type of ['application/json', 'text/plain', 'multipart/form-data', 'application/octet-stream'])
        expect((await put('0/x/artifacts/a.bin', bytes, { 'content-type': type })).status).toBe(200)
      const url = `${server.url}/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/a.bin`
      const whole = Buffer.from(await (await fetch(url)).arrayBuffer())
      expect(sha(whole)).toBe(sha(bytes))
      for (const [range, from, to] of [
        ['bytes=0-9', 0, 10],
        ['bytes=2999990-', 2_999_990, 3_000_000],
        ['bytes=-5', 2_999_995, 3_000_000],
      ] as const) {
        const part = await fetch(url, { headers: { range } })
        expect(part.status).toBe(206)
        expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(from, to))).toBe(true)
      }
      expect((await fetch(url, { headers: { range: 'bytes=3000000-' } })).status).toBe(416)
    })

    it('larger than any body limit are taken in as a stream', async () => {
      const chunk = Buffer.alloc(1024 * 1024, 7)
      let left = 80
      const body = new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(chunk)
          else controller.close()
        },
      })
      const sent = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/big`, {
        method: 'PUT',
        body,
        duplex: 'half',
      } as RequestInit)
      expect(sent.status).toBe(200)
      expect((await server.artifacts.files.find('0/x/artifacts/big'))?.size).toBe(80 * 1024 * 1024)
    })

    it('of an upload that breaks off are not there at all', async () => {
      const { hostname, port } = new URL(server.url)
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), hostname, () => {
          socket.write(
            `PUT /api/2.0/mlflow-artifacts/artifacts/0/x/half HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 1000\r\n\r\nabc`,
            () => setImmediate(() => socket.destroy()),
          )
        })
        socket.once('close', () => resolve())
      })
      expect(await server.artifacts.files.find('0/x/half')).toBeUndefined()
      expect((await put('0/x/half', 'whole')).status).toBe(200)
    })

    it.each([
      '../../x',
      '%2e%2e/%2e%2e/x',
      '..%2f..%2fx',
      '%252e%252e%252fx',
      '..%5c..%5cx',
      '%2fetc%2fpasswd',
      'a%23b',
      'a%00b',
      'a/%2e/b',
    ])('at %s are refused, to write and to read', async (path) => {
      const refused = { error_code: 'INVALID_PARAMETER_VALUE', message: 'Invalid path' }
      for (const method of ['PUT', 'GET', 'DELETE'])
        expect(await rawCall(method, `/api/2.0/mlflow-artifacts/artifacts/${path}`)).toMatchObject(refused)
      expect(await rawCall('GET', `/api/2.0/mlflow-artifacts/artifacts?path=${path}`)).toMatchObject(refused)
      const run_id = await newRun()
      const viewed = await fetch(`${server.url}/get-artifact?run_id=${run_id}&path=${path}`)
      expect(viewed.status).toBe(400)
    })

    it('never answer as a page that a browser would run', async () => {
      const run_id = await newRun()
      await put(`0/${run_id}/artifacts/page.html`, '<script>alert(1)</script>', { 'content-type': 'text/html' })
      const seen = await fetch(`${server.url}/get-artifact?run_id=${run_id}&path=page.html`)
      expect(seen.headers.get('content-disposition')).toMatch(/^attachment/)
      expect(seen.headers.get('x-content-type-options')).toBe('nosniff')
    })

    it('are gone when their folder is deleted', async () => {
      await put('0/x/artifacts/a/b', '1')
      await put('0/x/artifacts/ab', '2')
      await call('DELETE', '/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/a')
      expect(await server.artifacts.files.list('0/x/artifacts')).toEqual([{ name: 'ab', kind: 'file', size: 1 }])
    })
  })

  describe("a step's token", () => {
    let own: string
    let other: string

    beforeEach(async () => {
      own = await newRun()
      other = await newRun()
    })

    it('writes its own run and reads every other', async () => {
      expect((await post('runs/set-tag', { run_id: own, key: 'a', value: 'b' }, asStep(own))).status).toBe(200)
      expect((await call('GET', `/api/2.0/mlflow/runs/get?run_id=${other}`, undefined, asStep(own))).status).toBe(200)
    })

    it.each([
      ['runs/set-tag', { key: 'a', value: 'b' }],
      ['runs/log-parameter', { key: 'a', value: 'b' }],
      ['runs/log-metric', { key: 'a', value: 1, timestamp: 1 }],
      ['runs/log-batch', {}],
      ['runs/update', { status: 'FAILED' }],
      ['runs/delete', {}],
      ['runs/log-inputs', {}],
      ['runs/outputs', { models: [{ model_id: 'm-1', step: 0 }] }],
    ])('may not call %s on another run', async (path, body) => {
      const answer = await post(path, { ...body, run_id: other }, asStep(own))
      expect(answer).toMatchObject({ status: 403, body: { error_code: 'PERMISSION_DENIED' } })
    })

    it('owns the runs that it creates, in any experiment, and hangs them below its own', async () => {
      const { body } = await post('experiments/create', { name: 'elsewhere' }, asStep(own))
      const experiment = (body as unknown as { experiment_id: string }).experiment_id
      const made = await newRun(asStep(own), experiment)
      expect((await post('runs/set-tag', { run_id: made, key: 'a', value: 'b' }, asStep(own))).status).toBe(200)
      expect((await post('runs/set-tag', { run_id: made, key: 'a', value: 'b' }, asStep(other))).status).toBe(403)
      expect((await server.tracking.run(made)).tags['mlflow.parentRunId']).toBe(own)
      expect((await server.tracking.runsOwnedBy(own)).map((run) => run.runId)).toEqual([made])
    })

    it('writes artifacts of its own runs and models only', async () => {
      const mine = await newModel(own, asStep(own))
      const theirs = await newModel(other)
      const modelId = (answer: Answer) =>
        (answer.body as unknown as { model: { info: { model_id: string } } }).model.info.model_id
      const status = async (path: string) => (await put(path, 'x', asStep(own))).status
      expect(await status(`0/${own}/artifacts/a`)).toBe(200)
      expect(await status(`0/models/${modelId(mine)}/artifacts/a`)).toBe(200)
      expect(await status(`0/${other}/artifacts/a`)).toBe(403)
      expect(await status(`0/models/${modelId(theirs)}/artifacts/a`)).toBe(403)
      expect(await status(`1/${own}/artifacts/a`)).toBe(403)
      expect(await status('anywhere')).toBe(403)
      expect((await newModel(other, asStep(own))).status).toBe(403)
    })

    it('registers versions of its own models, and moves nothing that is not its own', async () => {
      await post('registered-models/create', { name: 'm' }, asStep(own))
      const source = `mlflow-artifacts:/0/${own}/artifacts/model`
      const create = (body: object, headers = {}) => post('model-versions/create', { name: 'm', ...body }, headers)
      expect((await create({ source, run_id: own }, asStep(own))).status).toBe(200)
      const theirs = `mlflow-artifacts:/0/${other}/artifacts/model`
      expect((await create({ source: theirs, run_id: other }, asStep(own))).status).toBe(403)
      await create({ source: theirs, run_id: other })
      const alias = (version: string) =>
        post('registered-models/alias', { name: 'm', alias: 'best', version }, asStep(own))
      expect([(await alias('1')).status, (await alias('2')).status]).toEqual([200, 403])
      expect(
        (await call('DELETE', '/api/2.0/mlflow/registered-models/delete', { name: 'm' }, asStep(own))).status,
      ).toBe(403)
    })
  })

  it('refuses sources that lie outside the run or model that they claim', async () => {
    const run_id = await newRun()
    const other = await newRun()
    await post('registered-models/create', { name: 'm' })
    for (const source of [
      `mlflow-artifacts:/0/${other}/artifacts/model`,
      `mlflow-artifacts:/0/${run_id}/artifacts/../../${other}/artifacts`,
      `mlflow-artifacts:/0/${run_id}/artifacts/%2e%2e/%2e%2e/${other}`,
      `mlflow-artifacts:/0/${run_id}x/artifacts`,
      `runs:/${other}/model`,
      'models:/m-0123456789abcdef0123456789abcdef',
      'file:///etc/passwd',
      '/etc/passwd',
      `${server.url}/api/2.0/mlflow-artifacts/artifacts/0/${run_id}/artifacts/../x`,
    ]) {
      const answer = await post('model-versions/create', { name: 'm', source, run_id })
      expect(answer.body.error_code, source).toBe('INVALID_PARAMETER_VALUE')
    }
  })

  it('lets nobody move an alias that says what Git declares', async () => {
    const { version } = await transact(server.db, (tx) =>
      server.registry.registerVersion(tx, { model: 'm', source: 's', origin: 'modelwright', runId: 'r' as RunId }),
    )
    await transact(server.db, (tx) => server.registry.setGitOwnedAlias(tx, 'm', 'production', version.version))
    const set = await post('registered-models/alias', { name: 'm', alias: 'production', version: '1' })
    expect(set).toMatchObject({ status: 403, body: { error_code: 'PERMISSION_DENIED' } })
    const gone = await call('DELETE', '/api/2.0/mlflow/registered-models/alias', { name: 'm', alias: 'production' })
    expect(gone.status).toBe(403)
    const read = await call('GET', '/api/2.0/mlflow/registered-models/alias?name=m&alias=production')
    expect(read.status).toBe(200)
  })
})

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
