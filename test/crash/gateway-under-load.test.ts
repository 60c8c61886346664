import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/kernel/digest.ts'
import type { EndpointDesired, GatewayObserved, ServedVersion } from '../../src/serving/gateway-state.ts'
import { eventually } from '../journeys/support/eventually.ts'
import { Family } from '../journeys/support/family.ts'
import { killHard, pidOf } from './support/kill.ts'

type Told = { began: number; at: number; status: number; message: string }

const fixture = fileURLToPath(new URL('../fixtures/serving/onnx-double', import.meta.url))
const smallWorker = fileURLToPath(new URL('../serving/models/small-worker.ts', import.meta.url))
const generousMs = 30_000

// The gateway under the real supervisor, the server silent: what clients notice of kill -9 while they ask without a pause.
describe('under load', () => {
  let family: Family
  beforeAll(async () => {
    family = await Family.start()
    // It would write its own desired state: nothing is declared.
    process.kill(pidOf(family, 'server'), 'SIGSTOP')
    const worker = join(family.folder, 'python')
    writeFileSync(worker, `#!/bin/sh\nexec ${process.execPath} ${smallWorker} "$3"\n`, { mode: 0o755 })
    const model = join(family.folder, 'model')
    mkdirSync(model)
    // What importing Python packages takes elsewhere.
    writeFileSync(join(model, 'behaviour.json'), JSON.stringify({ loadMs: 3_000 }))
    want(endpoint('graph', fixture, worker), { ...endpoint('python', model, worker), serve: { spare: true } })
    await eventually('both are ready', {
      look: async () => (await status()).endpoints.every(({ versions }) => versions[0]?.state === 'ready'),
      explain: () => family.explain(),
    })
    await spareIsReady()
  })
  afterAll(async () => {
    if (!family) return
    process.kill(pidOf(family, 'server'), 'SIGCONT')
    await family.stop()
  })

  const endpoint = (environment: string, modelPath: string, pythonPath: string): EndpointDesired => {
    const inputs = { columns: [], checks: [] }
    const target: ServedVersion = {
      model: 'm',
      version: 1,
      digest: digestOf(environment),
      modelPath,
      pythonPath,
      inputs,
    }
    return { project: 'p', environment, model: 'm', versions: [{ target, weight: 1 }] }
  }
  function want(...endpoints: EndpointDesired[]): void {
    const file = join(family.dataDir, 'gateway/desired.json')
    writeFileSync(`${file}.tmp`, JSON.stringify({ revision: 1_000, endpoints }))
    renameSync(`${file}.tmp`, file)
  }
  const status = async () => (await (await fetch(`${family.gatewayUrl}/status`)).json()) as GatewayObserved
  const workers = async () =>
    (await status()).endpoints.find(({ environment }) => environment === 'python')?.versions[0]?.workers ?? []
  const spareIsReady = () =>
    eventually('the spare is ready', {
      look: async () => (await workers()).filter(({ state }) => state === 'ready').length === 2,
      explain: () => family.explain(),
    })

  const askGraph = () =>
    fetch(`${family.gatewayUrl}/endpoints/p/graph/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }] }),
    })
  const askPython = () =>
    fetch(`${family.gatewayUrl}/endpoints/p/python/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataframe_records: [{ ms: 2 }] }),
    })

  /** Eight clients that ask without a pause. */
  async function underLoad(ask: () => Promise<Response>, work: (told: Told[]) => Promise<void>): Promise<Told[]> {
    const told: Told[] = []
    let goOn = true
    const clients = Array.from({ length: 8 }, async () => {
      while (goOn) {
        const began = Date.now()
        const answer = await ask().then(
          async (response) => ({ status: response.status, message: await response.text() }),
          (error: Error) => ({ status: 0, message: String(error.cause ?? error) }),
        )
        told.push({ began, at: Date.now(), ...answer })
        // Who finds nobody there tries again, as clients do.
        if (answer.status === 0) await sleep(20)
      }
    })
    await eventually('answers flow', { look: async () => told.length > 50, explain: () => family.explain() })
    await work(told)
    goOn = false
    await Promise.all(clients)
    return told
  }
  const backAfter = async (what: string, killedAt: number, told: Told[]): Promise<number> => {
    const first = () => told.find(({ began, status }) => began > killedAt && status === 200)
    await eventually(`${what} answers again`, {
      look: async () => first() !== undefined,
      explain: () => family.explain(),
    })
    const ms = first()!.at - killedAt
    console.log(`${what} answers ${ms} ms after kill -9`)
    return ms
  }

  const answeredBy = (text: string) => (JSON.parse(text) as { predictions: { pid: number }[] }).predictions[0]!.pid

  it('a killed Python worker costs the request that it computed, and its spare goes on at once', async () => {
    let killedAt = 0
    let killed = 0
    let spare: number | undefined
    const told = await underLoad(askPython, async (seen) => {
      const before = (await workers()).map(({ pid }) => pid)
      // The one that answers now: of the others nobody would notice it.
      killed = answeredBy(await (await askPython()).text())
      expect(before).toContain(killed)
      spare = before.find((pid) => pid !== killed)
      killedAt = Date.now()
      await killHard(killed)
      await backAfter('the spare', killedAt, seen)
      await sleep(300)
    })
    const failed = told.filter(({ status: code }) => code !== 200)
    expect(failed.length).toBeLessThanOrEqual(1)
    for (const { status: code, message } of failed) {
      expect(code).toBe(503)
      expect(message).toContain("The model's process ended while it answered")
    }
    const longest = Math.max(...told.filter(({ at }) => at > killedAt).map(({ began, at }) => at - began))
    console.log(`the longest wait was ${longest} ms`)
    // Without the spare it would be a process that had yet to be loaded.
    const answers = told.filter(({ at, status: code }) => at >= killedAt && code === 200)
    expect(answers.map(({ message }) => answeredBy(message)).find((pid) => pid !== killed)).toBe(spare)
    await spareIsReady()
  })

  it('a killed gateway costs the requests that were on their way, and answers of a graph come again as soon as it listens', async () => {
    let killedAt = 0
    let backMs = 0
    const told = await underLoad(askGraph, async (seen) => {
      killedAt = Date.now()
      await killHard(pidOf(family, 'gateway'))
      backMs = await backAfter('the graph', killedAt, seen)
      await sleep(300)
    })
    expect(backMs).toBeLessThan(generousMs)
    // Nobody there, or a connection that broke: never a wrong word.
    expect(told.filter(({ status: code }) => code !== 200 && code !== 0)).toEqual([])
    expect(told.filter(({ began, status: code }) => code !== 200 && began > killedAt + backMs)).toEqual([])
    const answers = told
      .filter(({ status: code }) => code === 200)
      .map(({ message }) => JSON.parse(message).outputs[0].data)
    expect(new Set(answers.map(String))).toEqual(new Set(['2,4,6,8']))
    await eventually('Python answers again', {
      look: async () => (await askPython()).status === 200,
      explain: () => family.explain(),
    })
    console.log(`Python answers ${Date.now() - killedAt} ms after kill -9 of the gateway; its worker loads 3 s`)
  })
})
