import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ArtifactService } from '../artifacts/index.ts'
import { transact } from '../db/index.ts'
import { ExecutionsService, ExecutionsStore, executionEndpoints } from '../executions/index.ts'
import { GateService, GateStore, gateEndpoints } from '../gates/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import type { CommitId, ExecutionId, RunId } from '../kernel/ids.ts'
import type { Endpoint } from '../kernel/route.ts'
import { MonitoringStore, monitoringEndpoints } from '../monitoring/index.ts'
import { PlanStore } from '../planning/index.ts'
import { projectEndpoints } from '../projects/index.ts'
import { promotionEndpoints } from '../promotions/index.ts'
import { owner, project, projectText } from '../promotions/testing/promotion-bench.ts'
import { ReproductionsService, ReproductionsStore, reproductionEndpoints } from '../reproductions/index.ts'
import type { Reproduction } from '../reproductions/reproduction.ts'
import { RetrainingService, RetrainingStore, retrainingEndpoints } from '../retraining/index.ts'
import { rolloutEndpoints } from '../rollouts/index.ts'
import { type RolloutBench, rolloutBench } from '../rollouts/testing/rollout-bench.ts'
import { PredictionLog, predictionEndpoints } from '../serving/index.ts'
import { predictionId } from '../serving/prediction-id.ts'
import { TrackingService } from '../tracking/index.ts'
import { lineageEndpoints } from './lineage-routes.ts'

const canary = '    rollout: { canary: [5%, 100%], every: 10m, min_requests: 20 }\n'

type Walked = { things: { kind: string; name: string; distance: number }[] }

/** Every slice above on one database; what no test here asks of a slice is left out of it. */
function lineageOver(bench: RolloutBench) {
  const { db, clock, projects, promotions, git: repositories } = bench
  const tracking = new TrackingService({ db, clock })
  const store = new ExecutionsStore(db)
  const executions = new ExecutionsService({ db, clock, store, projects, repositories, wake: () => {} } as never)
  const planStore = new PlanStore(db)
  const locks = { byDigest: (digest: Digest) => planStore.lockByDigest(digest) }
  const artifacts = new ArtifactService({ db, clock, objects: bench.objects })
  const monitoringStore = new MonitoringStore(db)
  const retraining = new RetrainingService({
    ...{ store: new RetrainingStore(db), clock, projects, executions, alerts: monitoringStore },
    labels: { count: async () => ({ count: 0, lastAt: 0 }) },
    barred: async () => undefined,
  } as never)
  const reproductionsStore = new ReproductionsStore(db)
  const reproductions = new ReproductionsService({ store: reproductionsStore } as never)
  const endpoints: Endpoint[] = [
    ...projectEndpoints(projects),
    ...executionEndpoints({ executions, planner: undefined as never, projects, repositories, clock }),
    ...gateEndpoints(new GateService({ db, clock, store: new GateStore(db), executions, projects })),
    ...promotionEndpoints(promotions),
    ...predictionEndpoints(new PredictionLog({ db, dataDir: bench.dataDir, clock })),
    ...rolloutEndpoints(bench.service),
    ...monitoringEndpoints({ store: monitoringStore, projects, deployments: async () => [] }),
    ...retrainingEndpoints(retraining),
    ...reproductionEndpoints(reproductions),
  ]
  const parts = { db, clock, projects, promotions, artifacts, objects: bench.objects, locks, tracking, repositories }
  endpoints.push(...lineageEndpoints({ ...parts, endpoints: () => endpoints }))

  /** Through the contract: what a handler answers must have the documented form. */
  async function ask(id: string, input: { params?: object; query?: object } = {}): Promise<never> {
    const { route, handle } = endpoints.find((one) => one.route.id === id)!
    const query = route.query?.parse(input.query ?? {})
    const answer = await handle({
      params: route.params?.parse(input.params),
      query,
      body: undefined,
      actor: owner,
    } as never)
    return route.output.parse(JSON.parse(JSON.stringify(answer))) as never
  }

  /** What an execution leaves behind: itself with one step, the step's run, and the verdict on its model. */
  async function executed(id: string, facts: { params: Record<string, string>; auc: number; digest?: Digest }) {
    const at = clock.now()
    const commit = (await bench.git.head(project, 'main'))!
    const data = { biopsies: { dataset: 'biopsies', path: 'b.csv', digest: facts.digest ?? digestOf('data'), size: 3 } }
    const execution = {
      ...{ id: id as ExecutionId, project, commit, trigger: { kind: 'push', branch: 'main', actor: 'mia' } as const },
      ...{ deployable: true, state: 'queued' as const, requestedBy: 'mia', createdAt: at },
      fixed: { project, commit, set: {}, data, champions: {}, executionId: id },
    }
    const runId = `${id === 'e1' ? '1' : '2'}`.repeat(32) as RunId
    const experimentId = await tracking.experimentNamed(project)
    await transact(db, async (tx) => {
      await store.create(tx, execution, id, [{ id: 'train', kind: 'step', step: 'train', after: [] }])
      const tags = {
        'modelwright.project': project,
        'modelwright.execution': id,
        'modelwright.environment': 'none',
        'modelwright.data.biopsies': 'x',
        'mlflow.source.git.commit': commit,
        team: id,
      }
      await tracking.startRun(tx, {
        ...{ runId, experimentId, name: 'train', startedAt: at },
        tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
      })
      await tracking.logParams(
        tx,
        runId,
        Object.entries(facts.params).map(([key, value]) => ({ key, value })),
      )
      await tracking.logMetrics(tx, runId, [{ key: 'auc', value: facts.auc, timestamp: at, step: 0 }])
      await tracking.endRun(tx, runId, 'FINISHED', at + 5)
      const change = { state: 'succeeded' as const, runId, startedAt: at, endedAt: at + 5 }
      await store.changeNode(tx, execution, 'train', change, at)
      await store.setState(tx, execution, 'succeeded', at + 5)
      await new GateStore(db).save(tx, {
        ...{ id: `verdict-${id}`, project, executionId: id as ExecutionId, model: 'tumour-classifier', at },
        verdict: { outcome: 'pass', score: 100, objectives: [], reasons: ['all bounds hold'], ruleVersion: 'judge/1' },
        facts: { candidate: {}, champion: undefined },
        inputsDigest: digestOf('facts'),
      })
    })
    return { runId, commit }
  }
  return { ask, executed, artifacts, tracking, reproductions: reproductionsStore }
}

