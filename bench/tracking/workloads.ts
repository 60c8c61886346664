import { randomBytes } from 'node:crypto'
import { closeSync, createReadStream, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { median } from '../support/bench.ts'
import { RawClient } from './client.ts'

const api = '/api/2.0/mlflow'

type Created = { run: { info: { run_id: string } } }
type FoundRuns = { runs?: unknown[]; next_page_token?: string }

/** Milliseconds of one call of `work`. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function newRun(client: RawClient, experiment: string): Promise<string> {
  const { run } = (await client.post(`${api}/runs/create`, { experiment_id: experiment, start_time: 1 })) as Created
  return run.info.run_id
}

/** Create, 10 params, 10 metrics, update: the median of the four together. */
export async function oneRun(url: string, rounds: number): Promise<number> {
  const client = new RawClient(url, 1)
  const pairs = Array.from({ length: 10 }, (_, i) => ({ key: `p${i}`, value: `value ${i}` }))
  const metrics = Array.from({ length: 10 }, (_, i) => ({ key: `m${i}`, value: i / 3, timestamp: 1, step: 0 }))
  const times: number[] = []
  for (let round = 0; round < rounds; round++)
    times.push(
      await timed(async () => {
        const run_id = await newRun(client, '0')
        await client.post(`${api}/runs/log-batch`, { run_id, params: pairs })
        await client.post(`${api}/runs/log-batch`, { run_id, metrics })
        await client.post(`${api}/runs/update`, { run_id, status: 'FINISHED', end_time: 2 })
      }),
    )
  client.close()
  return median(times)
}

/** Points a second: batches of 100 metrics from `clients` clients, each writing a run of its own. */
export async function batches(url: string, clients: number, seconds: number): Promise<number> {
  const client = new RawClient(url, clients)
  const until = performance.now() + seconds * 1000
  let points = 0
  const began = performance.now()
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const run_id = await newRun(client, '0')
      for (let step = 0; performance.now() < until; step++) {
        const metrics = Array.from({ length: 100 }, (_, i) => ({
          key: `m${i}`,
          value: Math.sin(step + i),
          timestamp: 1_700_000_000_000 + step,
          step,
        }))
        await client.post(`${api}/runs/log-batch`, { run_id, metrics })
        points += 100
      }
    }),
  )
  const rate = points / ((performance.now() - began) / 1000)
  client.close()
  return rate
}

/** What the searched runs look like, here and where a peer is filled through its own store. */
export const runsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    params: [
      { key: 'lr', value: String((i % 7) / 10) },
      { key: 'depth', value: String(i % 5) },
      { key: 'model', value: ['cnn', 'rnn', 'mlp'][i % 3]! },
      { key: 'seed', value: String(i) },
      { key: 'opt', value: i % 2 === 0 ? 'adam' : 'sgd' },
    ],
    metrics: ['acc', 'loss', 'f1', 'auc', 'time'].map((key, j) => ({
      key,
      value: ((i * 7919 + j * 104729) % 10007) / 10007,
      timestamp: 1_700_000_000_000 + i,
      step: 0,
    })),
  }))

/** An experiment with that many runs, written through the API. */
export async function fill(url: string, count: number): Promise<string> {
  const client = new RawClient(url, 8)
  const { experiment_id } = (await client.post(`${api}/experiments/create`, { name: `search ${count}` })) as {
    experiment_id: string
  }
  const waiting = runsOf(count)
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let run = waiting.pop(); run; run = waiting.pop())
        await client.post(`${api}/runs/log-batch`, { run_id: await newRun(client, experiment_id), ...run })
    }),
  )
  client.close()
  return experiment_id
}

export type Searches = { filtered: number; twoFilters: number; latest: number; all: number }

/** Medians of first pages of 100; once all runs in pages of 1,000. */
export async function searches(url: string, experiment: string, rounds: number): Promise<Searches> {
  const client = new RawClient(url, 1)
  const search = (question: Record<string, unknown>) =>
    client.post(`${api}/runs/search`, { experiment_ids: [experiment], ...question }) as Promise<FoundRuns>
  const many = async (question: Record<string, unknown>) => {
    const times: number[] = []
    for (let round = 0; round < rounds; round++) times.push(await timed(() => search(question)))
    return median(times)
  }
  const result = {
    filtered: await many({ filter: 'metrics.acc > 0.5', order_by: ['metrics.acc DESC'], max_results: 100 }),
    twoFilters: await many({
      filter: "metrics.acc > 0.5 and params.model = 'cnn'",
      order_by: ['metrics.loss ASC'],
      max_results: 100,
    }),
    latest: await many({ max_results: 100 }),
    all: await timed(async () => {
      for (let token: string | undefined = ''; token !== undefined; )
        token = (await search({ max_results: 1000, ...(token ? { page_token: token } : {}) })).next_page_token
    }),
  }
  client.close()
  return result
}

