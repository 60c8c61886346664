import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixture, post, serveModel } from './serve-model.ts'

const names = ['double', 'two', 'iris', 'zipmap', 'text', 'long'] as const
type Name = (typeof names)[number]

// Graphs whose answers are known; the forms of the answers are those of mlflow.onnx behind `mlflow models serve`.
describe('MLflow’s protocol before a graph', () => {
  const served = {} as Record<Name, Awaited<ReturnType<typeof serveModel>>>
  beforeAll(async () => {
    for (const name of names) served[name] = await serveModel(fixture(`onnx-${name}`))
  })
  afterAll(() => Promise.all(Object.values(served).map((one) => one.stop())))

  const score = async (model: Name, body: unknown, type = 'application/json') => {
    const response = await post(`${served[model].url}/invocations`, body, { 'content-type': type })
    return [response.status, await response.json()]
  }
  const answers = async (model: Name, body: unknown, predictions: unknown, type?: string) =>
    expect(await score(model, body, type)).toEqual([200, { predictions }])

  it('answers lists by outputs under their names', async () => {
    await answers('double', { inputs: [[1, 2, 3, 4.5]] }, { y: [[2, 4, 6, 9]] })
    await answers('double', { instances: [[1, 2, 3, 4]] }, { y: [[2, 4, 6, 8]] })
    await answers('double', { inputs: { x: [[1, 2, 3, 4]] } }, { y: [[2, 4, 6, 8]] })
    await answers('two', { inputs: { a: [5, 6], b: [1, 2] } }, { s: [6, 8], d: [4, 4] })
    await answers('text', { inputs: ['a', 'é'] }, { y: ['a', 'é'] })
  })

  it('answers tables by records where there is no signature of tensors', async () => {
    await answers('two', { dataframe_records: [{ a: 5, b: 1, more: 'x' }] }, [{ s: 6, d: 4 }])
    await answers('two', { dataframe_split: { columns: ['b', 'a'], data: [[1, 5]] } }, [{ s: 6, d: 4 }])
    await answers(
      'two',
      'a,b\n5,1\n6,2\n',
      [
        { s: 6, d: 4 },
        { s: 8, d: 4 },
      ],
      'text/csv',
    )
    await answers(
      'double',
      { dataframe_split: { columns: ['p', 'q', 'r', 's'], data: [[1, 2, 3, 4]] } },
      { y: [[2, 4, 6, 8]] },
    )
  })

  it('makes the matrix of a graph from the columns of the signature, and casts as MLflow does', async () => {
    const columns = ['sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)']
    const row = [5.1, 3.5, 1.4, 0.2]
    const iris = [{ label: 0, probabilities: expect.any(Array) }]
    await answers('iris', { dataframe_split: { columns, data: [row] } }, iris)
    await answers('iris', { dataframe_split: { columns: columns.toReversed(), data: [row.toReversed()] } }, iris)
    await answers('iris', { inputs: Object.fromEntries(columns.map((name, at) => [name, [row[at]]])) }, iris)
    await answers('iris', { dataframe_split: { columns, data: [row.map(String)] } }, iris)
    expect(await score('iris', { dataframe_split: { columns: columns.slice(1), data: [row.slice(1)] } })).toMatchObject(
      [400, { error_code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining('sepal length (cm)') }],
    )
  })

  it('answers the probabilities of skl2onnx’s list of maps: as a tensor, and to MLflow by class', async () => {
    const row = [5.1, 3.5, 1.4, 0.2]
    const body = { inputs: [{ name: 'X', shape: [1, 4], datatype: 'FP32', data: row }] }
    const inferred = await post(`${served.zipmap.url}/v2/models/m/infer`, body)
    const { outputs } = (await inferred.json()) as { outputs: { name: string; shape: number[]; data: number[] }[] }
    expect(outputs).toMatchObject([
      { name: 'output_label', data: [0] },
      { name: 'output_probability', datatype: 'FP32', shape: [1, 3] },
    ])
    const probabilities = outputs[1]!.data
    expect(probabilities.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 5)
    await answers('zipmap', { dataframe_split: { columns: ['a', 'b', 'c', 'd'], data: [row] } }, [
      { output_label: 0, output_probability: { 0: probabilities[0], 1: probabilities[1], 2: probabilities[2] } },
    ])
  })

  it('refuses in MLflow’s form', async () => {
    expect(await score('two', { inputs: [1, 2] })).toMatchObject([400, { error_code: 'BAD_REQUEST' }])
    expect(await score('two', { inputs: { a: [1], z: [1] } })).toMatchObject([400, { error_code: 'BAD_REQUEST' }])
    expect(await score('double', { inputs: [[1, 2]] })).toMatchObject([400, { error_code: 'INVALID_PARAMETER_VALUE' }])
    expect(await score('long', { inputs: [[1.5, 2]] })).toMatchObject([400, { error_code: 'BAD_REQUEST' }])
    expect(await score('double', 'no table', 'application/vnd.apache.parquet')).toMatchObject([
      400,
      { error_code: 'BAD_REQUEST' },
    ])
  })
})