describe('lineage', () => {
  let bench: RolloutBench
  let lineage: ReturnType<typeof lineageOver>
  beforeEach(async () => {
    bench = await rolloutBench()
    lineage = lineageOver(bench)
  })
  afterEach(() => bench.close())

  const begin = async (promote = '{ production: automatic }') => {
    await bench.push(projectText(promote, canary))
    await bench.deliver()
  }
  const ask = (id: string, input?: object) => lineage.ask(id, input)
  const production = { params: { project, environment: 'production' } }

  it('leads from what serves to its version, verdict, execution, commit, data, promotion and rollout', async () => {
    await begin()
    const { commit } = await lineage.executed('e1', { params: { depth: '3' }, auc: 0.97 })
    await bench.served()
    const story: { sentence: string } = await ask('why.environment', production)
    expect(story).toMatchObject({
      deployment: { state: 'serving', serving: { version: 1 } },
      version: {
        model: 'tumour-classifier',
        version: 1,
        commit: { id: commit, subject: 'work', author: expect.stringContaining('Someone Else') },
        execution: { id: 'e1', trigger: { kind: 'push' } },
        verdict: { id: 'verdict-e1', outcome: 'pass' },
        data: [{ dataset: 'biopsies', origin: 'git', text: 'b.csv in Git' }],
        environment: { digest: 'none' },
        params: { train: { depth: 3 } },
      },
      promotion: { state: 'committed', version: 1 },
      declared: { origin: 'modelwright' },
      rollout: { state: 'done', straight: expect.any(String) },
    })
    expect(story.sentence).toContain('production serves tumour-classifier version 1')
    expect(story.sentence).toContain('passed its gate with 100 of 100')
  })

  it('tells of joined data what it was made of, with the rows of each part', async () => {
    await begin()
    const [base, added, joined] = ['base', 'added', 'data'].map(digestOf) as [Digest, Digest, Digest]
    await lineage.executed('e1', { params: {}, auc: 1, digest: joined })
    const version = { project, dataset: 'biopsies', createdAt: 5 }
    await transact(bench.db, async (tx) => {
      const record = lineage.artifacts.recordDatasetVersion.bind(lineage.artifacts)
      const origin = { kind: 'labelled predictions', environment: 'production', until: 0 } as const
      await record(tx, { ...version, digest: added, rows: 40, origin })
      await record(tx, { ...version, digest: joined, rows: 340, origin: { kind: 'joined', base, added } })
    })
    await bench.served()
    expect(await ask('why.environment', production)).toMatchObject({
      version: {
        data: [
          {
            digest: joined,
            rows: 340,
            origin: 'joined',
            parts: [
              { digest: base, text: 'b.csv in Git' },
              { digest: added, rows: 40, text: expect.stringContaining('rows that production saw') },
            ],
          },
        ],
      },
    })
  })

  it('leaves out what was deleted since, and still tells the rest', async () => {
    await begin()
    await bench.served()
    const story: { version: object } = await ask('why.environment', production)
    expect(story.version).not.toHaveProperty('execution')
    expect(story.version).toMatchObject({ version: 1, seed: 7 })
  })

  it('shows the newest verdict on whether a version can be made again, and not what another commit makes of it', async () => {
    await begin()
    await bench.served()
    const digest = await bench.declaredDigest()
    const judge = async (id: string, outcome: 'identical' | 'different', fromRecord: boolean) => {
      const at = Date.UTC(2026, 2, 1)
      const one: Reproduction = {
        ...{ id, project, model: 'tumour-classifier', version: 1, digest, recorded: 'e1' as ExecutionId, fromRecord },
        ...{ commit: 'c'.repeat(40) as CommitId, runs: 1, tolerance: 0, state: 'running', passes: {} },
        ...{ requestedBy: 'mia', createdAt: at },
      }
      await lineage.reproductions.add(one)
      const compared = { steps: 1, files: 1, metrics: 0, models: 1, tolerance: 0 }
      await lineage.reproductions.judged(one, { outcome, steps: [], compared }, `It is ${outcome}.`, at)
    }
    expect(await ask('why.version', { params: { digest } })).not.toHaveProperty('reproduced')
    await judge('1', 'different', true)
    await judge('2', 'identical', true)
    await judge('3', 'different', false)
    const told = {
      reproduced: {
        outcome: 'identical',
        text: 'reproducible: bit for bit, checked 2026-03-01',
        sentence: 'It is identical.',
      },
    }
    expect(await ask('why.version', { params: { digest } })).toMatchObject(told)
    expect(await ask('versions.list', { params: { project } })).toMatchObject({ items: [told] })
  })

  it('leads from a version that serves down to where, and from a prediction up to it', async () => {
    await begin()
    await bench.served()
    const digest = await bench.declaredDigest()
    const down: Walked = await ask('lineage.get', { query: { project, of: 'tumour-classifier@1', direction: 'down' } })
    expect(down.things.map(({ kind, name, distance }) => [kind, name, distance])).toEqual([
      ['version', 'tumour-classifier v1', 0],
      ['deployment', 'production: tumour-classifier v1', 1],
    ])
    const id = predictionId({ at: bench.clock.now(), version: 1, digest }, new Uint8Array(10))
    const up: Walked = await ask('lineage.get', { query: { project, of: id, direction: 'up' } })
    expect(up.things.map(({ kind }) => kind)).toEqual(['logged model', 'version', 'prediction'])
    await expect(ask('lineage.get', { query: { project, of: 'tumour-clasifier' } })).rejects.toMatchObject({
      code: 'NotFound',
      next: 'Did you mean "tumour-classifier"?',
    })
    await expect(ask('lineage.get', { query: { project: 'none', of: 'x' } })).rejects.toMatchObject({
      code: 'NotFound',
    })
  })

  it('says that nothing serves where nothing was promoted', async () => {
    await begin()
    expect(await ask('why.environment', production)).toMatchObject({
      sentence: 'Nothing serves in production, and Git declares no version for it.',
    })
  })

  it('finds the version of a prediction from its id alone', async () => {
    await begin()
    await bench.served()
    const digest = await bench.declaredDigest()
    const id = predictionId({ at: bench.clock.now(), version: 1, digest }, new Uint8Array(10))
    const story: { sentence: string } = await ask('why.prediction', { params: { id } })
    expect(story).toMatchObject({ project, environment: 'production', version: { digest }, rollout: { state: 'done' } })
    expect(story).not.toHaveProperty('record')
    expect(story.sentence).toContain('by tumour-classifier version 1; the record itself is not kept')
  })

  it('says of a prediction of a version that it never saw what the id says, and no more', async () => {
    const id = predictionId({ at: 1_000, version: 9, digest: digestOf('stranger') }, new Uint8Array(10))
    const story: { sentence: string } = await ask('why.prediction', { params: { id } })
    expect(story).not.toHaveProperty('version')
    expect(story.sentence).toContain('1970-01-01T00:00:01.000Z by version 9')
  })

  it('compares two runs: params, metrics with sign, tags of people, data', async () => {
    await begin()
    const a = await lineage.executed('e1', { params: { depth: '3', same: 'x' }, auc: 0.95 })
    await bench.push('# nothing else\n', 'mia', 'notes.md')
    const b = await lineage.executed('e2', { params: { depth: '5', same: 'x' }, auc: 0.97, digest: digestOf('more') })
    const diff: { metrics: { difference: number }[] } = await ask('runs.diff', { query: { a: a.runId, b: b.runId } })
    expect(diff).toMatchObject({
      a: { kind: 'run', executionId: 'e1', state: 'FINISHED' },
      params: [{ name: 'depth', a: '3', b: '5' }],
      tags: [{ name: 'team', a: 'e1', b: 'e2' }],
      data: [{ name: 'biopsies', a: { digest: digestOf('data') }, b: { digest: digestOf('more') } }],
      code: { onlyA: [], onlyB: [{ id: b.commit }], files: [{ path: 'notes.md', change: 'added' }] },
      same: { params: 1, metrics: 0, data: 0 },
    })
    expect(diff.metrics).toHaveLength(1)
    expect(diff.metrics[0]!.difference).toBeCloseTo(0.02)
  })

  it('compares two executions step by step', async () => {
    await begin()
    await lineage.executed('e1', { params: { depth: '3' }, auc: Number.NaN })
    await lineage.executed('e2', { params: { depth: '4' }, auc: 0.9 })
    expect(await ask('runs.diff', { query: { a: 'e1', b: 'e2' } })).toMatchObject({
      params: [{ name: 'train.depth', a: '3', b: '4' }],
      metrics: [{ name: 'train.auc', a: 'NaN', b: 0.9 }],
      code: { files: [] },
    })
  })

  it('refuses to compare what is neither a run nor an execution', async () => {
    await expect(ask('runs.diff', { query: { a: 'nothing', b: 'e2' } })).rejects.toMatchObject({ code: 'NotFound' })
  })

  it('asks for a first push where there was none', async () => {
    expect(await ask('overview.get', { params: { project } })).toMatchObject({
      deployments: [],
      next: { who: 'you', command: 'git push modelwright main' },
    })
  })

  it('shows the promotion that waits as the next move', async () => {
    await begin('{ production: pull-request }')
    await bench.judgeModel('e1')
    const [promotion] = await bench.all()
    expect(await ask('overview.get', { params: { project } })).toMatchObject({
      promotions: [{ id: promotion!.id, version: 1 }],
      next: { who: 'you', command: `modelwright approve ${promotion!.id}` },
    })
  })

  it('shows a canary under way with its weights', async () => {
    await begin()
    await bench.secondUnderWay()
    expect(await ask('overview.get', { params: { project } })).toMatchObject({
      deployments: [
        {
          state: 'progressing',
          weights: [
            { version: 1, weight: 0.95 },
            { version: 2, weight: 0.05 },
          ],
        },
      ],
      next: { who: 'modelwright' },
    })
  })

  it('lists versions with where they serve, page by page', async () => {
    await begin()
    await bench.secondUnderWay()
    const first: { items: object[]; nextPageToken: string } = await ask('versions.list', {
      params: { project },
      query: { limit: 1 },
    })
    expect(first.items).toMatchObject([
      { version: 2, serves: [{ environment: 'production', weight: 0.05 }], declared: ['production'], barred: [] },
    ])
    const second = await ask('versions.list', { params: { project }, query: { pageToken: first.nextPageToken } })
    expect(second).toMatchObject({ items: [{ version: 1, serves: [{ weight: 0.95 }], declared: [] }] })
  })

  it('finds an audit entry that was changed', async () => {
    await begin('{ production: pull-request }')
    await bench.judgeModel('e1')
    await bench.promotions.approve((await bench.all())[0]!.id, owner)
    expect(await ask('health.get')).toMatchObject({ parkedEvents: [], audit: { entries: expect.any(Number) } })
    await bench.db.updateTable('audit').set({ actor: 'nobody' }).where('id', '=', 1).execute()
    expect(await ask('health.get')).toMatchObject({ audit: { brokenAt: 1 } })
  })
})
