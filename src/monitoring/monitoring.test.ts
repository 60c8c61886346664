import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Db, eventsAfter, openDatabase } from '../db/index.ts'
import { parseBound } from '../kernel/bound.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Call, Endpoint } from '../kernel/route.ts'
import { LabelsService, type LoggedPrediction } from '../labels/index.ts'
import { profileColumn } from '../math/feature-profile.ts'
import type { PredictionRow } from '../serving/index.ts'
import type { Reference, WatchedDeployment } from './monitoring.ts'
import { getMonitoring, listAlerts, listReports } from './monitoring-contract.ts'
import { monitoringEndpoints } from './monitoring-routes.ts'
import { MonitoringService } from './monitoring-service.ts'
import { MonitoringStore } from './monitoring-store.ts'

const bound = (text: string) => {
  const read = parseBound(text)
  if (!read.ok) throw new Error(read.problem)
  return read.bound
}
const first = `sha256:${'1'.repeat(64)}` as Digest
const second = `sha256:${'2'.repeat(64)}` as Digest
const clock = { time: 0, now: () => clock.time, sleep: async () => {} }

const reference: Reference = {
  inputs: ['radius'],
  features: {
    radius: profileColumn(
      Array.from({ length: 400 }, (_, i) => i / 400),
      { seed: 1 },
    ),
  },
}

