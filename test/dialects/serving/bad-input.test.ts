import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { binaryRequest, fixture, floats, post, serveModel } from './serve-model.ts'

const tensor = (more: object = {}) => ({ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4], ...more })
const inBinary = (size: unknown, more: object = {}) => ({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: size }, ...more }],
})
const deep = (levels: number) => `${'['.repeat(levels)}1${']'.repeat(levels)}`
const huge = Number.MAX_SAFE_INTEGER

type Bad = { what: string; body: unknown; header?: string; status?: number }

const bad: Bad[] = [
  { what: 'nothing', body: '' },
  { what: 'no JSON', body: '{' },
  { what: 'a list', body: [] },
  { what: 'no inputs', body: {} },
  { what: 'an empty list of inputs', body: { inputs: [] } },
  { what: 'inputs that are no list', body: { inputs: { x: [1] } } },
  { what: 'an input that is no object', body: { inputs: [3] } },
  { what: 'an input without a name', body: { inputs: [{ ...tensor(), name: undefined }] } },
  { what: 'an unknown input', body: { inputs: [tensor({ name: 'z' })] } },
  { what: 'an input twice', body: { inputs: [tensor(), tensor()] } },
  { what: 'one input too many', body: { inputs: [tensor(), tensor({ name: 'z' })] } },
  { what: 'a wrong product of the shape', body: { inputs: [tensor({ shape: [2, 4] })] } },
  { what: 'a shape that the model does not take', body: { inputs: [tensor({ shape: [4, 1] })] } },
  { what: 'a shape of another rank', body: { inputs: [tensor({ shape: [4] })] } },
  { what: 'a negative shape', body: { inputs: [tensor({ shape: [-1, 4] })] } },
  { what: 'a broken shape', body: { inputs: [tensor({ shape: [1.5, 4] })] } },
  { what: 'a shape of texts', body: { inputs: [tensor({ shape: ['1', '4'] })] } },
  { what: 'no shape', body: { inputs: [tensor({ shape: undefined })] } },
  { what: 'a huge shape', body: { inputs: [tensor({ shape: [huge, 4] })] } },
  { what: 'a shape whose product overflows', body: { inputs: [tensor({ shape: [huge, huge, huge] })] } },
  { what: 'an unknown datatype', body: { inputs: [tensor({ datatype: 'FP31' })] } },
  { what: 'a datatype that the model does not take', body: { inputs: [tensor({ datatype: 'INT64' })] } },
  { what: 'texts for numbers', body: { inputs: [tensor({ data: ['1', '2', '3', '4'] })] } },
  { what: 'a number out of range', body: { inputs: [tensor({ data: [1e39, 2, 3, 4] })] } },
  {
    what: 'NaN, which JSON has not',
    body: '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[NaN,1,2,3]}]}',
  },
  { what: 'lists of different lengths', body: { inputs: [tensor({ data: [[1, 2], [3], [4]] })] } },
  { what: 'no data', body: { inputs: [tensor({ data: undefined })] } },
  { what: 'deep data', body: `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":${deep(50_000)}}]}` },
  { what: 'deep JSON', body: deep(200_000) },
  { what: 'parameters that are no object', body: { inputs: [tensor()], parameters: 3 } },
  { what: 'an id that is no text', body: { inputs: [tensor()], id: 7 } },
  { what: 'an unknown output', body: { inputs: [tensor()], outputs: [{ name: 'z' }] } },
  { what: 'outputs that are no list', body: { inputs: [tensor()], outputs: 'y' } },
  { what: 'shared memory', body: { inputs: [tensor({ data: undefined, parameters: { shared_memory_region: 'r' } })] } },
  { what: 'a binary size without binary data', body: inBinary(16) },
  { what: 'no UTF-8', body: Buffer.from([0x7b, 0xff, 0x7d]) },
  { what: 'a header beyond the body', body: { inputs: [tensor()] }, header: '100000' },
  { what: 'a header that is no number', body: { inputs: [tensor()] }, header: 'all' },
  { what: 'a negative header', body: { inputs: [tensor()] }, header: '-1' },
  { what: 'a header that cuts the JSON', body: { inputs: [tensor()] }, header: '20' },
  { what: 'a raw body of odd size', body: floats(1, 2, 3), header: '0' },
]

