import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ServedVersion } from '../../src/serving/gateway-state.ts'
import { GatewayBench, until } from '../support/gateway-bench.ts'
import { post, startLoad } from '../support/serving-load.ts'

// Made by test/fixtures/converted/make_fixture.py; what is expected is scikit-learn's own answer.
const converted = fileURLToPath(new URL('../fixtures/converted/', import.meta.url))
const { labels } = JSON.parse(readFileSync(`${converted}expected.json`, 'utf8')) as { labels: string[] }
const rows = readFileSync(`${converted}rows.csv`, 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split(','))
  .map(([id, city, age, income, member]) => ({
    ...{ id, city, age: Number(age), income: Number(income), member: member === 'True' },
  }))
const body = JSON.stringify({ dataframe_records: rows })
const byGraph = JSON.stringify(labels)
const byPython = JSON.stringify(rows.map(() => 'python'))

describe('a version that has an ONNX form', () => {
  let bench: GatewayBench
  let version: ServedVersion
  beforeEach(() => {
    bench = new GatewayBench()
    // A light worker stands for the original, so that one sees which of them answered.
    version = bench.light('python', 1)
  })
  afterEach(() => bench.close())

  const withGraph = (graphPath = `${converted}model`): ServedVersion => ({ ...version, graphPath })
  const want = (target: ServedVersion) => bench.want(bench.endpoint('e', [[target, 1]]))
  const ready = () => until('it is ready', () => bench.seen('e', 1)?.state === 'ready')
  const answer = async () => {
    const { status, text } = await post(bench.url('e'), body)
    return status === 200 ? JSON.stringify((JSON.parse(text) as { predictions: unknown }).predictions) : text
  }

  it('is computed by the graph, and says so', async () => {
    want(withGraph())
    await bench.start()
    await ready()
    expect(await answer()).toBe(byGraph)
    expect(bench.seen('e', 1)).toMatchObject({ computes: 'onnx', digest: version.digest })
    expect(bench.seen('e', 1)).not.toHaveProperty('workers')
  })

  it('is computed by Python where the form is not whole, which says why', async () => {
    want(withGraph(join(bench.dataDir, 'nowhere')))
    await bench.start()
    await ready()
    expect(await answer()).toBe(byPython)
    expect(bench.seen('e', 1)).toMatchObject({
      computes: 'python',
      computesReason: expect.stringContaining('Its ONNX form cannot be read: There is no MLflow model at'),
    })
  })

  it('is computed by Python where the graph cannot be loaded, which says why, and no request fails', async () => {
    const broken = join(bench.dataDir, 'broken')
    mkdirSync(broken)
    cpSync(`${converted}model`, broken, { recursive: true })
    writeFileSync(join(broken, 'model.onnx'), 'no graph')
    const warned: object[] = []
    const log = { info: () => undefined, warn: (facts: object) => warned.push(facts), error: () => undefined }
    want(withGraph(broken))
    await bench.start({ log })
    expect(await answer()).toBe(byPython)
    await ready()
    expect(bench.seen('e', 1)).toMatchObject({
      computes: 'python',
      computesReason: expect.stringContaining('The ONNX graph cannot be loaded'),
    })
    expect(warned).toContainEqual(expect.objectContaining({ reason: expect.stringContaining('cannot be loaded') }))
  })

  it('changes its form with what is wished for, under load, and no request fails', async () => {
    want(version)
    await bench.start()
    await ready()
    expect(await answer()).toBe(byPython)
    const load = startLoad(bench.url('e'), {
      ...{ closed: 4, perSecond: 0, deadlineMs: 120_000, name: 'r' },
      row: (id) => ({ ...rows[0]!, id }),
    })
    want(withGraph())
    await until('the graph computes it', () => bench.seen('e', 1)?.computes === 'onnx')
    expect(await answer()).toBe(byGraph)
    want(version)
    await until('Python computes it', () => bench.seen('e', 1)?.computes === 'python')
    expect(await answer()).toBe(byPython)
    const { failed, answers } = await load.end()
    expect(failed).toEqual([])
    expect([...answers.keys()].toSorted()).toEqual([labels[0], 'python'].toSorted())
  })
})
