import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type InferAnswer, post, serveModel } from './serve-model.ts'

const folder = (name: string): string => fileURLToPath(new URL(`../../fixtures/explain/${name}`, import.meta.url))

type Expected = {
  rows: { columns: string[]; data: unknown[][] }
  /** One per output. */
  base: number[]
  /** [rows][features][outputs] */
  values: number[][][]
  raw: number[][]
}
const expected = JSON.parse(readFileSync(folder('expected.json'), 'utf8')) as Record<string, Expected>

const methods: Record<string, { method: string; of: string; background_rows: number }> = {
  forest: { method: 'tree path-dependent', of: 'raw score', background_rows: 0 },
  lightgbm: { method: 'tree path-dependent', of: 'raw score', background_rows: 0 },
  xgboost: { method: 'tree path-dependent', of: 'raw score', background_rows: 0 },
  histogram: { method: 'tree path-dependent', of: 'raw score', background_rows: 0 },
  boosting: { method: 'tree interventional', of: 'raw score', background_rows: 6 },
  mixed: { method: 'tree interventional', of: 'raw score', background_rows: 6 },
  linear: { method: 'linear', of: 'raw score', background_rows: 6 },
  logistic: { method: 'linear', of: 'raw score', background_rows: 6 },
  neural: { method: 'all coalitions', of: 'prediction', background_rows: 6 },
}

type Told = number | Record<string, number>
type Scored = {
  predictions: unknown[]
  explanations: { base: Told; values: Record<string, Told> }[]
  explained_by: object
}

const numbersOf = (told: Told): number[] => (typeof told === 'number' ? [told] : Object.values(told))

describe('explanations on request', () => {
  const served = {} as Record<string, Awaited<ReturnType<typeof serveModel>>>
  beforeAll(async () => {
    for (const name of Object.keys(methods)) served[name] = await serveModel(folder(name))
  })
  afterAll(() => Promise.all(Object.values(served).map((one) => one.stop())))

  for (const [name, method] of Object.entries(methods))
    it(`say of the model "${name}" what the shap package says of its original, and add up to its raw answer`, async () => {
      const { rows, base, values, raw } = expected[name]!
      const response = await post(`${served[name]!.url}/invocations`, { dataframe_split: rows, explain: true }, json)
      const answer = (await response.json()) as Scored
      expect(answer).toMatchObject({ explained_by: method })
      expect(answer.predictions).toHaveLength(rows.data.length)
      for (const [row, explained] of answer.explanations.entries()) {
        close(numbersOf(explained.base), base)
        for (const [at, column] of rows.columns.entries())
          close(numbersOf(explained.values[column]!), values[row]![at]!)
        const sums = numbersOf(explained.base).map((one, output) =>
          rows.columns.reduce((sum, column) => sum + numbersOf(explained.values[column]!)[output]!, one),
        )
        close(sums, raw[row]!)
      }
    })

  it('come as further outputs of the Open Inference Protocol, from columns as from one matrix', async () => {
    const { rows, values } = expected.lightgbm!
    const url = `${served.lightgbm!.url}/v2/models/m/infer`
    const ask = async (inputs: object[]) => {
      const response = await post(url, { inputs, parameters: { explain: true } })
      expect(response.status).toBe(200)
      const { outputs } = (await response.json()) as InferAnswer
      return Object.fromEntries(outputs.map((one) => [one.name, one]))
    }
    const shape = [rows.data.length, 4]
    const matrix = await ask([{ name: 'x', shape, datatype: 'FP64', data: rows.data }])
    const columns = rows.columns.toReversed().map((name) => ({
      name,
      shape: [rows.data.length],
      datatype: 'FP64',
      data: rows.data.map((row) => row[rows.columns.indexOf(name)]),
    }))
    const byColumn = await ask(columns)
    expect(matrix.explanation_features?.data).toEqual(['a', 'b', 'c', 'd'])
    expect(matrix.explanations).toMatchObject({ shape, datatype: 'FP64', parameters: methods.lightgbm })
    expect(matrix.base_values?.shape).toEqual([rows.data.length])
    close(matrix.explanations!.data as number[], values.flat(2))
    expect(byColumn.explanations?.data).toEqual(matrix.explanations?.data)
  })

  it('name the classes where the model has several', async () => {
    const { rows } = expected.logistic!
    const inputs = [{ name: 'x', shape: [8, 4], datatype: 'FP64', data: rows.data }]
    const response = await post(`${served.logistic!.url}/v2/models/m/infer`, { inputs, parameters: { explain: true } })
    const { outputs } = (await response.json()) as InferAnswer
    expect(outputs.find(({ name }) => name === 'explanations')?.shape).toEqual([8, 4, 3])
    expect(outputs.find(({ name }) => name === 'explanation_outputs')?.data).toEqual(['0', '1', '2'])
  })

  it('are made of as many rows as the server was told to', async () => {
    const few = await serveModel(folder('linear'), { explainRows: 2 })
    const { columns, data } = expected.linear!.rows
    const ask = (rows: number) =>
      post(`${few.url}/invocations`, { dataframe_split: { columns, data: data.slice(0, rows) }, explain: true }, json)
    expect((await ask(2)).status).toBe(200)
    expect((await ask(3)).status).toBe(413)
    await few.stop()
  })

  it('are left out where nobody asks, and refused where they cannot be had', async () => {
    const { rows } = expected.forest!
    const url = `${served.forest!.url}/invocations`
    const ask = async (more: object) => {
      const response = await post(url, { dataframe_split: rows, ...more }, json)
      return [response.status, await response.json()]
    }
    expect(await ask({ explain: false })).toEqual([200, { predictions: expect.any(Array) }])
    expect(await ask({ explain: 'yes' })).toMatchObject([400, { message: '"explain" must be true or false.' }])
    const many = { columns: rows.columns, data: Array.from({ length: 1_001 }, () => rows.data[0]) }
    expect(await ask({ dataframe_split: many, explain: true })).toMatchObject([
      413,
      { message: expect.stringContaining('up to 1000') },
    ])
  })
})

const json = { 'content-type': 'application/json' }

/** Graphs may compute in floats; the originals compute in doubles. */
function close(told: readonly number[], wanted: readonly number[]): void {
  expect(told).toHaveLength(wanted.length)
  for (const [at, value] of wanted.entries())
    expect(Math.abs(told[at]! - value), `${told[at]} for ${value}`).toBeLessThan(2e-6 * Math.max(1, Math.abs(value)))
}