const badBinary = [
  { what: 'truncated tensors', json: inBinary(16), bytes: floats(1, 2, 3) },
  { what: 'bytes that nobody claims', json: inBinary(16), bytes: floats(1, 2, 3, 4, 5) },
  { what: 'a size that is not the shape', json: inBinary(12), bytes: floats(1, 2, 3) },
  { what: 'a negative size', json: inBinary(-1), bytes: floats() },
  { what: 'a size that is no number', json: inBinary('16'), bytes: floats(1, 2, 3, 4) },
  { what: 'data and a size', json: inBinary(16, { data: [1, 2, 3, 4] }), bytes: floats(1, 2, 3, 4) },
]

describe('bad input', () => {
  let served: Awaited<ReturnType<typeof serveModel>>
  let text: typeof served
  beforeAll(async () => {
    served = await serveModel(fixture('onnx-double'), { maxBodyBytes: 2_000_000 })
    text = await serveModel(fixture('onnx-text'))
  })
  afterAll(() => Promise.all([served?.stop(), text?.stop()]))
  const infer = (body: unknown, headers: Record<string, string> = {}) =>
    post(`${served.url}/v2/models/m/infer`, body, headers)
  const stillAnswers = async () => {
    const response = await infer({ inputs: [tensor()] })
    expect([response.status, await response.json()]).toMatchObject([200, { outputs: [{ data: [2, 4, 6, 8] }] }])
  }

  it.each(bad)(
    'refuses $what in the protocol’s own form, and the next request is answered',
    async ({ body, header, status = 400 }) => {
      const response = await infer(body, header === undefined ? {} : { 'inference-header-content-length': header })
      expect([response.status, await response.json()]).toEqual([status, { error: expect.any(String) }])
      await stillAnswers()
    },
  )

  it.each(badBinary)('refuses $what in binary', async ({ json, bytes }) => {
    const { body, headers } = binaryRequest(json, bytes)
    const response = await infer(body, headers)
    expect([response.status, await response.json()]).toEqual([400, { error: expect.any(String) }])
    await stillAnswers()
  })

  it('refuses texts whose lengths lie', async () => {
    const bytes = Buffer.from([0xff, 0xff, 0xff, 0xff, 97])
    const { body, headers } = binaryRequest(
      { inputs: [{ name: 'x', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: 5 } }] },
      bytes,
    )
    const response = await post(`${text.url}/v2/models/m/infer`, body, headers)
    expect([response.status, await response.json()]).toEqual([400, { error: expect.stringContaining('length') }])
  })

  it('refuses a body that is too large, packed or not, before it is kept', async () => {
    const { gzipSync } = await import('node:zlib')
    const zeros = Buffer.alloc(3_000_000, 0x20)
    for (const [body, headers] of [
      [zeros, {}],
      [gzipSync(Buffer.alloc(200_000_000)), { 'content-encoding': 'gzip' }],
    ] as const) {
      const response = await infer(body, headers)
      expect([response.status, await response.json()]).toEqual([413, { error: expect.any(String) }])
    }
    const scoring = await post(`${served.url}/invocations`, zeros, { 'content-type': 'application/json' })
    expect([scoring.status, await scoring.json()]).toMatchObject([413, { error_code: 'BAD_REQUEST' }])
    await stillAnswers()
  })

  it('refuses what is packed in no way that it knows, and what is not packed as it says', async () => {
    expect((await infer('x', { 'content-encoding': 'lzma' })).status).toBe(415)
    expect((await infer('x', { 'content-encoding': 'gzip' })).status).toBe(400)
    await stillAnswers()
  })

  it('answers others while one client sends its request byte by byte and another hangs up', async () => {
    const { port } = new URL(served.url)
    const slow = connect(Number(port), '127.0.0.1')
    slow.on('error', () => undefined)
    slow.write('POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{')
    const silent = connect(Number(port), '127.0.0.1')
    silent.on('error', () => undefined)
    for (let count = 0; count < 10; count++) {
      slow.write(' ')
      await stillAnswers()
    }
    slow.destroy()
    silent.destroy()
    await stillAnswers()
  })

  const sent = async (words: string, url = served.url): Promise<string> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(words)
    let heard = ''
    for await (const chunk of socket) heard += chunk
    return heard
  }

  it('says in the protocols’ own forms what is no request of HTTP', async () => {
    const header = `X: ${'x'.repeat(100_000)}`
    for (const [words, status] of [
      ['GARBAGE\r\n\r\n', 400],
      ['POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400],
      [`GET /ping HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`, 431],
    ] as const) {
      const [head, body] = (await sent(words)).split('\r\n\r\n')
      expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      const text = expect.any(String)
      expect(JSON.parse(body!)).toEqual({ error: text, error_code: 'BAD_REQUEST', message: text })
    }
    await stillAnswers()
  })

  it('gives up who sends his headers or his body too slowly within the timeout, in the protocols’ own forms', async () => {
    const hasty = await serveModel(fixture('onnx-double'), { timeoutMs: 500 })
    try {
      const begun = 'POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n'
      for (const [words, status] of [
        [begun, 408],
        [`${begun}\r\n{`, 504],
      ] as const) {
        const answer = await sent(words, hasty.url)
        expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
        expect(answer).toContain('"error_code":"DEADLINE_EXCEEDED"')
      }
    } finally {
      await hasty.stop()
    }
  })

  it('answers who names no host, as HTTP/1.0 may', async () => {
    expect(await sent('GET /v2/models/m/ready HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 .*"ready":true/s)
  })

  it('refuses what is no HTTP, and what only begins like HTTP/2', async () => {
    for (const words of ['GARBAGE\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnothing of it']) {
      const socket = connect(Number(new URL(served.url).port), '127.0.0.1')
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.on('error', () => undefined)
      socket.resume()
      socket.write(words)
      await closed
    }
    await stillAnswers()
  })

  it.each([
    ['{', 400, 'BAD_REQUEST'],
    ['[1]', 400, 'BAD_REQUEST'],
    ['{}', 400, 'BAD_REQUEST'],
    ['{"inputs":[[1,2,3,4]],"instances":[[1,2,3,4]]}', 400, 'BAD_REQUEST'],
    ['{"dataframe_split":{"columns":["a"],"data":[[1,2]]}}', 400, 'BAD_REQUEST'],
    ['{"dataframe_records":{"a":1}}', 400, 'BAD_REQUEST'],
    ['{"inputs":[[1,2,3]]}', 400, 'INVALID_PARAMETER_VALUE'],
    ['{"inputs":[["a","b","c","d"]]}', 400, 'INVALID_PARAMETER_VALUE'],
    [`{"inputs":${deep(10_000)}}`, 400, 'INVALID_PARAMETER_VALUE'],
  ])('refuses %s in MLflow’s form', async (body, status, code) => {
    const response = await post(`${served.url}/invocations`, body, { 'content-type': 'application/json' })
    expect([response.status, await response.json()]).toEqual([
      status,
      { error_code: code, message: expect.any(String) },
    ])
    await stillAnswers()
  })

  it('says why a model file that is damaged cannot be served, and ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mw-damaged-'))
    try {
      cpSync(fixture('onnx-double'), folder, { recursive: true })
      writeFileSync(join(folder, 'model.onnx'), 'no graph')
      await expect(serveModel(folder)).rejects.toMatchObject({
        message: expect.stringContaining('ONNX graph cannot be loaded'),
        next: expect.not.stringContaining('Python'),
      })
      writeFileSync(join(folder, 'MLmodel'), 'flavors: [')
      await expect(serveModel(folder)).rejects.toThrow(/MLmodel/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    await expect(serveModel('/nowhere/at/all')).rejects.toThrow(/no MLflow model/)
  })
})
