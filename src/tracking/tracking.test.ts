import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { PermissionsService } from '../access/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { RunId } from '../kernel/ids.ts'
import { anonymous, type Endpoint, type OutputOf, type Route } from '../kernel/route.ts'
import type { NewRun } from './tracking.ts'
import { getMetricHistory, getRun, listRuns } from './tracking-contract.ts'
import { trackingEndpoints } from './tracking-routes.ts'
import { TrackingService } from './tracking-service.ts'

eachDatabase('tracking', (database) => {
  let db: Db
  let tracking: TrackingService
  let endpoints: Endpoint[]
  let time = 1000

  beforeEach(async () => {
    db = await database.open()
    time = 1000
    const clock = { now: () => time++, sleep: async () => {} }
    tracking = new TrackingService({ db, clock })
    endpoints = trackingEndpoints(tracking, new PermissionsService({ db, clock, defaultPermission: 'READ' }))
  })
  afterEach(() => db.destroy())

  const start = async (run: Partial<NewRun> = {}): Promise<RunId> =>
    (await transact(db, (tx) => tracking.startRun(tx, { experimentId: '0', startedAt: time++, ...run }))).runId
  const log = (runId: string, key: string, value: number, step = 0, timestamp = 1) =>
    transact(db, (tx) => tracking.logMetrics(tx, runId, [{ key, value, step, timestamp }]))

  /** As the HTTP door calls: query and params through the contract's own schemas. */
  async function call<R extends Route<never, never, never, never> | Route>(
    route: R,
    given: { params?: unknown; query?: unknown },
  ): Promise<OutputOf<R>> {
    const { route: found, handle } = endpoints.find((endpoint) => endpoint.route.id === route.id)!
    const output = await handle({
      params: found.params?.parse(given.params) as undefined,
      query: found.query?.parse(given.query ?? {}) as undefined,
      body: undefined,
      actor: anonymous,
    })
    return found.output.parse(output) as OutputOf<R>
  }

  describe('an experiment', () => {
    it('is made once per name, and Default is there from the start', async () => {
      const first = await tracking.experimentNamed('churn')
      expect(await tracking.experimentNamed('churn')).toBe(first)
      expect(await tracking.experimentNamed('Default')).toBe('0')
      expect((await tracking.experiment(first)).artifactLocation).toBe(`mlflow-artifacts:/${first}`)
    })

    it('that was deleted comes back when it is named for a new execution', async () => {
      const id = await tracking.experimentNamed('churn')
      await tracking.setExperimentLifecycle(id, 'deleted')
      await expect(start({ experimentId: id })).rejects.toThrow("must be in the 'active' state")
      expect(await tracking.experimentNamed('churn')).toBe(id)
      await start({ experimentId: id })
    })

    it.each([
      ["name LIKE 'ch%'", ['churn', 'chess']],
      ["name LIKE 'CH%'", []],
      ["tags.team = 'red'", ['churn']],
      ['tags.team IS NULL', ['chess', 'Default']],
      ["attribute.name != 'churn' AND creation_time > 0", ['chess']],
    ])('is found by %s', async (filter, names) => {
      await tracking.createExperiment({ name: 'chess' })
      await tracking.createExperiment({ name: 'churn', tags: [{ key: 'team', value: 'red' }] })
      const { items } = await tracking.searchExperiments({ filter, view: 'active', limit: 10 })
      expect(items.map((experiment) => experiment.name)).toEqual(names)
    })
  })

  describe('a run', () => {
    it('has the id that it was given, else a new one, and a name that people can say', async () => {
      expect(await start({ runId: 'abc123' as RunId })).toBe('abc123')
      const run = await tracking.run(await start())
      expect(run.runId).toMatch(/^[0-9a-f]{32}$/)
      expect(run.name).toMatch(/^[a-z]+-[a-z]+-\d+$/)
      expect(run.tags['mlflow.runName']).toBe(run.name)
    })

    it('keeps its name and the tag of its name the same', async () => {
      const runId = await start({ name: 'one' })
      await transact(db, (tx) => tracking.setTags(tx, runId, [{ key: 'mlflow.runName', value: 'two' }]))
      expect((await tracking.run(runId)).name).toBe('two')
      await transact(db, (tx) => tracking.updateRun(tx, runId, { name: 'three' }))
      expect((await tracking.run(runId)).tags['mlflow.runName']).toBe('three')
      await expect(start({ name: 'a', tags: [{ key: 'mlflow.runName', value: 'b' }] })).rejects.toThrow(
        'different values',
      )
    })

    it('knows the runs that it owns', async () => {
      const owner = await start()
      const owned = await start({ ownerRunId: owner })
      await start()
      expect((await tracking.runsOwnedBy(owner)).map((run) => run.runId)).toEqual([owned])
    })

    it('ends with the status and time that it is told', async () => {
      const runId = await start()
      await transact(db, (tx) => tracking.endRun(tx, runId, 'FAILED', 5000))
      expect(await tracking.findRun(runId)).toMatchObject({ status: 'FAILED', endedAt: 5000 })
    })
  })

  describe('a metric', () => {
    it.each([
      [
        'by step',
        [
          [1, 5, 0.9],
          [2, 1, 0.1],
        ],
        0.1,
      ],
      [
        'then by time',
        [
          [1, 5, 0.9],
          [1, 6, 0.1],
        ],
        0.1,
      ],
      [
        'then by value',
        [
          [1, 5, 0.9],
          [1, 5, 0.1],
        ],
        0.9,
      ],
      [
        'also when the later point comes first',
        [
          [2, 1, 0.1],
          [1, 5, 0.9],
        ],
        0.1,
      ],
    ] as [string, [number, number, number][], number][])('is the latest %s', async (_, points, latest) => {
      const runId = await start()
      for (const [step, timestamp, value] of points) await log(runId, 'm', value, step, timestamp)
      expect(await tracking.latestMetrics(runId)).toEqual({ m: latest })
    })

    it('keeps NaN, and an infinity as the largest double', async () => {
      const runId = await start()
      await log(runId, 'nan', Number.NaN)
      await log(runId, 'inf', Number.POSITIVE_INFINITY)
      await log(runId, 'ninf', Number.NEGATIVE_INFINITY)
      expect(await tracking.latestMetrics(runId)).toEqual({
        nan: Number.NaN,
        inf: Number.MAX_VALUE,
        ninf: -Number.MAX_VALUE,
      })
    })

    it('is read in pages that miss no point and show none twice', async () => {
      const runId = await start()
      const metrics = Array.from({ length: 95 }, (_, i) => ({
        key: 'm',
        value: (i * 37) % 11,
        step: (i * 7) % 20,
        timestamp: 1,
      }))
      await transact(db, (tx) => tracking.logBatch(tx, runId, { metrics }))
      const whole = (await tracking.metricHistory(runId, 'm')).items
      const paged = []
      let pageToken: string | undefined
      do {
        const page = await tracking.metricHistory(runId, 'm', { limit: 10, pageToken })
        paged.push(...page.items)
        pageToken = page.nextPageToken
      } while (pageToken)
      expect(paged).toEqual(whole)
      expect(new Set(whole.map((point) => `${point.step} ${point.value}`)).size).toBe(whole.length)
    })
  })

  describe('a search', () => {
    const auc = [0.5, 0.9, Number.NaN, undefined, 0.5, 0.7]

    beforeEach(async () => {
      for (const [index, value] of auc.entries()) {
        const runId = await start({ runId: `run${index}` as RunId, name: `run${index}`, startedAt: 10_000 + index })
        if (value !== undefined) await log(runId, 'auc', value)
        await transact(db, (tx) =>
          tracking.logParams(tx, runId, [{ key: 'kind', value: index % 2 ? 'Tree' : 'forest' }]),
        )
      }
    })

    const names = async (filter?: string, orderBy: string[] = [], limit = 100) =>
      (await tracking.searchRuns({ experimentIds: ['0'], filter, orderBy, limit })).items.map((run) =>
        run.name.slice(3),
      )

    it.each([
      [undefined, [], '543210'],
      ['metrics.auc = 0.5', [], '40'],
      ['metrics.auc != 0.5', [], '521'],
      ['metrics.auc < 1', [], '5410'],
      ["params.kind LIKE 'T%'", [], '531'],
      ["params.kind LIKE 't%'", [], ''],
      ["params.kind ILIKE 't%'", ['start_time'], '135'],
      ['params.kind IS NOT NULL AND metrics.auc > 0.6', [], '51'],
      ["run_id IN ('run1', 'run3')", [], '31'],
      ["run_id NOT IN ('run1', 'run3')", [], '5420'],
      ["tags.`mlflow.runName` = 'run2'", [], '2'],
      ['end_time > 0', [], ''],
    ] as [string | undefined, string[], string][])('for %j in order of %j finds %s', async (filter, orderBy, found) => {
      expect((await names(filter, orderBy)).join('')).toBe(found)
    })

    it('orders by a metric with NaN after numbers and missing after NaN, in both directions', async () => {
      expect((await names(undefined, ['metrics.auc ASC'])).join('')).toBe('405123')
      expect((await names(undefined, ['metrics.auc DESC'])).join('')).toBe('154023')
    })

    it.each([[[]], [['metrics.auc DESC']], [['metrics.auc ASC', 'params.kind DESC']], [['end_time', 'run_name DESC']]])(
      'in order of %j gives the same in pages as at once',
      async (orderBy) => {
        const whole = await names(undefined, orderBy)
        const paged: string[] = []
        let pageToken: string | undefined
        do {
          const page = await tracking.searchRuns({ experimentIds: ['0'], orderBy, limit: 2, pageToken })
          paged.push(...page.items.map((run) => run.name.slice(3)))
          pageToken = page.nextPageToken
        } while (pageToken)
        expect(paged).toEqual(whole)
      },
    )

    it('by dataset finds the runs that read it', async () => {
      const dataset = { name: 'iris', digest: 'd1', sourceType: 'local', source: '{}' }
      const tags = { 'mlflow.data.context': 'training' }
      await transact(db, (tx) => tracking.logInputs(tx, 'run2', { datasets: [{ dataset, tags }] }))
      expect(await names("datasets.name = 'iris'")).toEqual(['2'])
      expect(await names("dataset.context = 'training' AND dataset.digest IN ('d1')")).toEqual(['2'])
      expect(await names("dataset.context = 'eval'")).toEqual([])
      expect((await tracking.run('run2')).datasetInputs).toEqual([{ dataset, tags }])
    })
  })

  describe('logged models', () => {
    const create = (name: string, sourceRunId?: RunId) =>
      tracking.createLoggedModel({ experimentId: '0', name, sourceRunId })
    const metric = (modelId: string, runId: string, value: number, datasetName?: string) =>
      transact(db, (tx) =>
        tracking.logMetrics(tx, runId, [{ key: 'auc', value, step: 0, timestamp: value * 10, modelId, datasetName }]),
      )
    const found = async (search: object) =>
      (await tracking.searchLoggedModels({ experimentIds: ['0'], limit: 10, ...search })).items.map(
        (model) => model.name,
      )

    it('belong to their runs, and are pending until they are finished', async () => {
      const runId = await start()
      const model = await create('clf', runId)
      expect(model.status).toBe('PENDING')
      expect(model.artifactUri).toBe(`mlflow-artifacts:/0/models/${model.modelId}/artifacts`)
      await tracking.finalizeLoggedModel(model.modelId, 'READY')
      expect((await tracking.loggedModels({ runIds: [runId] })).map((one) => [one.name, one.status])).toEqual([
        ['clf', 'READY'],
      ])
    })

    it('are found by what was measured on a dataset', async () => {
      const runId = await start()
      const [a, b] = [await create('a', runId), await create('b', runId)]
      await create('c')
      await metric(a.modelId, runId, 0.9, 'test')
      await metric(b.modelId, runId, 0.8, 'train')
      expect(await found({ filter: 'metrics.auc > 0.5' })).toEqual(['b', 'a'])
      expect(await found({ filter: 'metrics.auc > 0.5', datasets: [{ name: 'test' }] })).toEqual(['a'])
      expect(await found({ datasets: [{ name: 'train' }] })).toEqual(['b'])
      expect(await found({ orderBy: [{ field: 'metrics.auc', ascending: false }] })).toEqual(['a', 'b', 'c'])
      expect(await found({ filter: "name IN ('a', 'c')", orderBy: [{ field: 'name', ascending: true }] })).toEqual([
        'a',
        'c',
      ])
    })

    it('that were deleted are found no more', async () => {
      const { modelId } = await create('gone')
      await tracking.deleteLoggedModel(modelId)
      await expect(tracking.loggedModel(modelId)).rejects.toThrow('not found')
      expect(await found({})).toEqual([])
      expect((await tracking.loggedModel(modelId, { deletedToo: true })).lifecycle).toBe('deleted')
    })
  })

  describe('the API', () => {
    it('lists the runs of an experiment by its name or id, with what they logged', async () => {
      const experimentId = await tracking.experimentNamed('churn')
      const runId = await start({ experimentId, tags: [{ key: 'mlflow.parentRunId', value: 'p' }] })
      await start()
      await log(runId, 'auc', Number.NaN, 3, 7)
      for (const experiment of ['churn', experimentId]) {
        const { items } = await call(listRuns, { query: { experiment } })
        expect(items).toMatchObject([
          { id: runId, parentRunId: 'p', metrics: { auc: { value: 'NaN', step: 3, timestamp: 7 } } },
        ])
      }
      expect((await call(listRuns, { query: { limit: '1' } })).nextPageToken).toBeDefined()
      await expect(call(listRuns, { query: { experiment: 'none' } })).rejects.toMatchObject({ code: 'NotFound' })
    })

    it('shows a run with its models, and the history of a metric', async () => {
      const runId = await start()
      await tracking.createLoggedModel({ experimentId: '0', name: 'clf', sourceRunId: runId })
      await log(runId, 'loss', 2, 1)
      await log(runId, 'loss', 1, 2)
      expect(await call(getRun, { params: { id: runId } })).toMatchObject({
        loggedModels: [{ name: 'clf' }],
        datasets: [],
      })
      const { items } = await call(getMetricHistory, { params: { id: runId, key: 'loss' } })
      expect(items.map((point) => point.value)).toEqual([2, 1])
      await expect(call(getRun, { params: { id: 'none' } })).rejects.toMatchObject({ code: 'NotFound' })
    })
  })
})
