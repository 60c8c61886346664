import { afterAll, beforeAll, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { type Db, transact } from '../db/index.ts'
import type { RunId } from '../kernel/ids.ts'
import { seededRng } from '../math/rng.ts'
import { type ImportedRun, importedRuns } from './import-runs.ts'
import { searchRuns } from './run-search.ts'
import { TrackingService } from './tracking-service.ts'

const count = 2_400
const pageSize = 150

type Told = {
  id: string
  experiment: string
  lifecycle: 'active' | 'deleted'
  startedAt: number
  metrics: Record<string, number>
  params: Record<string, string>
}

/**
 * More runs than a probe reads, so that each way of finding rows is taken; compared with the plainest reading of MLflow's rules over the
 * same facts in memory.
 */
eachDatabase('A search over many runs', (database) => {
  const rng = seededRng(11)
  const random = () => rng.uniform()
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  let db: Db
  let experiments: string[]
  const told: Told[] = []

  beforeAll(async () => {
    db = await database.open()
    const tracking = new TrackingService({ db, clock: { now: () => 1, sleep: async () => {} } })
    experiments = [await tracking.createExperiment({ name: 'a' }), await tracking.createExperiment({ name: 'b' })]
    for (let i = 0; i < count; i++) told.push(aRun(i))
    for (let from = 0; from < count; from += 400) {
      const some = told.slice(from, from + 400)
      await transact(db, async (tx) => {
        await importedRuns.addRuns(tx, some.map(importedRun))
        await importedRuns.addPoints(tx, new Map(some.map((run) => [run.id, points(run.metrics)])))
      })
    }
  })
  afterAll(() => db.destroy())

  function aRun(i: number): Told {
    return {
      id: `run${String(i).padStart(5, '0')}`,
      experiment: random() < 0.8 ? experiments[0]! : experiments[1]!,
      lifecycle: random() < 0.9 ? 'active' : 'deleted',
      startedAt: Math.floor(random() * 500),
      metrics: {
        ...(random() < 0.9 ? { acc: random() < 0.05 ? Number.NaN : Math.round(random() * 50) / 50 } : {}),
        ...(random() < 0.5 ? { loss: random() } : {}),
      },
      params: { kind: pick(['cnn', 'rnn', 'mlp']), seed: String(i), long: 'x'.repeat(120) + (i % 3) },
    }
  }

  const clauses: { text: string; holds: (run: Told) => boolean }[] = [
    { text: 'metrics.acc > 0.5', holds: (run) => (run.metrics.acc ?? Number.NaN) > 0.5 },
    { text: 'metrics.acc <= 0.1', holds: (run) => (run.metrics.acc ?? Number.NaN) <= 0.1 },
    { text: 'metrics.acc != 0.5', holds: (run) => run.metrics.acc !== undefined && run.metrics.acc !== 0.5 },
    { text: 'metrics.loss < 0.9', holds: (run) => (run.metrics.loss ?? Number.NaN) < 0.9 },
    { text: "params.kind = 'cnn'", holds: (run) => run.params.kind === 'cnn' },
    { text: "params.kind != 'cnn'", holds: (run) => run.params.kind !== 'cnn' },
    { text: "params.seed = '77'", holds: (run) => run.params.seed === '77' },
    { text: `params.long = '${'x'.repeat(120)}1'`, holds: (run) => run.params.long!.endsWith('1') },
    { text: 'attributes.start_time >= 250', holds: (run) => run.startedAt >= 250 },
    { text: "params.nothing = 'x'", holds: () => false },
  ]
  const rank = (value: number | undefined) => (value === undefined ? 2 : Number.isNaN(value) ? 1 : 0)
  const byMetric = (key: string, sign: 1 | -1) => (a: Told, b: Told) =>
    rank(a.metrics[key]) - rank(b.metrics[key]) ||
    (rank(a.metrics[key]) === 0 ? sign * (a.metrics[key]! - b.metrics[key]!) : 0)
  const orders: { text: string | undefined; compare: (a: Told, b: Told) => number }[] = [
    { text: undefined, compare: () => 0 },
    { text: 'attributes.start_time DESC', compare: (a, b) => b.startedAt - a.startedAt },
    { text: 'attributes.start_time ASC', compare: (a, b) => a.startedAt - b.startedAt },
    { text: 'metrics.acc DESC', compare: byMetric('acc', -1) },
    { text: 'metrics.acc ASC', compare: byMetric('acc', 1) },
    { text: 'metrics.loss DESC', compare: byMetric('loss', -1) },
    {
      text: 'params.kind ASC',
      compare: (a, b) => (a.params.kind! < b.params.kind! ? -1 : Number(a.params.kind !== b.params.kind)),
    },
  ]

  it.each(Array.from({ length: 60 }, (_, question) => question))('finds what the rules say, question %i', async () => {
    const asked = [pick(clauses), pick(clauses)].slice(0, Math.floor(random() * 3))
    const order = pick(orders)
    const view = pick(['active', 'active', 'deleted', 'all'] as const)
    const within = pick([[experiments[0]!], experiments])
    const expected = told
      .filter((run) => within.includes(run.experiment) && (view === 'all' || run.lifecycle === view))
      .filter((run) => asked.every((clause) => clause.holds(run)))
      .sort((a, b) => order.compare(a, b) || b.startedAt - a.startedAt || (a.id < b.id ? -1 : 1))
      .map((run) => run.id)
    const found: string[] = []
    for (let pageToken: string | undefined = ''; pageToken !== undefined; ) {
      const page = await searchRuns(db, {
        experimentIds: within,
        view,
        filter: asked.map((clause) => clause.text).join(' and '),
        limit: pageSize,
        ...(order.text === undefined ? {} : { orderBy: [order.text] }),
        ...(pageToken ? { pageToken } : {}),
      })
      found.push(...page.items.map((run) => run.runId))
      pageToken = page.nextPageToken
    }
    expect(found).toEqual(expected)
  })
})

const points = (metrics: Record<string, number>) =>
  Object.entries(metrics).map(([key, value]) => ({ key, value, timestamp: 1, step: 0 }))

const importedRun = (run: Told): ImportedRun => ({
  runId: run.id as RunId,
  experimentId: run.experiment,
  name: run.id,
  status: 'RUNNING',
  userId: '',
  startedAt: run.startedAt,
  endedAt: undefined,
  lifecycle: run.lifecycle,
  deletedAt: run.lifecycle === 'deleted' ? 2 : undefined,
  artifactUri: '',
  params: Object.entries(run.params).map(([key, value]) => ({ key, value })),
  tags: [],
  datasetInputs: [],
  modelInputs: [],
  modelOutputs: [],
})