/** A metric of `count` points: written in batches of 1,000, read in pages of 25,000, sampled for a plot (ms). */
export async function history(url: string, count: number): Promise<{ write: number; read: number; sampled: number }> {
  const client = new RawClient(url, 1)
  const run_id = await newRun(client, '0')
  const write = await timed(async () => {
    for (let from = 0; from < count; from += 1000)
      await client.post(`${api}/runs/log-batch`, {
        run_id,
        metrics: Array.from({ length: 1000 }, (_, i) => ({
          key: 'loss',
          value: Math.exp(-(from + i) / count),
          timestamp: 1_700_000_000_000 + from + i,
          step: from + i,
        })),
      })
  })
  const read = await timed(async () => {
    for (let token: string | undefined = ''; token !== undefined; )
      token = (
        (await client.get(`${api}/metrics/get-history`, {
          run_id,
          metric_key: 'loss',
          max_results: 25_000,
          ...(token ? { page_token: token } : {}),
        })) as { next_page_token?: string }
      ).next_page_token
  })
  const times: number[] = []
  for (let round = 0; round < 5; round++)
    times.push(
      await timed(() =>
        client.get('/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval', {
          run_ids: run_id,
          metric_key: 'loss',
          max_results: 320,
        }),
      ),
    )
  client.close()
  return { write, read, sampled: median(times) }
}

/** Latencies (ms) of a small request while four clients send batches of 1,000 metrics, about 80 kB each. */
export async function besideLarge(url: string, seconds: number): Promise<{ p50: number; p99: number }> {
  const heavy = new RawClient(url, 4)
  const light = new RawClient(url, 1)
  const small = await newRun(light, '0')
  const until = performance.now() + seconds * 1000
  const load = Array.from({ length: 4 }, async () => {
    const run_id = await newRun(heavy, '0')
    for (let step = 0; performance.now() < until; step++)
      await heavy.post(`${api}/runs/log-batch`, {
        run_id,
        metrics: Array.from({ length: 1000 }, (_, i) => ({ key: `m${i}`, value: i, timestamp: step, step })),
      })
  })
  const times: number[] = []
  while (performance.now() < until) times.push(await timed(() => light.get(`${api}/runs/get`, { run_id: small })))
  await Promise.all(load)
  heavy.close()
  light.close()
  times.sort((a, b) => a - b)
  return { p50: median(times), p99: times[Math.floor(times.length * 0.99)]! }
}

/** MB/s of one file of `megabytes` MB through the artifact proxy: uploaded from a file, downloaded to nowhere. */
export async function artifact(url: string, megabytes: number, folder: string): Promise<{ up: number; down: number }> {
  const path = join(folder, 'artifact.bin')
  const block = randomBytes(1_000_000)
  const file = openSync(path, 'w')
  for (let i = 0; i < megabytes; i++) writeSync(file, block.fill(i, 0, 4))
  closeSync(file)
  const target = `${url}/api/2.0/mlflow-artifacts/artifacts/0/bench/artifacts/artifact.bin`
  const up = await timed(
    () =>
      new Promise<void>((resolve, reject) => {
        const sent = request(
          target,
          { method: 'PUT', headers: { 'content-length': statSync(path).size } },
          (response) =>
            response
              .resume()
              .on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`)))),
        )
        createReadStream(path, { highWaterMark: 1_048_576 }).pipe(sent).on('error', reject)
      }),
  )
  const down = await timed(
    () =>
      new Promise<void>((resolve, reject) => {
        request(target, (response) => response.resume().on('end', resolve).on('error', reject))
          .on('error', reject)
          .end()
      }),
  )
  rmSync(path)
  return { up: megabytes / (up / 1000), down: megabytes / (down / 1000) }
}
