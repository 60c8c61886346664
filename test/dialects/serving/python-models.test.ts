import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PythonSession, testPython } from '../../support/python.ts'
import { binaryAnswer, binaryRequest, type InferAnswer, post, serveModel } from './serve-model.ts'

const python = testPython()
const maker = fileURLToPath(new URL('make_models.py', import.meta.url))

type Running = Awaited<ReturnType<typeof serveModel>>
const names = ['iris', 'echo', 'echo-columns', 'greedy', 'block', 'doubles', 'hinted'] as const
type Name = (typeof names)[number]

describe.skipIf(!python)('models in Python', () => {
  let folder: string
  let session: PythonSession
  const served = {} as Record<Name, Running>
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mw-python-models-'))
    session = new PythonSession(python!, { MODELS: folder })
    await session.run(`exec(open(${JSON.stringify(maker)}).read())`)
    // Each import of mlflow takes seconds of a core: two at a time.
    for (const pair of [names.slice(0, 2), names.slice(2, 4), names.slice(4, 6), names.slice(6)])
      await Promise.all(
        pair.map(async (name) => {
          // Only the greedy one is to be given up.
          const timeoutMs = name === 'greedy' ? 8_000 : 120_000
          served[name] = await serveModel(join(folder, name), { pythonPath: python!, timeoutMs })
        }),
      )
  })
  afterAll(async () => {
    await Promise.all(Object.values(served).map((one) => one.stop()))
    await session?.end()
    rmSync(folder, { recursive: true, force: true })
  })

  const score = async (model: Name, body: unknown, type = 'application/json') => {
    const response = await post(`${served[model].url}/invocations`, body, { 'content-type': type })
    return { status: response.status, body: await response.text() }
  }
  /** Loading may take longer than a request may wait. */
  const ready = async (model: Name) => {
    while ((await fetch(`${served[model].url}/ping`)).status !== 200) await sleep(20)
  }
  const infer = (model: Name, body: unknown, headers: Record<string, string> = {}) =>
    post(`${served[model].url}/v2/models/m/infer`, body, headers)
  const outputs = async (model: Name, inputs: object[], more: object = {}) => {
    const response = await infer(model, { inputs, ...more })
    const answer = (await response.json()) as InferAnswer
    expect([response.status, answer]).toEqual([200, answer])
    return answer.outputs
  }

  // What MLflow's own server does with the same bytes, in its own code, is the measure.
  const ofMlflow = (model: Name, bodies: [string, string][]) =>
    session.run<{ status: number; body: string; type: string }[]>(`
      import json, mlflow, os
      from mlflow.exceptions import MlflowException
      from mlflow.pyfunc import scoring_server
      loaded = mlflow.pyfunc.load_model(os.path.join(os.environ["MODELS"], ${JSON.stringify(model)}))
      result = []
      for body, kind in json.loads(${JSON.stringify(JSON.stringify(bodies))}):
          try:
              answer = scoring_server.invocations(body.encode(), kind, loaded, loaded.metadata.get_input_schema())
              result.append({"status": answer.status, "body": answer.response, "type": answer.mimetype})
          except MlflowException as error:
              result.append({"status": error.get_http_status_code(), "body": error.serialize_as_json(), "type": "application/json"})
    `)

  const same = async (model: Name, bodies: unknown[], type = 'application/json') => {
    const texts = bodies.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
    const theirs = await ofMlflow(
      model,
      texts.map((text) => [text, type]),
    )
    for (const [index, text] of texts.entries()) {
      const ours = await score(model, text, type)
      expect(comparable(text, ours)).toEqual(comparable(text, theirs[index]!))
    }
  }

  const columns = ['sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)']
  const rows = [
    [5.1, 3.5, 1.4, 0.2],
    [6.0, 3.0, 5.0, 2.0],
  ]
  const records = rows.map((row) => Object.fromEntries(row.map((value, at) => [columns[at], value])))

  it('answers every form of MLflow as MLflow does', () =>
    same('iris', [
      { dataframe_split: { columns, data: rows } },
      { dataframe_split: { columns, data: rows, index: [7, 8] } },
      { dataframe_records: records },
      { instances: records },
      { inputs: Object.fromEntries(columns.map((name, at) => [name, rows.map((row) => row[at])])) },
      { inputs: records },
      { dataframe_records: records, other: 3 },
      { dataframe_records: records, params: null },
      { dataframe_records: [{ ...records[0], surplus: 'x' }] },
      { dataframe_split: { columns: columns.toReversed(), data: rows.map((row) => row.toReversed()) } },
      { dataframe_split: { columns, data: [[5, 3, 1, 0]] } },
      { dataframe_split: { columns: [...columns, 'surplus'], data: [[5, 3, 1, 0, 9]] } },
      { dataframe_split: { columns, data: [[5, 3, null, 0]] } },
      { dataframe_split: { columns, data: [[5, '3', 1, true]] } },
    ]))

  it('makes the same table of numbers as MLflow does', () =>
    same('doubles', [
      { dataframe_split: { columns: ['a', 'b'], data: [[1, 2.5]] } },
      { dataframe_split: { columns: ['b', 'a'], data: [[1, 2.5]] } },
      '{"dataframe_split": {"columns": ["a", "b"], "data": [[123456789012345678901234567890, 1e400]]}}',
      { dataframe_records: [{ a: 1, b: 2 }] },
      {
        dataframe_records: [
          { b: 1, a: 2 },
          { a: 3, b: 4 },
        ],
      },
      { dataframe_records: [{ a: 1, b: null }] },
      { dataframe_records: [{ a: 1 }] },
      { dataframe_records: [{ a: 1, b: 2, c: 'x' }] },
      { dataframe_records: [{ a: 1, b: 'x' }] },
    ]))

  it('refuses what MLflow refuses, with its status and code', () =>
    same('iris', [
      '',
      '{',
      '[]',
      '3',
      {},
      { predictions: [] },
      { inputs: [], instances: [] },
      { dataframe_split: [] },
      { dataframe_split: { columns } },
      { dataframe_split: { columns, data: rows, more: 1 } },
      { dataframe_split: { columns, data: [[1, 2]] } },
      { dataframe_records: {} },
      { dataframe_records: [{ [columns[0]!]: 1 }] },
      { dataframe_records: [{ ...records[0], [columns[0]!]: 'tall' }] },
      { inputs: [[1, 2, 3]] },
      { instances: [1, 2] },
    ]))

  it('takes what the type hints of a model say in one form only, as MLflow does', () =>
    same('hinted', [
      { inputs: ['a', 'b'] },
      { inputs: [] },
      { inputs: [1] },
      { inputs: 'a' },
      { instances: ['a'] },
      { dataframe_records: [{ 0: 'a' }] },
      { dataframe_split: { columns: ['0'], data: [['a']] } },
    ]))

  it('casts on purpose what MLflow casts', () =>
    same('echo-columns', [
      { dataframe_records: [{ number: 1, whole: 2, yes: true, text: 'a' }] },
      { dataframe_records: [{ number: 1.5, whole: 1.5, yes: 'yes', text: 5 }] },
      { dataframe_records: [{ number: null, whole: 2, yes: false, text: 'a' }] },
      { dataframe_records: [{ number: 1, whole: null, yes: false, text: 'a' }] },
      { dataframe_records: [{ number: 1, whole: 'many', yes: false, text: 'a' }] },
      { dataframe_records: [{ number: 1, whole: 2, yes: true, text: 'a' }], params: { unknown: 3 } },
      { dataframe_records: [{ number: 1, whole: 2, yes: true, text: 'a' }], params: { factor: 2 } },
      { dataframe_records: [{ number: 1, whole: 2, yes: true, text: 'a' }], params: { factor: 'much' } },
    ]))

  it('takes blocks of numbers as MLflow does, and all that is not quite one', () => {
    const block = [
      [
        [1, 2.5],
        [-3, 1e-7],
      ],
    ]
    return same('block', [
      { instances: block },
      { inputs: block },
      { inputs: [...block, ...block], params: { factor: 3 } },
      { inputs: block, params: null, other: 1 },
      { inputs: block, params: { factor: 'much' } },
      { inputs: block, instances: block },
      { inputs: block, dataframe_records: [] },
      '{"inputs": [[[1e400, 123456789012345678901234567890], [0.1, 3.4e39]]]}',
      '\ufeff{"inputs": [[[1, 2], [3, 4]]]}',
      '{"inputs": [[[NaN, 2], [3, 4]]]}',
      { inputs: [[[null, 2], block[0]![1]]] },
      { inputs: [[[true, 2], block[0]![1]]] },
      { inputs: [[['1', 2], block[0]![1]]] },
      { inputs: [[[1], [2, 3]]] },
      { inputs: [[[1, 2, 3, 4]]] },
      { inputs: [...block, 5] },
      { inputs: [[1, 2]] },
      { inputs: [] },
      { inputs: 1 },
      { inputs: block, prompt: 'x' },
    ])
  })

  it('reads CSV as MLflow does', () =>
    same(
      'iris',
      [[columns.join(','), ...rows.map((row) => row.join(','))].join('\n'), columns.join(',')],
      'text/csv; charset=UTF-8',
    ))

  it('passes chat and completion requests through and answers them without "predictions"', () =>
    same('echo', [
      { messages: [{ role: 'user', content: 'hi' }] },
      { prompt: 'hi', max_tokens: 3 },
      { input: ['a', 'b'] },
    ]))

  it('says 415 in plain text, 405 and 404', async () => {
    for (const type of [
      'application/xml',
      'application/json; charset=latin-1',
      'application/json; version=2',
      'text/csv; header=no',
    ])
      expect(await score('iris', '{}', type)).toMatchObject({ status: 415 })
    expect((await fetch(`${served.iris.url}/invocations`)).status).toBe(405)
    expect((await fetch(`${served.iris.url}/elsewhere`)).status).toBe(404)
    for (const path of ['/ping', '/health']) expect(await (await fetch(served.iris.url + path)).text()).toBe('\n')
    expect(await (await fetch(`${served.iris.url}/version`)).text()).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('answers mlflow’s deployments client', async () => {
    const answered = await session.run(`
      from mlflow.deployments import get_deploy_client
      result = dict(get_deploy_client(${JSON.stringify(served.echo.url)}).predict(endpoint="m", inputs={"instances": [1, 2]}))
    `)
    expect(answered).toEqual({ predictions: [1, 2] })
  })

  it('reads Parquet', async () => {
    const bytes = Buffer.from(
      await session.run<string>(`
        import base64, io, pandas
        table = io.BytesIO()
        pandas.DataFrame(${JSON.stringify(rows)}, columns=${JSON.stringify(columns)}).to_parquet(table)
        result = base64.b64encode(table.getvalue()).decode()
      `),
      'base64',
    )
    const answer = await score('iris', bytes, 'application/vnd.apache.parquet')
    expect(answer).toEqual({ status: 200, body: '{"predictions": [0, 2]}' })
    expect((await score('iris', 'no table', 'application/vnd.apache.parquet')).status).toBe(400)
  })

  it.each([
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'FP32',
    'FP64',
    'BYTES',
  ])('gives a model without a signature the array of %s that was sent', async (datatype) => {
    const data = datatype === 'BOOL' ? [true, false] : datatype === 'BYTES' ? ['a', 'é'] : [0, 100]
    expect(await outputs('echo', [{ name: 'x', shape: [2, 1], datatype, data }])).toEqual([
      { name: 'output-0', datatype, shape: [2, 1], data },
    ])
  })

  it('makes a table of several columns, and keeps their shape', async () => {
    for (const shape of [[2], [2, 1]]) {
      const inputs = [
        { name: 'a', shape, datatype: 'FP64', data: [1.5, 2] },
        { name: 'b', shape, datatype: 'BYTES', data: ['x', 'y'] },
      ]
      expect(await outputs('echo', inputs)).toEqual(inputs)
    }
  })

  it('maps tensors to the columns of the signature, casting only what loses nothing', async () => {
    const column = (name: string, datatype: string, data: unknown[]) => ({ name, shape: [2], datatype, data })
    const inputs = [
      column('text', 'BYTES', ['a', 'b']),
      column('number', 'INT32', [1, 2]),
      column('whole', 'INT64', [3, 4]),
      column('yes', 'BOOL', [true, false]),
    ]
    expect(await outputs('echo-columns', inputs)).toEqual([
      column('number', 'FP64', [1, 2]),
      column('whole', 'INT64', [3, 4]),
      column('yes', 'BOOL', [true, false]),
      column('text', 'BYTES', ['a', 'b']),
    ])
    for (const wrong of [
      column('whole', 'FP64', [3.5, 4]),
      column('number', 'BYTES', ['1', '2']),
      { ...column('whole', 'INT64', [3]), shape: [1] },
    ]) {
      const response = await infer('echo-columns', {
        inputs: [...inputs.filter(({ name }) => name !== wrong.name), wrong],
      })
      expect([response.status, await response.json()]).toEqual([400, { error: expect.stringContaining(wrong.name) }])
    }
  })

  it('takes one table of numbers for columns of numbers, in JSON and in binary', async () => {
    const given = { name: 'anything', shape: [2, 4], datatype: 'FP64' }
    const answer = { name: 'output-0', datatype: 'INT64', shape: [2], data: [0, 2] }
    expect(await outputs('iris', [{ ...given, data: rows }])).toEqual([answer])
    const { body, headers } = binaryRequest(
      {
        inputs: [{ ...given, parameters: { binary_data_size: 64 } }],
        parameters: { binary_data_output: true },
      },
      Buffer.from(Float64Array.from(rows.flat()).buffer),
    )
    const { rest } = await binaryAnswer(await infer('iris', body, headers))
    expect([...new BigInt64Array(new Uint8Array(rest).buffer)]).toEqual([0n, 2n])
  })

  it('says 504 of a model that takes too long, kills it, and answers the next', async () => {
    const [slow, waiting] = await Promise.all([
      score('greedy', { inputs: ['sleep'] }),
      score('greedy', { inputs: ['fine'] }),
    ])
    expect(slow).toMatchObject({ status: 504, body: expect.stringContaining('time') })
    expect([504, 200, 503]).toContain(waiting.status)
    await ready('greedy')
    const later = await infer('greedy', { inputs: [{ name: 'x', shape: [1], datatype: 'BYTES', data: ['fine'] }] })
    expect(later.status).toBe(200)
  })

  it('tells of a model that dies or fails on an input, and answers the next', async () => {
    expect(await score('greedy', { inputs: ['die'] })).toMatchObject({ status: 503 })
    await ready('greedy')
    expect(await score('greedy', { inputs: ['fine'] })).toMatchObject({ status: 200 })
    expect(await score('greedy', { inputs: ['fail'] })).toMatchObject({
      status: 400,
      body: expect.stringContaining('BAD_REQUEST'),
    })
    const response = await infer('greedy', { inputs: [{ name: 'x', shape: [1], datatype: 'BYTES', data: ['fail'] }] })
    expect([response.status, await response.json()]).toEqual([400, { error: expect.stringContaining('no mood') }])
  })

  it('runs a model in a process that sees none of this one’s variables', async () => {
    process.env.MW_TEST_SECRET = 'hidden'
    const { body } = await score('greedy', { inputs: ['environment'] })
    expect(body).toContain('PATH')
    expect(body).not.toContain('MW_TEST_SECRET')
  })

  it('runs it where it sees no other process and can end none, and has no network unless it was given one', async () => {
    const { body } = await score('greedy', { inputs: ['processes'] })
    expect(JSON.parse(body)).toEqual({ predictions: ['1', '2'] })
    for (const pid of [process.pid, process.ppid])
      expect(await score('greedy', { inputs: [`end ${pid}`] })).toMatchObject({
        status: 400,
        body: expect.stringContaining('No such process'),
      })
    const connect = { inputs: [`connect ${new URL(served.echo.url).port}`] }
    expect(await score('greedy', connect)).toMatchObject({ status: 400, body: expect.stringContaining('refused') })
    const given = await serveModel(join(folder, 'greedy'), { pythonPath: python!, network: true })
    const response = await post(`${given.url}/invocations`, connect, { 'content-type': 'application/json' })
    expect([response.status, await response.json()]).toEqual([200, { predictions: connect.inputs }])
    await given.stop()
  })

  it('says what is missing where a model needs a package that is not there', async () => {
    await expect(serveModel(join(folder, 'needy'), { pythonPath: python! })).rejects.toThrow(/no_such_package_anywhere/)
    await expect(serveModel(join(folder, 'echo'), { pythonPath: '/no/python' })).rejects.toThrow(
      /Python could not be started/,
    )
  })
})

/** Predictions whole; of refusals the status and the code, because MLflow's words carry tracebacks and Python's own. */
function comparable(request: string, { status, body }: { status: number; body: string }): unknown {
  // MLflow writes NaN and Infinity, which are no JSON; null is said here.
  const answered: unknown = JSON.parse(body.replaceAll(/\bNaN\b|-?\bInfinity\b/g, 'null'))
  return status === 200
    ? { request, status, answered }
    : { request, status, code: (answered as { error_code: string }).error_code }
}
