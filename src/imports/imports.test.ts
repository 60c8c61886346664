import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { RunId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import { RegistryService } from '../registry/index.ts'
import { TrackingService } from '../tracking/index.ts'
import type {
  ExperimentRecord,
  ImportRecord,
  LoggedModelRecord,
  ModelVersionRecord,
  PointsRecord,
  RegisteredModelRecord,
  RunRecord,
} from './imports-contract.ts'
import { ImportsService } from './imports-service.ts'
import { runFacts } from './item-facts-contract.ts'

const owner: Actor = { kind: 'owner', name: 'ann' }
const times = { createdAt: 500, updatedAt: 600 }
const none = { params: [], tags: [] }

const experiment = (id: string, name: string, more: Partial<ExperimentRecord> = {}): ExperimentRecord => ({
  kind: 'experiment',
  id,
  name,
  lifecycle: 'active',
  ...times,
  artifactUri: `s3://old/${id}`,
  tags: [],
  ...more,
})

const run = (id: string, more: Partial<RunRecord> = {}): RunRecord => ({
  kind: 'run',
  id,
  experiment: '3',
  name: `name of ${id}`,
  status: 'FINISHED',
  user: 'bob',
  startedAt: 100,
  endedAt: 200,
  lifecycle: 'active',
  artifactUri: `s3://old/3/${id}/artifacts`,
  artifacts: 'copied',
  ...none,
  datasets: [],
  modelInputs: [],
  modelOutputs: [],
  ...more,
})

const points = (
  of: string,
  key: string,
  values: PointsRecord['values'],
  more: Partial<PointsRecord> = {},
): PointsRecord => ({
  kind: 'points',
  run: of,
  key,
  values,
  timestamps: values.map((_, index) => 1000 + index),
  steps: values.map((_, index) => index),
  ...more,
})

const model = (id: string, more: Partial<LoggedModelRecord> = {}): LoggedModelRecord => ({
  kind: 'logged-model',
  id,
  experiment: '3',
  name: 'clf',
  status: 'READY',
  ...times,
  lifecycle: 'active',
  artifactUri: `s3://old/3/models/${id}/artifacts`,
  artifacts: 'copied',
  ...none,
  metrics: [],
  ...more,
})

const registered = (name: string, nextVersion: number): RegisteredModelRecord => ({
  kind: 'registered-model',
  name,
  ...times,
  tags: [{ key: 'a', value: 'b' }],
  nextVersion,
})

const version = (name: string, number: number, more: Partial<ModelVersionRecord> = {}): ModelVersionRecord => ({
  kind: 'model-version',
  model: name,
  version: number,
  ...times,
  stage: 'None',
  source: 's3://old/3/run1/artifacts/model',
  status: 'READY',
  tags: [],
  aliases: [],
  ...more,
})

eachDatabase('imports', (database) => {
  let db: Db
  let imports: ImportsService
  let tracking: TrackingService
  let registry: RegistryService
  let artifacts: ArtifactService
  let id: string

  beforeEach(async () => {
    db = await database.open()
    let time = 10_000
    const clock = { now: () => time++, sleep: async () => {} }
    artifacts = new ArtifactService({ db, clock, objects: new MemoryObjectStore() })
    tracking = new TrackingService({ db, clock })
    registry = new RegistryService({ db, clock })
    imports = new ImportsService({ db, clock, artifacts, tracking })
    id = await begin('http://old:5000')
  })
  afterEach(() => db.destroy())

  const begin = async (source: string, more: { artifacts?: 'copy' | 'reference'; restart?: boolean } = {}) =>
    (await imports.begin({ source, artifacts: 'copy', restart: false, ...more }, owner)).id
  const take = (...records: ImportRecord[]) => imports.take(id, { records, done: [], finished: false }, owner)
  const whole = (...runs: string[]) =>
    imports.take(
      id,
      { records: [], done: runs.map((one) => ({ kind: 'run', id: one, facts: { points: 0 } })), finished: false },
      owner,
    )
  const refusals = async (...records: ImportRecord[]) => (await take(...records)).refused.map(({ reason }) => reason)

  describe('an experiment', () => {
    it('keeps its number, name, times and state where both are free, and leaves the number to nobody else', async () => {
      await take(experiment('41', 'gone', { lifecycle: 'deleted', tags: [{ key: 'team', value: 'red' }] }))
      expect(await tracking.experiment('41')).toMatchObject({
        ...times,
        name: 'gone',
        lifecycle: 'deleted',
        tags: { team: 'red' },
      })
      expect(Number(await tracking.createExperiment({ name: 'new' }))).toBeGreaterThan(41)
    })

    it('whose number is taken or too long gets another, which its runs follow', async () => {
      expect(await tracking.createExperiment({ name: 'ours' })).toBe('1')
      await take(
        experiment('1', 'theirs'),
        experiment('732012462776342604', 'of a folder'),
        run('run1', { experiment: '1' }),
      )
      const { experimentId } = (await tracking.experimentByName('theirs'))!
      expect(experimentId).not.toBe('1')
      expect((await tracking.experimentByName('of a folder'))!.experimentId).toMatch(/^\d{1,3}$/)
      expect(await tracking.run('run1')).toMatchObject({
        experimentId,
        artifactUri: `mlflow-artifacts:/${experimentId}/run1/artifacts`,
      })
    })

    it('of a name that is here is joined, and what it has here stays', async () => {
      const ours = await tracking.createExperiment({ name: 'churn', tags: [{ key: 'team', value: 'ours' }] })
      const tags = [
        { key: 'team', value: 'theirs' },
        { key: 'note', value: 'theirs' },
      ]
      const { placed } = await take(experiment('0', 'Default'), experiment('3', 'churn', { tags }))
      expect(placed.map(({ target, joined }) => [target, joined])).toEqual([
        ['0', true],
        [ours, true],
      ])
      expect((await tracking.experiment(ours)).tags).toEqual({ team: 'ours', note: 'theirs' })
    })

    it('that was deleted there is not mixed with one of its name that lives here', async () => {
      await tracking.createExperiment({ name: 'churn' })
      await take(experiment('3', 'churn', { lifecycle: 'deleted' }))
      expect(await tracking.experimentByName('churn (imported)')).toMatchObject({ lifecycle: 'deleted' })
    })
  })

  describe('a run', () => {
    beforeEach(() => take(experiment('3', 'churn')))

    it('comes with all that it has, beyond the limits of today too', async () => {
      const long = 'x'.repeat(9000)
      const dataset = { name: 'iris', digest: 'd1', sourceType: 'local', source: '{}' }
      await take(
        run('run1', {
          lifecycle: 'deleted',
          deletedAt: 700,
          params: [{ key: 'long', value: long }],
          tags: [{ key: 'mlflow.parentRunId', value: 'run0' }],
          datasets: [{ ...dataset, tags: [{ key: 'context', value: 'training' }] }],
          modelInputs: ['m-1'],
          modelOutputs: [{ model: 'm-2', step: 4 }],
        }),
        points('run1', 'loss', [0.5, 'NaN', 'Infinity', 0.25]),
        points('run1', 'loss', [0.125, 0.25], { timestamps: [1003, 1003], steps: [3, 3] }),
      )
      expect(await tracking.run('run1')).toMatchObject({
        name: 'name of run1',
        status: 'FINISHED',
        userId: 'bob',
        startedAt: 100,
        endedAt: 200,
        lifecycle: 'deleted',
        params: { long },
        tags: { 'mlflow.parentRunId': 'run0' },
        metrics: [{ key: 'loss', step: 3, timestamp: 1003, value: 0.25 }],
        datasetInputs: [{ dataset, tags: { context: 'training' } }],
        modelInputs: ['m-1'],
        modelOutputs: [{ modelId: 'm-2', step: 4 }],
      })
      const { items } = await tracking.metricHistory('run1', 'loss')
      expect(items.map(({ step, value }) => [step, value])).toEqual([
        [0, 0.5],
        [1, Number.NaN],
        [2, Number.MAX_VALUE],
        [3, 0.125],
        [3, 0.25],
      ])
    })

    it('is found by what it logged', async () => {
      await take(
        run('run1', { experiment: '3', params: [{ key: 'depth', value: '3' }] }),
        run('run2', { experiment: '3' }),
        points('run1', 'auc', [0.9]),
      )
      const search = { experimentIds: ['3'], limit: 10 }
      const found = async (filter: string) =>
        (await tracking.searchRuns({ ...search, filter })).items.map(({ runId }) => runId)
      expect(await found("metrics.auc > 0.5 AND params.depth = '3'")).toEqual(['run1'])
    })

    it('the same batch again changes nothing', async () => {
      const batch = [run('run1', { params: [{ key: 'p', value: '1' }] }), points('run1', 'loss', [1, 2, 3])]
      await take(...batch)
      const before = [await tracking.run('run1'), await tracking.metricHistory('run1', 'loss')]
      expect(await take(...batch)).toMatchObject({ taken: 2, refused: [] })
      expect([await tracking.run('run1'), await tracking.metricHistory('run1', 'loss')]).toEqual(before)
    })

    it('that is here from elsewhere is refused by name and left as it is, and the others are taken', async () => {
      const theirs = { runId: 'run1' as RunId, experimentId: '0', name: 'ours', startedAt: 1 }
      await transact(db, (tx) => tracking.startRun(tx, theirs))
      const { refused, taken } = await take(run('run1'), points('run1', 'loss', [1]), run('run2'))
      expect(refused.map(({ kind, name }) => [kind, name])).toEqual([
        ['run', 'run1'],
        ['points', 'run1 loss'],
      ])
      expect(refused[0]!.reason).toBe('run run1 is here already and did not come from this source')
      expect(taken).toBe(1)
      expect(await tracking.run('run1')).toMatchObject({ name: 'ours', metrics: [] })
      expect(await begin('http://another:5000').then((other) => imports.left(other, 'run', ['run2']))).toEqual(['run2'])
    })

    it('that ran on at the source takes over how it ended; what was changed here stays', async () => {
      await take(run('run1', { status: 'RUNNING', endedAt: undefined, tags: [{ key: 'k', value: 'first' }] }))
      await transact(db, (tx) => tracking.setTags(tx, 'run1', [{ key: 'k', value: 'ours' }]))
      await take(run('run1', { status: 'FAILED', endedAt: 300, tags: [{ key: 'k', value: 'theirs' }] }))
      expect(await tracking.run('run1')).toMatchObject({ status: 'FAILED', endedAt: 300, tags: { k: 'ours' } })
    })

    it.each([
      ['of an id that is none', run('a b')],
      ['of an experiment that was not taken', run('run9', { experiment: '99' })],
      ['with NUL in a text', run('run9', { params: [{ key: 'p', value: 'a\0b' }] })],
    ])('%s is refused', async (_, record) => {
      expect(await refusals(record)).toHaveLength(1)
    })

    it.each([
      ['a name that is a path elsewhere', points('run1', '../m', [1])],
      ['a time before 1970', points('run1', 'm', [1], { timestamps: [-1] })],
      ['columns of different lengths', points('run1', 'm', [1], { steps: [1, 2] })],
    ])('points with %s are refused, and the run is taken', async (_, record) => {
      expect(await refusals(run('run1'), record)).toHaveLength(1)
      expect(await tracking.run('run1')).toMatchObject({ metrics: [] })
    })
  })

  describe('the registry', () => {
    beforeEach(() => take(experiment('3', 'churn'), run('run1'), model('m-12345678')))

    it('keeps numbers, stages, tags and aliases, and gives no number again', async () => {
      await take(
        registered('clf', 8),
        version('clf', 2, {
          stage: 'Production',
          description: 'two',
          tags: [{ key: 't', value: 'u' }],
          aliases: ['best'],
        }),
        version('clf', 5),
      )
      expect(await registry.versionByAlias('clf', 'best')).toMatchObject({
        version: 2,
        stage: 'Production',
        description: 'two',
        tags: { t: 'u' },
        origin: 'client',
        createdAt: 500,
      })
      expect((await registry.versions('clf')).map((one) => one.version)).toEqual([5, 2])
      expect((await registry.createVersion({ model: 'clf', source: 's', origin: 'client' })).version).toBe(8)
    })

    it('brings a version to where the artifacts of its run or model lie now', async () => {
      await take(
        registered('clf', 5),
        version('clf', 1, { run: 'run1' }),
        version('clf', 2, { source: 'runs:/run1/model', run: 'run1' }),
        version('clf', 3, { source: 'models:/m-12345678', loggedModel: 'm-12345678' }),
        version('clf', 4, { source: 's3://elsewhere/model' }),
      )
      const places = (await registry.versions('clf')).map((one) => [one.version, one.source, one.storageLocation])
      expect(places).toEqual([
        [4, 's3://elsewhere/model', 's3://elsewhere/model'],
        [3, 'models:/m-12345678', 'mlflow-artifacts:/3/models/m-12345678/artifacts'],
        [2, 'runs:/run1/model', 'mlflow-artifacts:/3/run1/artifacts/model'],
        [1, 'mlflow-artifacts:/3/run1/artifacts/model', 'mlflow-artifacts:/3/run1/artifacts/model'],
      ])
    })

    it('refuses a model of a name that is here from elsewhere, with its versions', async () => {
      await registry.createModel({ name: 'clf' })
      expect(await refusals(registered('clf', 2), version('clf', 1))).toEqual([
        'registered model "clf" is here already and did not come from this source',
        'registered model "clf" was not taken',
      ])
      expect(await registry.versions('clf')).toEqual([])
    })

    it('leaves an alias that was moved here', async () => {
      const batch = [registered('clf', 3), version('clf', 1, { aliases: ['best'] }), version('clf', 2)]
      await take(...batch)
      await registry.setAlias('clf', 'best', 2)
      await take(...batch)
      expect((await registry.versionByAlias('clf', 'best')).version).toBe(2)
    })
  })

  describe('carrying on', () => {
    it('is one import per source, which knows what is whole; restarted it looks at everything anew', async () => {
      await take(experiment('3', 'churn'), run('run1'), run('run2'))
      await whole('run1')
      expect(await begin('http://old:5000')).toBe(id)
      expect(await imports.left(id, 'run', ['run1', 'run2', 'run3'])).toEqual(['run2', 'run3'])
      await begin('http://old:5000', { restart: true })
      expect(await imports.left(id, 'run', ['run1'])).toEqual(['run1'])
      expect(await tracking.run('run1')).toBeDefined()
    })

    it('keeps to the way in which artifacts are treated', async () => {
      await expect(begin('http://old:5000', { artifacts: 'reference' })).rejects.toMatchObject({ code: 'Conflict' })
      await expect(begin('http://old:5000', { artifacts: 'reference', restart: true })).resolves.toBe(id)
    })

    it('with artifacts by reference leaves their addresses as they are', async () => {
      id = await begin('http://other:5000', { artifacts: 'reference' })
      await take(experiment('3', 'churn'), run('run1', { artifacts: 'there' }))
      expect((await tracking.experiment('3')).artifactLocation).toBe('s3://old/3')
      expect((await tracking.run('run1')).artifactUri).toBe('s3://old/3/run1/artifacts')
    })
  })

  describe('the comparison', () => {
    const record = run('run1', { params: [{ key: 'p', value: '1' }] })
    const latest = [{ key: 'loss', value: 0.5, timestamp: 1000, step: 0 }]
    const told = (more: { points?: number; size?: number } = {}) => ({
      kind: 'run' as const,
      id: 'run1',
      facts: runFacts(record, {
        latest,
        points: more.points ?? 1,
        artifacts: [{ path: 'a.txt', size: more.size ?? 3 }],
      }),
    })
    beforeEach(async () => {
      await take(experiment('3', 'churn'), record, points('run1', 'loss', [0.5]))
      await artifacts.files.put('3/run1/artifacts/a.txt', 'abc')
    })

    it('finds nothing where everything came', async () => {
      await imports.take(id, { records: [], done: [told()], finished: true }, owner)
      expect(await imports.compare(id, 'run', ['run1'])).toEqual({
        here: 1,
        source: { points: 1, files: 1, bytes: 3 },
        ours: { points: 1, files: 1, bytes: 3 },
        differences: [],
      })
    })

    it('tells what is missing, what differs, and what never came', async () => {
      const done = [told({ points: 2, size: 4 })]
      await imports.take(id, { records: [], done, finished: true }, owner)
      const { here, differences } = await imports.compare(id, 'run', ['run1', 'run2'])
      expect(here).toBe(1)
      expect(differences.map(({ id: which, what }) => [which, what])).toEqual([
        ['run1', 'points'],
        ['run1', 'bytes'],
        ['run1', 'artifacts'],
        ['run2', 'all'],
      ])
    })

    it('tells what was changed here since', async () => {
      await imports.take(id, { records: [], done: [told()], finished: true }, owner)
      await transact(db, (tx) => tracking.setTags(tx, 'run1', [{ key: 'new', value: 'tag' }]))
      const { differences } = await imports.compare(id, 'run', ['run1'])
      expect(differences.map(({ what }) => what)).toEqual(['tags'])
    })
  })
})
