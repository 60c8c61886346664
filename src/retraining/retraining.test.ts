import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../artifacts/index.ts'
import { type Db, eventsAfter, openDatabase } from '../db/index.ts'
import type { Execution, ExecutionState, StartRequest } from '../executions/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId, ExecutionId } from '../kernel/ids.ts'
import type { Actor, Call, Endpoint } from '../kernel/route.ts'
import { LabelsService, type LoggedPrediction } from '../labels/index.ts'
import { type Alert, MonitoringStore } from '../monitoring/index.ts'
import { SourceReader } from '../planning/index.ts'
import { parseProjectFile } from '../projects/index.ts'
import { LabelledRowsFreezer } from './labelled-rows-freezer.ts'
import { getRetraining, requestRetraining } from './retraining-contract.ts'
import { retrainingEndpoints } from './retraining-routes.ts'
import { RetrainingService } from './retraining-service.ts'
import { RetrainingStore } from './retraining-store.ts'

const hour = 3_600_000
const day = 24 * hour
const place = { project: 'tumour', environment: 'production' }
const digest = `sha256:${'1'.repeat(64)}` as Digest
const ada: Actor = { kind: 'member', name: 'ada' }
const clock = { time: 0, now: () => clock.time, sleep: async () => {} }

const yaml = (retrain: string) => `
project: tumour
data:
  biopsies:
    path: data/biopsies.csv
    key: sample_id
    plus: { predictions: production, labelled: true }
steps:
  train: { run: python train.py, deps: ["data:biopsies"], model: m }
deployments:
  production:
    model: m
    monitor: { drift: { psi: "> 0.2" }, labels: { within: 7d } }
    retrain: ${retrain}
`

