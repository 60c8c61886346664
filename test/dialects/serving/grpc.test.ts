import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { healthMethods, oipMethods } from '../../../src/serving/protocols/oip-proto.ts'
import { fixture, floats, serveModel } from './serve-model.ts'

type Answer = Record<string, unknown>
const methods = new Map([...oipMethods(), ...healthMethods()].map((method) => [method.name, method]))

// On the port of HTTP: the first bytes of a connection say which of the two it is.
describe('the Open Inference Protocol over gRPC', () => {
  let served: Awaited<ReturnType<typeof serveModel>>
  let guarded: typeof served
  const clients: Client[] = []
  beforeAll(async () => {
    served = await serveModel(fixture('onnx-two'), { grpcPort: 0 })
    guarded = await serveModel(fixture('onnx-long'), { token: 'sesame' })
  })
  afterAll(async () => {
    for (const client of clients) client.close()
    await Promise.all([served?.stop(), guarded?.stop()])
  })

  function ask(name: string, question: object, port = served.port, metadata = new Metadata()): Promise<Answer> {
    const { path, writeQuestion, readAnswer } = methods.get(name)!
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
    clients.push(client)
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, writeQuestion, readAnswer, question, metadata, (error, answer) =>
        error ? reject(error) : resolve(JSON.parse(JSON.stringify(answer)) as Answer),
      )
    })
  }
  const refusal = (name: string, question: object, port?: number) =>
    ask(name, question, port).then(
      () => 'answered',
      ({ code, details }: ServiceError) => [code, details],
    )
  const column = (name: string, values: number[]) => ({
    name,
    datatype: 'FP32',
    shape: [values.length],
    contents: { fp32_contents: values },
  })

  it('tells of server, model, repository and statistics, on either port', async () => {
    for (const port of [served.port, served.grpcPort!]) {
      expect(await ask('ServerLive', {}, port)).toEqual({ live: true })
      expect(await ask('ServerReady', {}, port)).toEqual({ ready: true })
      expect(await ask('ModelReady', { name: 'm' }, port)).toEqual({ ready: true })
    }
    expect(await ask('ServerMetadata', {})).toMatchObject({ name: 'modelwright' })
    expect(await ask('ModelMetadata', { name: 'm', version: '1' })).toMatchObject({
      inputs: [
        { name: 'a', datatype: 'FP32', shape: ['-1'] },
        { name: 'b', datatype: 'FP32', shape: ['-1'] },
      ],
    })
    expect(await ask('RepositoryIndex', {})).toMatchObject({ models: [{ name: 'm', version: '1', state: 'READY' }] })
    expect(await ask('ModelStatistics', {})).toMatchObject({ model_stats: [{ name: 'm' }] })
  })

  it('tells of the configuration by Triton’s numbers', async () => {
    expect(await ask('ModelConfig', { name: 'm' })).toMatchObject({
      config: {
        name: 'm',
        backend: 'onnxruntime',
        input: [
          { name: 'a', data_type: 11, dims: ['-1'] },
          { name: 'b', data_type: 11, dims: ['-1'] },
        ],
      },
    })
    expect(await refusal('ModelConfig', { name: 'other' })).toEqual([status.NOT_FOUND, expect.any(String)])
  })

  it('tells those who look after processes whether it serves, without a token', async () => {
    const serving = { status: 'SERVING' }
    expect(await ask('Check', {})).toEqual(serving)
    expect(await ask('Check', { service: 'inference.GRPCInferenceService' }, guarded.port)).toEqual(serving)
    expect(await ask('Check', { service: 'm' })).toEqual(serving)
    expect(await refusal('Check', { service: 'other' })).toEqual([status.NOT_FOUND, expect.any(String)])
  })

  it('answers lists with lists, and raw bytes with raw bytes', async () => {
    const lists = await ask('ModelInfer', {
      model_name: 'm',
      id: 'g',
      inputs: [column('a', [5, 6]), column('b', [1, 2])],
    })
    expect(lists).toMatchObject({
      model_name: 'm',
      id: 'g',
      outputs: [
        { name: 's', shape: ['2'], contents: { fp32_contents: [6, 8] } },
        { name: 'd', contents: { fp32_contents: [4, 4] } },
      ],
    })
    const facts = { datatype: 'FP32', shape: [1] }
    const raw = await ask('ModelInfer', {
      model_name: 'm',
      inputs: [
        { name: 'a', ...facts },
        { name: 'b', ...facts },
      ],
      outputs: [{ name: 'd' }],
      raw_input_contents: [floats(3), floats(1)],
    })
    expect(raw).toMatchObject({ outputs: [{ name: 'd' }], raw_output_contents: [floats(2).toString('base64')] })
  })

  it('keeps every digit of 64-bit integers', async () => {
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer sesame')
    const contents = { int64_contents: [{ low: 1, high: 0x200000, unsigned: false }, -5] }
    const question = { model_name: 'm', inputs: [{ name: 'x', datatype: 'INT64', shape: [1, 2], contents }] }
    expect(await ask('ModelInfer', question, guarded.port, metadata)).toMatchObject({
      outputs: [{ contents: { int64_contents: ['9007199254740993', '-5'] } }],
    })
  })

  it('refuses in the words of gRPC', async () => {
    expect(await refusal('ModelReady', { name: 'other' })).toEqual([status.NOT_FOUND, expect.stringContaining('other')])
    const wrong = [
      { inputs: [] },
      { inputs: [column('a', [1])] },
      { inputs: [column('a', [1]), { ...column('b', [1]), shape: [2] }] },
      { inputs: [column('a', [1]), { ...column('b', [1]), shape: [-1] }] },
      { inputs: [column('a', [1]), { ...column('b', [1]), datatype: 'FP31' }] },
      { inputs: [column('a', [1]), column('b', [1])], outputs: [{ name: 'z' }] },
      { inputs: [column('a', [1]), column('b', [1])], raw_input_contents: [floats(1)] },
      { inputs: [column('a', [1]), column('b', [1])], raw_input_contents: [floats(1), Buffer.alloc(3)] },
    ]
    for (const one of wrong)
      expect(await refusal('ModelInfer', { model_name: 'm', ...one })).toEqual([
        status.INVALID_ARGUMENT,
        expect.any(String),
      ])
    expect(await refusal('ServerLive', {}, guarded.port)).toEqual([status.UNAUTHENTICATED, expect.any(String)])
  })

  it('unloads and loads', async () => {
    await ask('RepositoryModelUnload', { model_name: 'm' })
    // False is proto3's default, which is not sent.
    expect((await ask('ModelReady', { name: 'm' })).ready ?? false).toBe(false)
    expect(await refusal('ModelInfer', { model_name: 'm', inputs: [column('a', [1])] })).toMatchObject([
      status.UNAVAILABLE,
      expect.any(String),
    ])
    expect(await ask('Check', {})).toEqual({ status: 'NOT_SERVING' })
    await ask('RepositoryModelLoad', { model_name: 'm' })
    expect(await ask('ModelReady', { name: 'm' })).toEqual({ ready: true })
  })
})