describe('monitoring', () => {
  let db: Db
  let store: MonitoringStore
  let monitoring: MonitoringService
  let labels: LabelsService
  let log: PredictionRow[]
  let deployed: WatchedDeployment

  beforeEach(async () => {
    db = await openDatabase(':memory:')
    clock.time = 1_000_000
    log = []
    deployed = {
      ...{ project: 'tumour', environment: 'production', model: 'm', version: 1, digest: first },
      monitor: { drift: { psi: bound('> 0.2') }, window: { predictions: 200 } },
      retrain: {
        on: [{ kind: 'metric', metric: 'accuracy', bound: bound('< 0.9') }],
        atMost: { count: 1, perMs: 1 },
        cooldownMs: 0,
      },
    }
    store = new MonitoringStore(db)
    const find = async (ids: readonly string[]) =>
      log
        .filter(({ id }) => ids.includes(id))
        .map((row): LoggedPrediction => ({ ...row, rows: [{ input: row.input, output: row.output }] }))
    labels = new LabelsService({ db, clock, predictions: { decode: (id) => ({ prediction: id }), find } })
    monitoring = restarted()
  })

  afterEach(() => db.destroy())

  let rowsRead = 0
  const observationsSince = async (_: string, __: string, digest: Digest, since: number) => {
    const requests = log.filter((row) => row.digest === digest && row.at >= since).length
    return { requests, failed: 0, inputRefused: 0 }
  }

  const restarted = () =>
    new MonitoringService({
      store,
      clock,
      labels,
      predictions: {
        observationsSince,
        rows: async ({ digest, fromMs, toMs, limit }) => {
          rowsRead++
          return log
            .filter((row) => row.digest === digest && row.at >= fromMs && row.at <= toMs)
            .reverse()
            .slice(0, limit)
        },
      },
      referenceOf: async (digest) => (digest === first || digest === second ? reference : undefined),
      deployments: async () => [deployed],
    })

  /** Rows whose radius runs evenly over [shift, shift + 1). */
  function serve(count: number, shift: number, change: Partial<PredictionRow> = {}): string[] {
    return Array.from({ length: count }, (_, i) => {
      clock.time += 10
      const id = `p${String(log.length).padStart(6, '0')}`
      log.push({
        ...{ id, at: clock.time, project: 'tumour', environment: 'production', model: 'm', version: 1 },
        ...{ digest: deployed.digest, outcome: 'answered', latencyMs: 1 },
        ...{ input: { radius: ((i * 7) % count) / count + shift }, output: 'benign', ...change },
      })
      return id
    })
  }

  async function look(): Promise<void> {
    clock.time += 5_000
    const { failures } = await monitoring.tick()
    expect(failures).toEqual([])
  }

  const reports = () => store.reports(deployed, { limit: 1000 })
  const alerts = (open?: boolean) =>
    store.alerts({ project: 'tumour', limit: 10, ...(open === undefined ? {} : { open }) })
  const told = async () =>
    (await eventsAfter(db, 0, { types: ['drift.judged'], limit: 100 })).map(({ payload }) =>
      'outcome' in payload ? payload.outcome : '',
    )

  it('finds nothing in rows like those of training, and writes nothing more until new ones come', async () => {
    serve(100, 0)
    await look()
    await look()
    monitoring = restarted()
    await look()
    const [report, ...others] = await reports()
    expect(others).toEqual([])
    expect(report).toMatchObject({
      outcome: 'no drift',
      window: { rows: 100, answered: 100 },
      ruleVersion: 'monitor/1',
    })
    serve(1, 0)
    await look()
    expect(await reports()).toHaveLength(2)
    expect(await alerts()).toEqual([])
  })

  it('reads no rows while nothing is asked and nothing labelled', async () => {
    serve(100, 0)
    for (let i = 0; i < 3; i++) await look()
    rowsRead = 0
    for (let i = 0; i < 5; i++) await look()
    expect(rowsRead).toBe(0)
    serve(1, 0)
    await look()
    expect(rowsRead).toBe(1)
  })

  it('opens one alert that names the feature, keeps it over looks and restarts, and tells of it once', async () => {
    serve(60, 0.6)
    await look()
    serve(60, 0.6)
    monitoring = restarted()
    await look()
    const open = await alerts(true)
    expect(open).toHaveLength(1)
    expect(open[0]).toMatchObject({ kind: 'drift', version: 1, features: ['radius'] })
    expect(open[0]!.lastReport).toBe((await reports())[0]!.id)
    expect(await told()).toEqual(['opened'])
  })

  it('does not flap: one alert while the window slides over the bound, closed when enough calm rows came', async () => {
    serve(100, 0.6)
    await look()
    for (let i = 0; i < 10; i++) {
      serve(20, 0)
      await look()
      serve(1, 0.9)
      await look()
    }
    expect(await alerts()).toHaveLength(1)
    serve(200, 0)
    await look()
    serve(60, 0)
    await look()
    expect(await alerts(true)).toEqual([])
    expect((await alerts())[0]!.closedBecause).toMatch(/No feature of 1 is beyond a bound/)
    expect(await told()).toEqual(['opened', 'closed'])
  })

  it('closes the alert when another version serves, and judges that by its own rows only', async () => {
    serve(100, 0.6)
    await look()
    deployed = { ...deployed, version: 2, digest: second }
    await look()
    expect((await alerts())[0]!.closedBecause).toMatch(/Version 2 serves instead of version 1/)
    serve(60, 0, { version: 2 })
    await look()
    expect((await reports())[0]).toMatchObject({ version: 2, outcome: 'no drift', window: { rows: 60 } })
  })

  it('does not judge too few rows', async () => {
    serve(49, 0.6)
    await look()
    expect((await reports())[0]).toMatchObject({ outcome: 'too few rows' })
    expect(await alerts()).toEqual([])
  })

  it('counts refused inputs in the window and leaves them out of the comparison', async () => {
    serve(60, 0)
    serve(20, 0.9, { outcome: 'input refused' })
    await look()
    expect((await reports())[0]).toMatchObject({
      outcome: 'no drift',
      window: { rows: 80, answered: 60, inputFailures: 20 },
    })
  })

  it('measures quality when labels come, though nothing new was asked, and opens an alert for a broken bound', async () => {
    const ids = serve(60, 0)
    await look()
    const given = ids.slice(0, 40).map((predictionId, i) => ({ predictionId, value: i < 30 ? 'benign' : 'malignant' }))
    await labels.receive('tumour', given, { kind: 'owner', name: 'owner' })
    await look()
    const [report] = await reports()
    expect(report!.quality).toMatchObject({ n: 40, metrics: { accuracy: { value: 0.75, n: 40 } } })
    expect(await alerts(true)).toMatchObject([
      {
        kind: 'quality',
        subject: 'accuracy < 0.9',
        openedReport: report!.id,
        reasons: [expect.stringMatching(/0.75/)],
      },
    ])
  })

  it('closes an alert whose bound left the file', async () => {
    const ids = serve(60, 0)
    const given = ids.map((predictionId) => ({ predictionId, value: 'malignant' }))
    await labels.receive('tumour', given, { kind: 'owner', name: 'owner' })
    await look()
    expect(await alerts(true)).toHaveLength(1)
    deployed = { ...deployed, retrain: { ...deployed.retrain, on: [] } }
    serve(1, 0)
    await look()
    expect(await alerts(true)).toEqual([])
  })

  it('looks on although one environment fails', async () => {
    serve(60, 0.6)
    const broken = { ...deployed, environment: 'staging', digest: `sha256:${'3'.repeat(64)}` as Digest }
    const other = new MonitoringService({
      store,
      clock,
      labels,
      predictions: {
        observationsSince,
        rows: async ({ environment }) => {
          if (environment === 'staging') throw new Error('disk')
          return [...log].reverse()
        },
      },
      referenceOf: async () => reference,
      deployments: async () => [broken, deployed],
    })
    expect((await other.tick()).failures).toMatchObject([{ environment: 'staging' }])
    expect(await alerts(true)).toHaveLength(1)
  })

  it('keeps the newest 500 looks and those that alerts name', async () => {
    serve(100, 0.6)
    await look()
    const [opening] = await reports()
    const { seq, ...later } = await db.selectFrom('drift_reports').selectAll().executeTakeFirstOrThrow()
    await db
      .insertInto('drift_reports')
      .values(Array.from({ length: 600 }, (_, i) => ({ ...later, id: `${later.id}-${String(i).padStart(4, '0')}` })))
      .execute()
    serve(150, 0)
    await look()
    const kept = await reports()
    expect(kept).toHaveLength(501)
    expect(kept.at(-1)!.id).toBe(opening!.id)
  })

  it('shows it all over its routes', async () => {
    serve(100, 0.6)
    await look()
    const get = async (name: string) => ({ name, branch: 'main', createdAt: 0 })
    const endpoints = monitoringEndpoints({ store, projects: { get }, deployments: async () => [deployed] })
    const ask = async ({ route }: { route: Endpoint['route'] }, params: object) => {
      const call = { params, query: route.query?.parse({}) } as Call<Endpoint['route']>
      const answer = await endpoints.find((one) => one.route === route)!.handle(call)
      return route.output.parse(JSON.parse(JSON.stringify(answer)))
    }
    expect(await ask({ route: getMonitoring }, { project: 'tumour' })).toMatchObject({
      environments: [
        {
          environment: 'production',
          report: { outcome: 'drift', features: [{ feature: 'radius', chart: { kind: 'numeric' } }] },
          alerts: [{ features: ['radius'] }],
        },
      ],
    })
    expect(await ask({ route: listReports }, { project: 'tumour', environment: 'production' })).toMatchObject({
      items: [{ outcome: 'drift', window: { inputFailureShare: 0 } }],
    })
    expect(await ask({ route: listAlerts }, {})).toMatchObject({ items: [{ kind: 'drift' }] })
  })
})
