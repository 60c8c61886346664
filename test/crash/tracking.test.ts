import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databases } from '../support/databases.ts'
import { type PostgresServer, postgresVariable, startServer } from '../support/postgres-server.ts'
import { ServerProcess } from './support/server-process.ts'

const writers = 6
const batchesEach = 40
const kills = 3

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mw-crash-tracking-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function call<T>(server: ServerProcess, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${server.url}/api/2.0/mlflow/${path}`, {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const answer = (await response.json()) as T
  if (!response.ok) throw new Error(JSON.stringify(answer))
  return answer
}

const newRun = async (server: ServerProcess) =>
  (await call<{ run: { info: { run_id: string } } }>(server, 'runs/create', { experiment_id: '0' })).run.info.run_id

/** As clients do: the same again until it is acknowledged. */
async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act()
    } catch {
      await sleep(20)
    }
  }
}

const settings = databases.flatMap(({ name, place }) =>
  name === 'SQLite'
    ? [
        { title: 'SQLite', place, words: [] },
        { title: 'SQLite with durability full', place, words: ['--durability', 'full'] },
      ]
    : [{ title: name, place, words: [] }],
)

describe.each(settings)('A tracking server on $title', ({ title, place, words }) => {
  it('has everything that it acknowledged after kill -9, each thing once', async () => {
    const dataDir = mkdtempSync(join(folder, 'data-'))
    const database = title.startsWith('SQLite') ? [] : ['--database', await place(folder)]
    const server = await ServerProcess.on(dataDir, [...words, ...database])
    server.start()
    await server.ready()
    const runs = await Promise.all(Array.from({ length: writers }, () => newRun(server)))
    let acknowledged = 0
    const writing = runs.map(async (run_id) => {
      for (let batch = 0; batch < batchesEach; batch++) {
        const metrics = Array.from({ length: 50 }, (_, i) => ({
          key: `m${i % 5}`,
          value: batch + i / 100,
          timestamp: 1_000 * batch + i,
          step: 10 * batch + Math.floor(i / 5),
        }))
        await insist(() =>
          call(server, 'runs/log-batch', { run_id, metrics, params: [{ key: `p${batch}`, value: String(batch) }] }),
        )
        acknowledged++
      }
    })
    for (let kill = 1; kill <= kills; kill++) {
      while (acknowledged < (kill * writers * batchesEach) / (kills + 1)) await sleep(5)
      await server.kill()
      server.start()
      await server.ready()
    }
    await Promise.all(writing)
    await server.kill()
    server.start()
    await server.ready()
    for (const run_id of runs) {
      const { run } = await call<{ run: { data: { params: unknown[]; metrics: unknown[] } } }>(
        server,
        `runs/get?run_id=${run_id}`,
      )
      expect(run.data.params).toHaveLength(batchesEach)
      expect(run.data.metrics).toHaveLength(5)
      const { metrics } = await call<{ metrics: { step: number }[] }>(
        server,
        `metrics/get-history?run_id=${run_id}&metric_key=m3`,
      )
      expect(metrics.map((point) => point.step)).toEqual(Array.from({ length: batchesEach * 10 }, (_, step) => step))
    }
    await server.stop()
  })
})

describe.skipIf(!process.env[postgresVariable])('Servers on PostgreSQL', () => {
  const postgres = databases.find(({ name }) => name === 'PostgreSQL')!

  it('may start at once on an empty database, and each sees what the other wrote', async () => {
    const dataDir = mkdtempSync(join(folder, 'data-'))
    const database = ['--database', await postgres.place(folder)]
    const servers = [
      await ServerProcess.on(dataDir, database),
      await ServerProcess.on(dataDir, [...database, '--replica', 'second']),
    ]
    for (const server of servers) server.start()
    for (const server of servers) await server.ready()
    const run_id = await newRun(servers[0]!)
    await Promise.all(
      servers.flatMap((server, which) =>
        Array.from({ length: 30 }, (_, i) =>
          call(server, 'runs/log-metric', { run_id, key: 'both', value: which, timestamp: i, step: i }),
        ),
      ),
    )
    for (const server of servers) {
      const { metrics } = await call<{ metrics: { step: number; value: number }[] }>(
        server,
        `metrics/get-history?run_id=${run_id}&metric_key=both`,
      )
      expect(metrics.map(({ step, value }) => [step, value])).toEqual(
        Array.from({ length: 30 }, (_, step) => [
          [step, 0],
          [step, 1],
        ]).flat(),
      )
    }
    const versions = servers.flatMap((server) =>
      Array.from({ length: 10 }, () =>
        insist(() =>
          call<{ model_version: { version: string } }>(server, 'model-versions/create', {
            name: 'shared',
            source: `runs:/${run_id}/model`,
            run_id,
          }),
        ),
      ),
    )
    await call(servers[1]!, 'registered-models/create', { name: 'shared' })
    const numbers = (await Promise.all(versions)).map(({ model_version }) => Number(model_version.version))
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    for (const server of servers) await server.stop()
  })

  it('answer 503 with Retry-After while the database is gone, and go on by themselves', async () => {
    const own: PostgresServer = await startServer()
    const server = await ServerProcess.on(mkdtempSync(join(folder, 'data-')), ['--database', `${own.url}/postgres`])
    server.start()
    await server.ready()
    const { pid } = server
    const run_id = await newRun(server)
    await own.kill()
    const answers = await Promise.all(
      [
        fetch(`${server.url}/api/2.0/mlflow/runs/get?run_id=${run_id}`),
        fetch(`${server.url}/api/2.0/mlflow/runs/create`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"experiment_id":"0"}',
        }),
        fetch(`${server.url}/api/v1/projects`),
      ].map(async (asked) => {
        const answer = await asked
        return [answer.status, answer.headers.get('retry-after'), await answer.json()]
      }),
    )
    const said = expect.stringContaining('The database does not answer')
    expect(answers.slice(0, 2)).toEqual([
      [503, '1', expect.objectContaining({ error_code: 'TEMPORARILY_UNAVAILABLE', message: said })],
      [503, '1', expect.objectContaining({ error_code: 'TEMPORARILY_UNAVAILABLE', message: said })],
    ])
    expect(answers[2]).toEqual([503, '1', { error: expect.objectContaining({ code: 'DatabaseUnavailable' }) }])
    expect((await fetch(`${server.url}/health`)).ok).toBe(true)
    await own.start()
    await insist(() => call(server, 'runs/log-metric', { run_id, key: 'back', value: 1, timestamp: 1 }))
    expect(server.pid).toBe(pid)
    await server.stop()
    await own.stop()
  })
})
