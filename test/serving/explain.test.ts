import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/kernel/digest.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { type RunningGateway, runGateway } from '../../src/serving/gateway/index.ts'
import type { GatewayDesired } from '../../src/serving/gateway-state.ts'
import { type InferAnswer, post, serveModel } from '../dialects/serving/serve-model.ts'
import { PythonSession, testPython } from '../support/python.ts'

const fixtures = fileURLToPath(new URL('../fixtures/explain', import.meta.url))
const json = { 'content-type': 'application/json' }
const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
}
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const columns = ['a', 'b', 'c', 'd']

describe('explanations at the gateway', () => {
  let dataDir: string
  let gateway: RunningGateway
  const stop = new AbortController()
  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'mw-explain-'))
    mkdirSync(join(dataDir, 'gateway'))
    const endpoint = (environment: string, model: string) => ({
      project: 'p',
      environment,
      model,
      versions: [
        {
          weight: 1,
          target: {
            model,
            version: 3,
            digest: digestOf(model),
            modelPath: join(fixtures, model),
            pythonPath: 'no-python',
            inputs: { columns: [], checks: [], key: 'id' },
          },
        },
      ],
    })
    const desired: GatewayDesired = {
      revision: 1,
      endpoints: [endpoint('production', 'lightgbm'), endpoint('staging', 'neural')],
    }
    writeFileSync(join(dataDir, 'gateway', 'desired.json'), JSON.stringify(desired))
    gateway = await runGateway({
      dataDir,
      host: '127.0.0.1',
      port: 0,
      log: silent,
      clock,
      signal: stop.signal,
      seed: 1,
    })
  })
  afterAll(async () => {
    stop.abort()
    await gateway?.finished
    rmSync(dataDir, { recursive: true, force: true })
  })

  const rows = (count: number) => Array.from({ length: count }, (_, row) => columns.map((_, at) => Math.sin(row + at)))
  const ask = async (environment: string, body: object) => {
    const response = await post(`${gateway.url}/endpoints/p/${environment}/invocations`, body, json)
    return {
      status: response.status,
      id: response.headers.get('x-modelwright-prediction-id'),
      body: await response.json(),
    }
  }

  it('come beside the prediction, with its id, and are not written down as its output', async () => {
    const split = { columns: ['id', ...columns], data: rows(2).map((row, at) => [`s${at}`, ...row]) }
    const answered = await ask('production', { dataframe_split: split, explain: true })
    expect(answered).toMatchObject({
      status: 200,
      body: { predictions: [expect.any(Number), expect.any(Number)], explained_by: { method: 'tree path-dependent' } },
    })
    const { predictions, explanations } = answered.body as {
      predictions: number[]
      explanations: { base: number; values: Record<string, number> }[]
    }
    for (const [row, { base, values }] of explanations.entries()) {
      expect(Object.keys(values)).toEqual(columns)
      expect(base + Object.values(values).reduce((sum, one) => sum + one, 0)).toBeCloseTo(predictions[row]!, 6)
    }
    const record = await journalled(answered.id!)
    expect(record).toContain('"outcome":"answered"')
    expect(record).not.toContain('explanations')
  })

  it('come as outputs of the Open Inference Protocol', async () => {
    const inputs = [{ name: 'x', shape: [2, 4], datatype: 'FP64', data: rows(2) }]
    const response = await post(`${gateway.url}/v2/models/p.production/infer`, {
      inputs,
      parameters: { explain: true },
    })
    const { outputs } = (await response.json()) as InferAnswer
    expect(outputs.map(({ name }) => name)).toEqual(['output-0', 'explanations', 'base_values', 'explanation_features'])
  })

  it('let predictions pass while they are made', async () => {
    let made = false
    const explained = ask('staging', { dataframe_split: { columns, data: rows(1_000) }, explain: true }).then(
      ({ status }) => {
        made = true
        return status
      },
    )
    let passed = 0
    for (; !made; passed++) {
      const { status } = await ask('staging', { dataframe_split: { columns, data: rows(1) } })
      expect(status).toBe(200)
    }
    expect(await explained).toBe(200)
    // The first may have come before the explanation, and the last after it.
    expect(passed).toBeGreaterThan(5)
  })

  it('that are asked of too many rows cost the id of the prediction nothing', async () => {
    const answered = await ask('production', { dataframe_split: { columns, data: rows(1_001) }, explain: true })
    expect(answered).toMatchObject({ status: 413, id: expect.any(String), body: { error_code: 'BAD_REQUEST' } })
  })

  async function journalled(id: string): Promise<string> {
    const folder = join(dataDir, 'gateway', 'journal')
    for (let wait = 0; wait < 600; wait++) {
      const lines = readdirSync(folder).flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
      const line = lines.find((one) => one.includes(id))
      if (line !== undefined) return line
      await sleep(50)
    }
    throw new Error(`no record of ${id}`)
  }
})

const python = testPython()