describe('retraining', () => {
  let db: Db
  let objects: MemoryObjectStore
  let artifacts: ArtifactService
  let labels: LabelsService
  let alerts: MonitoringStore
  let store: RetrainingStore
  let log: LoggedPrediction[]
  let started: { request: StartRequest; id: ExecutionId; state: ExecutionState }[]
  let file: string
  let barred: string | undefined
  /** Called before and after everything that happens outside the database. */
  let crashPoint: (name: string) => void

  beforeEach(async () => {
    db = await openDatabase(':memory:')
    objects = new MemoryObjectStore()
    artifacts = new ArtifactService({ db, clock, objects })
    alerts = new MonitoringStore(db)
    store = new RetrainingStore(db)
    log = []
    started = []
    clock.time = Date.UTC(2026, 2, 10, 12)
    file = yaml('{ on: [drift, "accuracy < 0.9", "every day 06:00"], at_most: 2 per day, cooldown: 1h }')
    barred = undefined
    crashPoint = () => {}
    labels = new LabelsService({
      db,
      clock,
      predictions: {
        decode: (id) => ({ prediction: id }),
        find: async (ids) => log.filter(({ id }) => ids.includes(id)),
      },
    })
  })

  afterEach(() => db.destroy())

  const service = () =>
    new RetrainingService({
      store,
      clock,
      labels,
      alerts,
      projects: {
        get: async (name) => {
          if (name === 'tumour') return { name, branch: 'main', createdAt: 0 }
          throw new AppError('NotFound', `no project ${name}`, 'connect it')
        },
        names: async function* () {
          yield 'tumour'
        },
        desiredHead: async () => 'c'.repeat(40) as CommitId,
        fileAt: async () => ({ file: parseProjectFile(file, 'modelwright.yaml'), text: file }),
      },
      sources: {
        filesOf: async () =>
          ({ read: async () => Buffer.from('sample_id,radius,diagnosis\ns1,1,benign\n') }) as unknown as Awaited<
            ReturnType<SourceReader['filesOf']>
          >,
      },
      executions: {
        start: async (request) => {
          crashPoint('before start')
          const known = started.find(({ request: { cause } }) => cause === request.cause)
          const one = known ?? { request, id: `e${started.length + 1}` as ExecutionId, state: 'running' as const }
          if (!known) started.push(one)
          crashPoint('after start')
          return { execution: { id: one.id } as Execution, existed: known !== undefined }
        },
        get: async (id) => ({
          execution: { id, state: started.find((one) => one.id === id)!.state } as Execution,
          nodes: [],
        }),
      },
      freezer: new LabelledRowsFreezer({
        db,
        labels,
        artifacts: {
          recordDatasetVersion: async (tx, version) => {
            crashPoint('while a version is recorded')
            await artifacts.recordDatasetVersion(tx, version)
          },
        },
        objects: {
          put: async (content) => {
            crashPoint('before put')
            const stored = await objects.put(content)
            crashPoint('after put')
            return stored
          },
        },
      }),
      barred: async () => barred,
    })

  async function tick(minutes = 0): Promise<void> {
    clock.time += minutes * 60_000
    expect((await service().tick()).failures).toEqual([])
  }

  async function predictAndLabel(count: number): Promise<void> {
    const ids = Array.from({ length: count }, () => {
      const id = `p${String(log.length).padStart(4, '0')}`
      log.push({
        ...{ id, at: clock.time, ...place, model: 'm', version: 1, digest, outcome: 'answered' },
        rows: [{ key: `k${log.length}`, input: { radius: log.length }, output: 'benign' }],
      })
      return id
    })
    clock.time += 1
    await labels.receive(
      'tumour',
      ids.map((predictionId) => ({ predictionId, value: 'malignant' })),
      ada,
    )
  }

  async function openAlert(change: Partial<Alert> = {}): Promise<Alert> {
    const alert: Alert = {
      ...{ id: `a${clock.time}`, ...place, model: 'm', version: 1, digest, kind: 'drift', subject: '' },
      ...{ features: ['radius'], reasons: ['radius: PSI 3'], openedAt: clock.time, openedReport: 'r1' },
      ...{ windowFromMs: clock.time, updatedAt: clock.time, lastReport: 'r1', lastBeyond: 'p0000' },
      ...change,
    }
    await alerts.transact((tx) => alerts.openAlert(tx, alert))
    return alert
  }

  const finish = (state: ExecutionState = 'succeeded') =>
    started.forEach((one) => {
      one.state = state
    })
  const decisions = async () => (await store.decisions(place, 100)).reverse()
  const outcomes = async () => (await decisions()).map(({ cause, outcome }) => `${cause.split(':')[0]} ${outcome}`)
  const told = async () =>
    (await eventsAfter(db, 0, { types: ['retraining.decided'], limit: 100 })).map(
      ({ payload }) => (payload as { outcome: string }).outcome,
    )

  it('waits for labels of the drifted rows, then freezes them and starts one execution', async () => {
    await predictAndLabel(50)
    clock.time += 60_000
    const alert = await openAlert()
    await tick()
    await tick(5)
    expect(started).toEqual([])
    expect(await outcomes()).toEqual(['drift wait'])
    await predictAndLabel(30)
    await tick()
    await tick(5)
    expect(started.map(({ request }) => request)).toEqual([
      {
        ...{ project: 'tumour', commit: 'c'.repeat(40), deployable: true, requestedBy: 'modelwright' },
        trigger: { kind: 'drift', environment: 'production', alert: alert.id, features: ['radius'] },
        cause: `retrain:tumour/production/drift:${alert.id}`,
      },
    ])
    expect(await outcomes()).toEqual(['drift wait', 'drift retrain'])
    expect(await told()).toEqual(['wait', 'retrain', 'started'])
  })

  it('freezes all labelled rows in the columns of the dataset, which the planner then finds', async () => {
    await predictAndLabel(31)
    await openAlert({ windowFromMs: 0 })
    await tick()
    const [version] = await artifacts.datasetVersions('tumour')
    expect(version).toMatchObject({
      ...{ dataset: 'biopsies', rows: 31 },
      origin: { kind: 'labelled predictions', environment: 'production' },
    })
    const text = new TextDecoder().decode(await objects.read(version!.digest))
    expect(text.split('\n').slice(0, 3)).toEqual(['sample_id,radius,diagnosis', 'k0,0,malignant', 'k1,1,malignant'])
    const planner = new SourceReader({ db, objects, artifacts, clock } as unknown as ConstructorParameters<
      typeof SourceReader
    >[0])
    const base = await objects.put('sample_id,radius,diagnosis\ns1,1,benign\nk1,7,benign\n')
    const { digest: joined } = await planner.withLabelledRows({
      ...{ project: 'tumour', dataset: 'biopsies', base: { ...base, executable: false } },
      source: parseProjectFile(file, 'modelwright.yaml').data.biopsies!,
    })
    const table = new TextDecoder()
      .decode(await objects.read(joined))
      .trim()
      .split('\n')
    // Header, two of Git, and 31 of production but the one whose key Git has.
    expect(table).toHaveLength(1 + 2 + 30)
    expect(table.slice(2, 5)).toEqual(['k1,7,benign', 'k0,0,malignant', 'k2,2,malignant'])
    expect((await store.newest(place, 1))[0]).toMatchObject({
      ...{ state: 'started', executionId: 'e1' },
      frozen: [{ dataset: 'biopsies', digest: version!.digest, rows: 31 }],
    })
  })

  it('answers an alert once, though it stays open and the retraining failed', async () => {
    await predictAndLabel(30)
    await openAlert({ windowFromMs: 0 })
    await tick()
    finish('failed')
    await predictAndLabel(30)
    for (let i = 0; i < 5; i++) await tick(24 * 60)
    expect(started.filter(({ request }) => request.trigger.kind === 'drift')).toHaveLength(1)
  })

  it('leaves older labels out of what the next drift waits for', async () => {
    await predictAndLabel(40)
    await openAlert({ windowFromMs: 0 })
    await tick()
    finish()
    const [first] = await alerts.alerts({ open: true, limit: 1 })
    await alerts.transact((tx) => alerts.closeAlert(tx, first!, clock.time, 'another version'))
    clock.time += 2 * hour
    await openAlert({ windowFromMs: 0 })
    await tick()
    expect(started).toHaveLength(1)
    expect((await decisions()).at(-1)!.reasons.join()).toMatch(/0 of at least 30/)
  })

  it('keeps cool-down and budget over all causes, and runs what waited when they are over', async () => {
    await predictAndLabel(90)
    file = yaml('{ on: [drift, "accuracy < 0.9", "every 6h"], at_most: 2 per day, cooldown: 1h }')
    await tick()
    await openAlert({ windowFromMs: 0 })
    await openAlert({ id: 'b', kind: 'quality', subject: 'accuracy < 0.9', openedReport: 'r9', lastReport: 'r9' })
    await db.insertInto('drift_reports').values(qualityReport('r9', 0.8)).execute()
    await tick()
    expect(started.map(({ request }) => request.trigger.kind)).toEqual(['drift'])
    expect((await decisions()).at(-1)!.reasons.join()).toMatch(/e1 is still under way/)
    finish()
    await tick(30)
    expect((await decisions()).at(-1)!.reasons.join()).toMatch(/cools down/)
    await tick(31)
    expect(started.at(-1)!.request.trigger).toEqual({
      ...{ kind: 'metric', environment: 'production', metric: 'accuracy', value: 0.8 },
    })
    finish()
    await tick(7 * 60)
    expect((await decisions()).at(-1)).toMatchObject({
      outcome: 'wait',
      reasons: [expect.stringMatching(/2 of at most 2/)],
    })
    await tick(17 * 60)
    expect(started.map(({ request }) => request.trigger.kind)).toEqual(['drift', 'metric', 'schedule'])
  })

  it('runs a schedule that was missed seven times once, and none that was due before it was declared', async () => {
    await tick()
    expect(started).toEqual([])
    await tick(7 * 24 * 60)
    await tick(1)
    expect(started.map(({ request }) => request.trigger)).toEqual([
      {
        ...{ kind: 'schedule', environment: 'production', schedule: 'every day 06:00' },
        due: Date.UTC(2026, 2, 17, 6),
      },
    ])
  })

  it('starts nothing twice when the clock jumps back by a day', async () => {
    await tick()
    await tick(48 * 60)
    finish()
    clock.time -= day
    await tick()
    await tick(60)
    expect(started).toHaveLength(1)
    clock.time += day
    await tick(60)
    expect(started).toHaveLength(1)
  })

  it('writes the same wait once though the clock jumped back behind an earlier one', async () => {
    await openAlert()
    await tick()
    await predictAndLabel(1)
    await tick()
    clock.time -= hour
    const before = (await decisions()).length
    for (let i = 0; i < 5; i++) await tick(1)
    expect((await decisions()).length).toBe(before)
  })

  it('writes the same wait once', async () => {
    await openAlert()
    for (let i = 0; i < 10; i++) await tick(1)
    expect(await outcomes()).toEqual(['drift wait'])
  })

  it('waits while a bar stands', async () => {
    await predictAndLabel(30)
    await openAlert({ windowFromMs: 0 })
    barred = 'the rollout of version 2 was aborted'
    await tick()
    expect((await decisions())[0]!.reasons).toEqual(['a person is needed first: the rollout of version 2 was aborted'])
    barred = undefined
    await tick()
    expect(started).toHaveLength(1)
  })

  it.each(['before put', 'after put', 'while a version is recorded', 'before start', 'after start'])(
    'killed %s: goes on where it was, starts once and freezes one version',
    async (point) => {
      await predictAndLabel(30)
      await openAlert({ windowFromMs: 0 })
      let deaths = 0
      crashPoint = (name) => {
        if (name === point && deaths++ < 2) throw new Error('killed')
      }
      expect((await service().tick()).failures).toHaveLength(1)
      expect((await service().tick()).failures).toHaveLength(1)
      await predictAndLabel(5)
      await tick(1)
      await tick(1)
      expect(started).toHaveLength(1)
      expect(await artifacts.datasetVersions('tumour')).toHaveLength(1)
      expect((await told()).filter((outcome) => outcome === 'started')).toHaveLength(1)
    },
  )

  it('gives up, with the reason, on what only the user can mend', async () => {
    await predictAndLabel(30)
    for (const one of log) one.rows[0]!.input = { radius: 1, diagnosis: 'unknown' }
    await openAlert({ windowFromMs: 0 })
    await tick()
    await tick(1)
    expect((await store.newest(place, 5)).map(({ state, error }) => [state, error?.code])).toEqual([
      ['failed', 'ConfigInvalid'],
    ])
    expect(await told()).toEqual(['retrain', 'failed'])
  })

  describe('a person', () => {
    it('is let through cool-down and budget, and the reasons say so', async () => {
      await predictAndLabel(30)
      await openAlert({ windowFromMs: 0 })
      await tick()
      finish()
      clock.time += 60_000
      const retraining = await service().request('tumour', 'production', ada, 'new scanner')
      expect(retraining).toMatchObject({ state: 'started', executionId: 'e2', requestedBy: 'ada' })
      expect(started[1]!.request.trigger).toEqual({ kind: 'person', actor: 'ada', note: 'new scanner' })
      expect((await decisions()).at(-1)!.reasons.join()).toMatch(/a person overrides: cools down/)
    })

    it('is refused beside a retraining that is under way, also when asking twice at once', async () => {
      const one = service()
      const asked = await Promise.allSettled([1, 2].map(() => one.request('tumour', 'production', ada)))
      expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      expect(asked[1]).toMatchObject({
        reason: { code: 'Conflict', message: expect.stringMatching(/still under way/) },
      })
      expect(started).toHaveLength(1)
    })

    it('is told which environments there are', async () => {
      await expect(service().request('tumour', 'prod', ada)).rejects.toMatchObject({
        code: 'NotFound',
        message: expect.stringMatching(/there are: production/),
      })
      await expect(service().request('nobody', 'production', ada)).rejects.toMatchObject({ code: 'NotFound' })
    })
  })

  it('shows over its routes what asks, what stands in the way, and what is due next', async () => {
    await openAlert()
    await tick()
    const endpoints = retrainingEndpoints(service())
    const ask = async (route: Endpoint['route'], body?: object) => {
      const call = { params: { project: 'tumour' }, body, actor: ada } as Call<Endpoint['route']>
      const answer = await endpoints.find((one) => one.route === route)!.handle(call)
      return route.output.parse(JSON.parse(JSON.stringify(answer)))
    }
    expect(await ask(requestRetraining, { environment: 'production' })).toMatchObject({ state: 'started' })
    expect(await ask(getRetraining)).toMatchObject({
      environments: [
        {
          on: ['drift', 'accuracy < 0.9', 'every day 06:00'],
          budget: { count: 2, perMs: day, left: 1 },
          cooldown: { ms: hour, until: clock.time + hour },
          schedules: [{ text: 'every day 06:00', nextAt: Date.UTC(2026, 2, 11, 6) }],
          open: [{ outcome: 'wait', reasons: [expect.stringMatching(/e1 is still under way/)] }],
          retrainings: [{ executionId: 'e1' }],
          decisions: [{ outcome: 'retrain' }, { outcome: 'wait' }],
        },
      ],
    })
  })

  function qualityReport(id: string, accuracy: number) {
    const nothing = { last_prediction: 'p', input_failures: 0, errors: 0, labels: 40, labelled_at: 1 }
    return {
      ...{ id, ...place, model: 'm', version: 1, digest, at: 1, window_from: 1, window_to: 2, rows: 40, answered: 40 },
      ...nothing,
      ...{ inputs_digest: digest, rule_version: 'x', outcome: 'no drift', bounds: '{}', features: '[]', reasons: '[]' },
      quality: JSON.stringify({ n: 40, metrics: { accuracy: { value: accuracy, n: 40 } } }),
    }
  }
})
