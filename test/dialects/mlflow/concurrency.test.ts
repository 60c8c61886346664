import { Agent, request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const clients = 64
const batches = 12
const pointsPerBatch = 20

type Point = { key: string; value: number; timestamp: number; step: number }
type RunBody = {
  run: { info: { run_id: string }; data: { params?: unknown[]; metrics?: Point[]; tags?: { key: string }[] } }
}

eachDatabase(`${clients} clients at once`, (database) => {
  let server: MlflowServer
  let agent: Agent
  beforeAll(async () => {
    server = await startMlflowServer(database)
    agent = new Agent({ keepAlive: true, maxSockets: clients })
  })
  afterAll(async () => {
    agent.destroy()
    await server.close()
  })

  const call = <T>(method: string, path: string, body?: unknown): Promise<T> =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const sent = request(`${server.url}/api/2.0/mlflow/${path}`, { method, agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () =>
          response.statusCode === 200 ? resolve(JSON.parse(text) as T) : reject(new Error(`${path}: ${text}`)),
        )
      })
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  const newRun = async () => (await call<RunBody>('POST', 'runs/create', { experiment_id: '0' })).run.info.run_id
  const everyone = <T>(act: (client: number) => Promise<T>) =>
    Promise.all(Array.from({ length: clients }, (_, client) => act(client)))
  const history = (run_id: string, key: string) =>
    call<{ metrics?: Point[] }>('GET', `metrics/get-history?${new URLSearchParams({ run_id, metric_key: key })}`)

  /** A client's own series, in the order in which it is acknowledged. */
  const logSeries = async (run_id: string, key: string, client: number) => {
    for (let batch = 0; batch < batches; batch++)
      await call('POST', 'runs/log-batch', {
        run_id,
        metrics: Array.from({ length: pointsPerBatch }, (_, i) => {
          const step = batch * pointsPerBatch + i
          return { key, value: client + step / 1000, timestamp: 1_700_000_000_000 + step, step }
        }),
        params: [{ key: `${key}.batch${batch}`, value: 'there' }],
        tags: [{ key: 'last', value: key }],
      })
  }
  const steps = Array.from({ length: batches * pointsPerBatch }, (_, step) => step)

  it('writing to one run lose nothing, write nothing twice and keep each series in order', async () => {
    const run_id = await newRun()
    await everyone((client) => logSeries(run_id, `m${client}`, client))
    const { run } = await call<RunBody>('GET', `runs/get?run_id=${run_id}`)
    expect(run.data.params).toHaveLength(clients * batches)
    expect(run.data.metrics).toHaveLength(clients)
    for (let client = 0; client < clients; client++) {
      const { metrics } = await history(run_id, `m${client}`)
      expect(metrics!.map((point) => point.step)).toEqual(steps)
      expect(metrics!.map((point) => point.value)).toEqual(steps.map((step) => client + step / 1000))
    }
  })

  it('writing to one metric of one run leave the set of all their points', async () => {
    const run_id = await newRun()
    await everyone(async (client) => {
      for (let i = 0; i < batches; i++)
        await call('POST', 'runs/log-metric', { run_id, key: 'shared', value: client, timestamp: 1000 + i, step: i })
    })
    const { metrics } = await history(run_id, 'shared')
    const all = Array.from({ length: batches }, (_, i) =>
      Array.from({ length: clients }, (_, client) => ({ key: 'shared', value: client, timestamp: 1000 + i, step: i })),
    )
    expect(metrics).toEqual(all.flat())
    const { run } = await call<RunBody>('GET', `runs/get?run_id=${run_id}`)
    expect(run.data.metrics).toEqual([all.at(-1)!.at(-1)])
  })

  it('writing to runs of their own find each whole', async () => {
    const runs = await everyone(async (client) => {
      const run_id = await newRun()
      await logSeries(run_id, 'loss', client)
      return run_id
    })
    expect(new Set(runs).size).toBe(clients)
    for (const [client, run_id] of runs.entries())
      expect((await history(run_id, 'loss')).metrics!.map((point) => point.value)).toEqual(
        steps.map((step) => client + step / 1000),
      )
  })

  it('giving a param different values get one accepted, and the others are told of it', async () => {
    const run_id = await newRun()
    const outcomes = await Promise.allSettled(
      Array.from({ length: clients }, (_, client) =>
        call('POST', 'runs/log-parameter', { run_id, key: 'lr', value: String(client) }),
      ),
    )
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(String(outcome.reason)).toMatch('Changing param values is not allowed')
    const { run } = await call<RunBody>('GET', `runs/get?run_id=${run_id}`)
    const winner = outcomes.findIndex((outcome) => outcome.status === 'fulfilled')
    expect(run.data.params).toEqual([{ key: 'lr', value: String(winner) }])
  })

  it('creating the same experiment get it made once', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: clients }, () => call('POST', 'experiments/create', { name: 'the same' })),
    )
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(String(outcome.reason)).toMatch('RESOURCE_ALREADY_EXISTS')
  })
})