describe.skipIf(!python)('explanations of models in Python', () => {
  let folder: string
  let session: PythonSession
  const served: Record<string, Awaited<ReturnType<typeof serveModel>>> = {}
  const names = ['few', 'many', 'texts', 'bare']
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mw-explain-python-'))
    session = new PythonSession(python!, { MODELS: folder })
    await session.run(`
      import os, mlflow, numpy, pandas
      from mlflow.models import infer_signature
      from sklearn.compose import ColumnTransformer
      from sklearn.ensemble import RandomForestClassifier
      from sklearn.pipeline import make_pipeline
      from sklearn.preprocessing import OneHotEncoder
      random = numpy.random.default_rng(4)
      models = {}
      def save(name, model, rows, labels, **more):
          model.fit(rows, labels)
          mlflow.sklearn.save_model(
              model, os.path.join(os.environ["MODELS"], name), signature=infer_signature(rows, model.predict(rows)), pip_requirements=[],
              serialization_format="cloudpickle", **more)
          models[name] = (model, rows)
      few = pandas.DataFrame(random.normal(size=(80, 3)), columns=["a", "b", "c"])
      save("few", RandomForestClassifier(n_estimators=5, random_state=0), few, few.a > few.b * few.c, input_example=few[:5])
      many = pandas.DataFrame(random.normal(size=(80, 15)), columns=["f%d" % at for at in range(15)])
      save("many", RandomForestClassifier(n_estimators=5, random_state=0), many, many.f1 > many.f2, input_example=many[:5])
      texts = pandas.DataFrame({"city": numpy.array(["Rome", "Oslo"])[random.integers(0, 2, 80)], "age": random.integers(18, 90, 80)}).astype({"city": object})
      encode = ColumnTransformer([("text", OneHotEncoder(), ["city"])], remainder="passthrough")
      save("texts", make_pipeline(encode, RandomForestClassifier(n_estimators=5, random_state=0)), texts, numpy.where(texts.city == "Rome", "yes", "no"), input_example=texts[:4])
      save("bare", RandomForestClassifier(n_estimators=5, random_state=0), few, few.a > 0)
    `)
    for (const pair of [names.slice(0, 2), names.slice(2)])
      await Promise.all(
        pair.map(async (name) => (served[name] = await serveModel(join(folder, name), { pythonPath: python! }))),
      )
  })
  afterAll(async () => {
    await Promise.all(Object.values(served).map((one) => one.stop()))
    await session?.end()
    rmSync(folder, { recursive: true, force: true })
  })

  type Explained = {
    explanations: { base: Record<string, number>; values: Record<string, Record<string, number>> }[]
    explained_by: object
  }

  const ask = async (name: string) => {
    const facts = await session.run<{ split: object; probabilities: number[][] }>(`
      import json
      model, rows = models[${JSON.stringify(name)}]
      rows = rows[10:13]
      result = {"split": json.loads(rows.to_json(orient="split", index=False)), "probabilities": model.predict_proba(rows).tolist()}
    `)
    const response = await post(
      `${served[name]!.url}/invocations`,
      { dataframe_split: facts.split, explain: true },
      json,
    )
    return { ...facts, status: response.status, body: (await response.json()) as Explained }
  }
  const addsUp = ({ explanations }: Explained, probabilities: number[][]) => {
    for (const [row, { base, values }] of explanations.entries())
      for (const [at, output] of Object.keys(base).entries()) {
        const sum = Object.values(values).reduce((all, one) => all + one[output]!, base[output]!)
        expect(sum).toBeCloseTo(probabilities[row]![at]!, 9)
      }
  }

  it('are of the probabilities, exact where the features are few', async () => {
    const { body, probabilities } = await ask('few')
    expect(body.explained_by).toEqual({ method: 'all coalitions', of: 'prediction', background_rows: 5, questions: 40 })
    expect(Object.keys(body.explanations[0]!.base)).toEqual(['probability_False', 'probability_True'])
    addsUp(body, probabilities)
  })

  it('are estimated where they are many, add up nevertheless, and come out alike again', async () => {
    const { body, probabilities } = await ask('many')
    expect(body.explained_by).toMatchObject({ method: 'sampled orders', questions: 2 * 16 * 32 })
    addsUp(body, probabilities)
    expect((await ask('many')).body).toEqual(body)
  })

  it('name texts as they name numbers', async () => {
    const { body, probabilities } = await ask('texts')
    expect(Object.keys(body.explanations[0]!.values)).toEqual(['city', 'age'])
    addsUp(body, probabilities)
    expect(Math.abs(body.explanations[0]!.values.city!.probability_yes!)).toBeGreaterThan(
      Math.abs(body.explanations[0]!.values.age!.probability_yes!),
    )
  })

  it('are refused, with what to do, where no row shows what is usual', async () => {
    const { status, body } = await ask('bare')
    expect([status, body]).toMatchObject([400, { message: expect.stringContaining('input_example') }])
  })
})
