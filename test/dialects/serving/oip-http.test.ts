import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync, inflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  binaryAnswer,
  binaryRequest,
  fixture,
  floats,
  getWhole,
  type InferAnswer,
  post,
  serveModel,
} from './serve-model.ts'

type Running = Awaited<ReturnType<typeof serveModel>>
const names = ['double', 'two', 'mean', 'long', 'text', 'half'] as const

// What a plain client of the Open Inference Protocol asks, against graphs whose answers are known.
describe('the Open Inference Protocol over HTTP', () => {
  const served = {} as Record<(typeof names)[number], Running>
  beforeAll(async () => {
    for (const name of names) served[name] = await serveModel(fixture(`onnx-${name}`))
  })
  afterAll(async () => {
    for (const one of Object.values(served)) await one.stop()
  })
  const url = (model: (typeof names)[number], path: string) => `${served[model].url}/v2${path}`
  const get = async (path: string) => {
    const response = await fetch(url('double', path))
    return [response.status, (await response.json()) as Record<string, unknown>] as const
  }
  const infer = (model: (typeof names)[number], body: unknown, headers?: Record<string, string>) =>
    post(url(model, '/models/m/infer'), body, headers)
  const inferred = async (model: (typeof names)[number], body: unknown, headers?: Record<string, string>) => {
    const response = await infer(model, body, headers)
    const answer = (await response.json()) as InferAnswer
    expect([response.status, answer]).toEqual([200, answer])
    return answer
  }
  const x = (data: unknown, more: object = {}) => ({ name: 'x', shape: [1, 4], datatype: 'FP32', data, ...more })

  it('tells of server, health and model in JSON', async () => {
    expect(await get('')).toEqual([200, { name: 'modelwright', version: '0', extensions: expect.any(Array) }])
    expect((await get(''))[1].extensions).toEqual(
      expect.arrayContaining(['binary_tensor_data', 'model_repository', 'statistics']),
    )
    expect(await get('/health/live')).toEqual([200, { live: true }])
    expect(await get('/health/ready')).toEqual([200, { ready: true }])
    expect(await get('/models/m/ready')).toEqual([200, { name: 'm', ready: true }])
    expect(await get('/models/m/versions/1/ready')).toEqual([200, { name: 'm', ready: true }])
    const facts = {
      name: 'm',
      versions: ['1'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
    }
    expect(await get('/models/m')).toEqual([200, facts])
    expect(await get('/models/m/versions/1')).toEqual([200, facts])
  })

  it('tells of the configuration in Triton’s words', async () => {
    expect((await get(''))[1].extensions).toContain('model_configuration')
    const config = {
      name: 'm',
      platform: 'onnx_onnxv1',
      backend: 'onnxruntime',
      max_batch_size: 0,
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [-1, 4], optional: false }],
      output: [{ name: 'y', data_type: 'TYPE_FP32', dims: [-1, 4] }],
    }
    expect(await get('/models/m/config')).toEqual([200, config])
    expect(await get('/models/m/versions/1/config')).toEqual([200, config])
    expect(await get('/models/other/config')).toEqual([404, { error: expect.stringContaining('other') }])
    const text = await fetch(url('text', '/models/m/config'))
    expect(await text.json()).toMatchObject({ input: [{ data_type: 'TYPE_STRING' }] })
  })

  it('takes the whole address for the target, as proxies send it; its host is the one that must be served here', async () => {
    const { url } = served.double
    const { host } = new URL(url)
    const ready = { status: 200, body: '{"name":"m","ready":true}' }
    expect(await getWhole(url, `${url}/v2/models/m/ready?x=http://y/z`, 'elsewhere.example')).toEqual(ready)
    expect(await getWhole(url, `HTTP://somebody@${host}/v2/models/m/ready`, host)).toEqual(ready)
    expect((await getWhole(url, url, host)).body).toContain('There is nothing at /;')
    const refused = await getWhole(url, 'http://elsewhere.example/v2/models/m/ready', host)
    expect(refused).toEqual({ status: 403, body: '{"error":"Host \\"elsewhere.example\\" is not served here."}' })
  })

  it('says 404 in its own form for a model, a version and a path that are not there', async () => {
    for (const path of [
      '/models/other',
      '/models/other/ready',
      '/models/m/versions/9',
      '/models/m/nothing',
      '/nothing',
    ])
      expect(await get(path)).toEqual([404, { error: expect.any(String) }])
    const response = await post(url('double', '/models/other/infer'), { inputs: [x([1, 2, 3, 4])] })
    expect([response.status, await response.json()]).toEqual([404, { error: expect.stringContaining('other') }])
  })

  it('answers in JSON, flat or nested in, whatever the Content-Type says', async () => {
    for (const data of [[1, 2, 3, 4], [[1, 2, 3, 4]]])
      for (const type of ['application/json', 'application/octet-stream', 'text/plain'])
        expect(await inferred('double', { id: 'mine', inputs: [x(data)] }, { 'content-type': type })).toEqual({
          model_name: 'm',
          model_version: '1',
          id: 'mine',
          outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 4], data: [2, 4, 6, 8] }],
        })
  })

  it('takes binary tensors in the order of the inputs, and mixes them with JSON', async () => {
    const input = (name: string) => ({ name, shape: [2], datatype: 'FP32', parameters: { binary_data_size: 8 } })
    const both = binaryRequest({ inputs: [input('a'), input('b')] }, floats(5, 6), floats(1, 2))
    const swapped = binaryRequest({ inputs: [input('b'), input('a')] }, floats(1, 2), floats(5, 6))
    const mixed = binaryRequest(
      { inputs: [{ name: 'a', shape: [2], datatype: 'FP32', data: [5, 6] }, input('b')] },
      floats(1, 2),
    )
    for (const { body, headers } of [both, swapped, mixed])
      expect((await inferred('two', body, headers)).outputs.map(({ data }) => data)).toEqual([
        [6, 8],
        [4, 4],
      ])
  })

  it('gives binary tensors where they are asked for: by the request, or by an output, which wins', async () => {
    const inputs = ['a', 'b'].map((name) => ({ name, shape: [1], datatype: 'FP32', data: [name === 'a' ? 3 : 1] }))
    const all = await binaryAnswer(await infer('two', { inputs, parameters: { binary_data_output: true } }))
    expect(all.json.outputs.map(({ parameters }) => parameters)).toEqual([
      { binary_data_size: 4 },
      { binary_data_size: 4 },
    ])
    expect(all.rest).toEqual(Buffer.concat([floats(4), floats(2)]))
    const one = await binaryAnswer(
      await infer('two', {
        inputs,
        parameters: { binary_data_output: true },
        outputs: [{ name: 'd' }, { name: 's', parameters: { binary_data: false } }],
      }),
    )
    expect(one.json.outputs.map(({ name, data }) => [name, data])).toEqual([
      ['d', undefined],
      ['s', [4]],
    ])
    expect(one.rest).toEqual(floats(2))
  })

  it('takes the whole body as the one input where the header says 0', async () => {
    const { json, rest } = await binaryAnswer(
      await infer('double', floats(1, 2, 3, 4, 5, 6, 7, 8), { 'inference-header-content-length': '0' }),
    )
    expect(json.outputs[0]!.shape).toEqual([2, 4])
    expect(rest).toEqual(floats(2, 4, 6, 8, 10, 12, 14, 16))
  })

  it('keeps every digit of 64-bit integers, and texts and half floats in both forms', async () => {
    const large =
      '{"inputs":[{"name":"x","shape":[1,2],"datatype":"INT64","data":[9007199254740993,-9223372036854775808]}]}'
    expect(await (await infer('long', large)).text()).toContain('[9007199254740993,-9223372036854775808]')
    const texts = { name: 'x', shape: [3], datatype: 'BYTES', data: ['a', '', 'é'] }
    expect((await inferred('text', { inputs: [texts] })).outputs[0]!.data).toEqual(['a', '', 'é'])
    const bytes = Buffer.concat([
      Buffer.from([1, 0, 0, 0]),
      Buffer.from('a'),
      Buffer.from([2, 0, 0, 0]),
      Buffer.from('é'),
    ])
    const request = binaryRequest(
      {
        inputs: [{ name: 'x', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: bytes.length } }],
        parameters: { binary_data_output: true },
      },
      bytes,
    )
    expect((await binaryAnswer(await infer('text', request.body, request.headers))).rest).toEqual(bytes)
    const half = { name: 'x', shape: [1, 2], datatype: 'FP16', data: [0.5, -2] }
    expect((await inferred('half', { inputs: [half] })).outputs[0]!.data).toEqual([0.5, -2])
  })

  it('gives an id where the client gave none, and carries NaN in binary, null in JSON', async () => {
    expect((await inferred('double', { inputs: [x([1, 2, 3, 4])] })).id).toMatch(/^[0-9a-f-]{36}$/)
    const nan = binaryRequest(
      { inputs: [x(undefined, { parameters: { binary_data_size: 16 } })] },
      floats(Number.NaN, 1, 2, 3),
    )
    expect((await inferred('double', nan.body, nan.headers)).outputs[0]!.data).toEqual([null, 2, 4, 6])
    expect((await inferred('double', { inputs: [x([null, 1, 2, 3])] })).outputs[0]!.data).toEqual([null, 2, 4, 6])
  })

  it('unpacks gzip and packs for who names it', async () => {
    const body = gzipSync(JSON.stringify({ inputs: [x([1, 2, 3, 4])] }))
    expect((await inferred('double', body, { 'content-encoding': 'gzip' })).outputs[0]!.data).toEqual([2, 4, 6, 8])
    for (const [packing, unpack] of [
      ['gzip', gunzipSync],
      ['deflate', inflateSync],
    ] as const) {
      const response = await raw(url('double', '/models/m'), { 'accept-encoding': packing })
      expect(response.headers['content-encoding']).toBe(packing)
      expect(JSON.parse(unpack(response.body).toString())).toMatchObject({ name: 'm' })
    }
  })

  it('lists the repository for an empty body and for one that asks for what is ready', async () => {
    const entry = { name: 'm', version: '1', state: 'READY', reason: '' }
    for (const body of ['', '{}', '{"ready":true}']) {
      const response = await post(url('double', '/repository/index'), body)
      expect([response.status, await response.json()]).toEqual([200, [entry]])
    }
  })

  it('unloads and loads a model, which is not ready in between', async () => {
    const ready = () => fetch(url('mean', '/models/m/ready')).then(async (one) => [one.status, await one.json()])
    expect((await post(url('mean', '/repository/models/m/unload'), '')).status).toBe(200)
    expect(await ready()).toEqual([503, { name: 'm', ready: false }])
    expect((await fetch(url('mean', '/health/live'))).status).toBe(200)
    const refused = await infer('mean', { inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] })
    expect([refused.status, await refused.json()]).toEqual([503, { error: expect.stringContaining('unloaded') }])
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect((await post(url('mean', '/repository/models/m/load'), '')).status).toBe(200)
    expect(await ready()).toEqual([200, { name: 'm', ready: true }])
    expect((await post(url('mean', '/repository/models/other/load'), '')).status).toBe(404)
  })

  it('counts what it answered and what it refused', async () => {
    const statistics = async () =>
      ((await (await fetch(url('long', '/models/m/stats'))).json()) as Statistics).model_stats[0]!.inference_stats
    const before = await statistics()
    await inferred('long', { inputs: [{ name: 'x', shape: [1, 2], datatype: 'INT64', data: [1, 2] }] })
    await infer('long', { inputs: [] })
    const after = await statistics()
    expect([after.success.count - before.success.count, after.fail.count - before.fail.count]).toEqual([1, 1])
    expect(after.success.ns).toBeGreaterThan(before.success.ns)
  })

  it('computes requests that come together as one only where rows do not depend on each other', async () => {
    const ask = (model: 'double' | 'mean', values: number[]) =>
      inferred(model, { inputs: [{ name: 'x', shape: [1, values.length], datatype: 'FP32', data: values }] })
    const each = Array.from({ length: 40 }, (_, index) => index)
    const doubled = await Promise.all(each.map((one) => ask('double', [one, one + 1, one + 2, one + 3])))
    expect(doubled.map(({ outputs }) => outputs[0]!.data)).toEqual(
      each.map((one) => [0, 1, 2, 3].map((more) => 2 * (one + more))),
    )
    // The mean over a single row is the row itself.
    const centred = await Promise.all(each.map((one) => ask('mean', [one, -one])))
    for (const { outputs } of centred) expect(outputs[0]).toMatchObject({ shape: [1, 2], data: [0, 0] })
  })

  it('computes a large graph in a thread of its own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mw-large-'))
    cpSync(fixture('onnx-double'), folder, { recursive: true })
    writeFileSync(join(folder, 'weights.bin'), Buffer.alloc(5_000_000))
    const large = await serveModel(folder)
    const response = await post(`${large.url}/v2/models/m/infer`, { inputs: [x([1, 2, 3, 4])] })
    expect(await response.json()).toMatchObject({ outputs: [{ data: [2, 4, 6, 8] }] })
    await large.stop()
    rmSync(folder, { recursive: true })
  })

  it('says 405 with the methods that there are', async () => {
    const response = await fetch(url('double', '/models/m/infer'))
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    expect(await response.json()).toEqual({ error: expect.any(String) })
    expect((await post(url('double', '/models/m'), '')).status).toBe(405)
  })
})

type Statistics = {
  model_stats: { inference_stats: Record<'success' | 'fail', { count: number; ns: number }> }[]
}

/** Without the unpacking that fetch does by itself. */
async function raw(address: string, headers: Record<string, string>) {
  const { get } = await import('node:http')
  return new Promise<{ headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
    get(address, { headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }))
    }).on('error', reject)
  })
}
