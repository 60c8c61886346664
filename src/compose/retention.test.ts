import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { sql } from 'kysely'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { AccessService, ownerTokenAt, PermissionsService } from '../access/index.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../artifacts/index.ts'
import type { CliContext } from '../cli/context.ts'
import { type GcOptions, gc } from '../cli/gc.ts'
import { type Db, transact } from '../db/index.ts'
import { EvaluationsService, ReviewQueuesService } from '../evaluations/index.ts'
import { ImportsService } from '../imports/index.ts'
import { createClient } from '../kernel/client.ts'
import { canonicalJson, type Digest } from '../kernel/digest.ts'
import { newHexId, type RunId } from '../kernel/ids.ts'
import { RegistryService } from '../registry/index.ts'
import { TracesService } from '../traces/index.ts'
import { purgeStep, TrackingService } from '../tracking/index.ts'
import { digestColumns, otherDigests } from './digest-columns.ts'
import { createHttpApp, mountEndpoints } from './http/app.ts'
import { Retention, retentionEndpoints } from './retention.ts'

const day = 24 * 3_600_000

eachDatabase('retention', (database) => {
  let db: Db
  let now: number
  let objects: MemoryObjectStore
  let artifacts: ArtifactService
  let tracking: TrackingService
  let traces: TracesService
  let permissions: PermissionsService
  let retention: Retention
  const clock = { now: () => now, sleep: async () => {} }
  const log = pino({ level: 'silent' })
  const running = new AbortController().signal

  beforeEach(async () => {
    now = 1_760_000_000_000
    db = await database.open()
    objects = new MemoryObjectStore()
    artifacts = new ArtifactService({ db, clock, objects })
    tracking = new TrackingService({ db, clock })
    traces = new TracesService({ db, clock, tracking })
    permissions = new PermissionsService({ db, clock, defaultPermission: 'READ' })
    retention = makeRetention()
  })
  afterEach(async () => {
    await artifacts.settler.stop()
    await db.destroy()
  })

  const makeRetention = () =>
    new Retention({
      db,
      clock,
      log,
      objects,
      artifacts,
      tracking,
      traces,
      imports: new ImportsService({ db, clock, artifacts, tracking }),
      permissions,
      environments: { removeUnused: async () => [] },
      retentionMs: 30 * day,
    })

  const startRun = async (experimentId: string, points = 3) => {
    const runId = newHexId(now) as RunId
    await transact(db, async (tx) => {
      await tracking.startRun(tx, { runId, experimentId, name: 'r', userId: 'u', startedAt: now })
      await tracking.logParams(tx, runId, [{ key: 'p', value: '1' }])
      await tracking.logMetrics(
        tx,
        runId,
        Array.from({ length: points }, (_, step) => ({ key: 'm', value: step, timestamp: now, step })),
      )
      await tracking.setTags(tx, runId, [{ key: 't', value: '1' }])
    })
    await artifacts.files.put(`${experimentId}/${runId}/artifacts/a.txt`, `of ${runId}`)
    return runId
  }
  const deleteRun = (runId: string) => transact(db, (tx) => tracking.setRunLifecycle(tx, runId, 'deleted'))
  const rowsIn = async (...tables: string[]) => {
    const counts: Record<string, number> = {}
    for (const table of tables) {
      const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(db)
      counts[table] = Number(rows[0]!.n)
    }
    return counts
  }
  const runTables = [
    'runs',
    'run_params',
    'run_tags',
    'metric_series',
    'metric_points',
    'metric_arrivals',
    'artifact_files',
  ]
  const nothing = Object.fromEntries(runTables.map((table) => [table, 0]))

  it('purges a deleted run with all that it logged once its time is over, not before', async () => {
    const runId = await startRun('0')
    await deleteRun(runId)
    now += 29 * day
    await retention.pass(running)
    expect((await tracking.run(runId)).metrics).toHaveLength(1)
    now += 2 * day
    await retention.pass(running)
    await expect(tracking.run(runId)).rejects.toMatchObject({ code: 'NotFound' })
    expect(await rowsIn(...runTables)).toEqual(nothing)
  })

  it('leaves active runs, and deleted ones that were restored in time', async () => {
    const [active, restored] = [await startRun('0'), await startRun('0')]
    await deleteRun(restored)
    now += 20 * day
    await transact(db, (tx) => tracking.setRunLifecycle(tx, restored, 'active'))
    now += 20 * day
    await retention.pass(running)
    for (const runId of [active, restored])
      expect((await tracking.metricHistory(runId, 'm')).items.map((point) => point.value)).toEqual([0, 1, 2])
  })

  it('frees the name of a deleted experiment at once when its time is over, and takes its runs along', async () => {
    const experimentId = await tracking.createExperiment({ name: 'churn', tags: [{ key: 'k', value: 'v' }] })
    await startRun(experimentId)
    await startRun(experimentId)
    await tracking.setExperimentLifecycle(experimentId, 'deleted')
    await expect(tracking.createExperiment({ name: 'churn' })).rejects.toMatchObject({ code: 'AlreadyExists' })
    now += 31 * day
    await retention.collect({}, 'test')
    expect(await tracking.createExperiment({ name: 'churn' })).not.toBe(experimentId)
    await expect(tracking.setExperimentLifecycle(experimentId, 'active')).rejects.toMatchObject({ code: 'NotFound' })
    await retention.pass(running)
    await expect(tracking.experiment(experimentId)).rejects.toMatchObject({ code: 'NotFound' })
    expect(await rowsIn(...runTables, 'experiment_tags')).toEqual({ ...nothing, experiment_tags: 0 })
  })

  describe('an experiment with all that other rooms keep of it', () => {
    const fill = async (experimentId: string) => {
      const evaluations = new EvaluationsService({ db, clock, tracking })
      const queues = new ReviewQueuesService({ db, clock, tracking, traces })
      const runId = await startRun(experimentId)
      const trace = { experimentId, startedAt: now, metadata: { m: '1' }, tags: { t: '1' } }
      const { traceId } = await traces.begin(trace)
      await traces.linkToRun([traceId], runId)
      await evaluations.createIssue({ experimentId, name: 'slow', description: 'd', sourceRunId: runId })
      await evaluations.createDataset({ name: `d${experimentId}`, experimentIds: [experimentId], tags: {} })
      await evaluations.labelSchemas(experimentId, { limit: 10 })
      const queue = await queues.ofUser(experimentId, 'ann')
      await queues.addItems(queue.queueId, [traceId])
      const experiment_id = Number(experimentId)
      const scorer_id = `s${experimentId}`
      await db.insertInto('scorers').values({ scorer_id, experiment_id, name: 's' }).execute()
      const versions = Array.from({ length: 1200 }, (_, version) => ({
        scorer_id,
        version,
        serialized: '{}',
        created_at: 0,
      }))
      await db.insertInto('scorer_versions').values(versions).execute()
      const online = { scorer_id, config_id: 'c', experiment_id, sample_rate: 1, filter: null }
      await db.insertInto('scorer_online_configs').values(online).execute()
      const span = {
        trace_id: traceId,
        name: 's',
        status: 'OK',
        start_ns: '1',
        start_ms: 1,
        content: '{}',
        experiment_id,
      }
      const spans = Array.from({ length: 1200 }, (_, index) => ({ ...span, span_id: String(index) }))
      await db
        .insertInto('trace_spans')
        .values(spans as never)
        .execute()
      const item = { import_id: 'i', joined: 0, source_uri: null, target_uri: null, facts: null }
      for (const [kind, target_id] of [
        ['experiment', experimentId],
        ['run', runId],
      ] as const)
        await db
          .insertInto('import_items')
          .values({ ...item, kind, source_id: target_id, target_id })
          .execute()
      for (const [resource_type, pattern] of [
        ['experiment', experimentId],
        ['scorer', `${experimentId}/s`],
      ] as const)
        await db
          .insertInto('user_permissions')
          .values({ user_id: 1, resource_type, pattern, permission: 'EDIT' })
          .execute()
    }
    const rowsInAll = async () => {
      const names = (await db.introspection.getTables()).map((table) => table.name)
      const kept = ['audit', 'evaluation_datasets', 'unreferenced_objects', 'metric_arrivals', 'metric_points']
      return rowsIn(...names.filter((name) => !kept.includes(name)).sort())
    }

    it('goes without a row that is left, and takes none of another experiment, whose id begins alike, along', async () => {
      await db.insertInto('users').values({ name: 'ann', password_hash: null, admin: 0, created_at: 0 }).execute()
      const ids: string[] = []
      for (let n = 0; n < 10; n++) ids.push(await tracking.createExperiment({ name: `e${n}` }))
      const [gone, kept] = [ids[0]!, ids[9]!]
      await fill(kept)
      const before = await rowsInAll()
      await fill(gone)
      expect(Object.values(await rowsInAll()).reduce((sum, n) => sum + n)).toBeGreaterThan(2400)
      await tracking.setExperimentLifecycle(gone, 'deleted')
      now += 31 * day
      await retention.pass(running)
      expect(await rowsInAll()).toEqual({ ...before, experiments: before.experiments! - 1 })
      expect(await rowsIn('metric_points', 'metric_arrivals')).toEqual({ metric_points: 3, metric_arrivals: 0 })
    })

    it('goes in the end however often its purge is broken off', async () => {
      await db.insertInto('users').values({ name: 'ann', password_hash: null, admin: 0, created_at: 0 }).execute()
      const before = await rowsInAll()
      const gone = await tracking.createExperiment({ name: 'gone' })
      await fill(gone)
      await tracking.setExperimentLifecycle(gone, 'deleted')
      now += 31 * day
      await retention.collect({}, 'test')
      for (let passes = 0; (await retention.state()).left.experiments > 0; passes++) {
        expect(passes).toBeLessThan(50)
        // Read before each step: the pass ends with the second.
        let reads = 0
        const brokenOff = {
          get aborted() {
            return reads++ > 0
          },
        } as AbortSignal
        await makeRetention().pass(brokenOff)
      }
      expect(await rowsInAll()).toEqual(before)
    })
  })

  it('leaves the artifacts of an experiment that was given the same place', async () => {
    const first = await tracking.createExperiment({ name: 'first' })
    const { artifactLocation } = await tracking.experiment(first)
    const second = await tracking.createExperiment({ name: 'second', artifactLocation })
    const mine = `${first}/of-the-second/artifacts/a.txt`
    await artifacts.files.put(mine, 'of the second')
    await tracking.setExperimentLifecycle(first, 'deleted')
    now += 31 * day
    await retention.pass(running)
    expect(await tracking.experimentByName('first')).toBeUndefined()
    expect((await tracking.experiment(second)).artifactLocation).toBe(artifactLocation)
    expect(await artifacts.files.find(mine)).toBeDefined()
  })

  it('goes on where it was after it was interrupted, in pieces however many points a metric has', async () => {
    const runId = await startRun('0', 7_000)
    const other = await startRun('0', 5)
    await tracking.settleMetrics()
    await deleteRun(runId)
    now += 31 * day
    await retention.collect({}, 'test')
    const nowhereElse = { artifacts: async () => 0, kept: async () => 0 }
    for (let step = 0; step < 3; step++) expect(await purgeStep(db, nowhereElse)).toBe(true)
    const { metric_points } = await rowsIn('metric_points')
    expect(metric_points).toBeGreaterThan(2_000)
    expect(metric_points).toBeLessThan(5_000)
    await makeRetention().pass(running)
    expect(await rowsIn('runs', 'metric_points')).toEqual({ runs: 1, metric_points: 5 })
    expect((await tracking.run(other)).metrics).toHaveLength(1)
  })

  it('keeps a run, and its experiment, as long as a registered version lies in it', async () => {
    const registry = new RegistryService({ db, clock })
    const experimentId = await tracking.createExperiment({ name: 'kept' })
    const runId = await startRun(experimentId)
    await registry.createModel({ name: 'm' })
    const source = `mlflow-artifacts:/${experimentId}/${runId}/artifacts/model`
    await registry.createVersion({ model: 'm', source, storageLocation: source, origin: 'client' })
    await tracking.setExperimentLifecycle(experimentId, 'deleted')
    now += 31 * day
    await retention.pass(running)
    expect((await tracking.run(runId)).lifecycle).toBe('deleted')
    await expect(retention.collect({ runs: [runId] }, 'test')).rejects.toMatchObject({ code: 'Conflict' })
    await registry.deleteVersion('m', 1)
    await retention.pass(running)
    expect(await rowsIn('runs')).toEqual({ runs: 0 })
  })

  it('frees an object when nothing refers to it any more, and keeps what a folder, a manifest or a path names', async () => {
    const put = async (text: string) => (await objects.put(text)).digest
    const [inTree, lone] = [await put('in a folder'), await put('lone')]
    const file = (digest: Digest) => ({ path: 'f', digest, size: 11 })
    const tree = await artifacts.storeTree({ files: [file(inTree)] })
    const manifest = await put(canonicalJson({ schema: 'a manifest', modelTree: tree }))
    await artifacts.files.put('0/kept', 'by path')
    await transact(db, (tx) =>
      artifacts.recordDatasetVersion(tx, {
        project: 'p',
        dataset: 'd',
        digest: manifest,
        rows: 1,
        origin: { kind: 'git', path: 'x' },
        createdAt: now,
      }),
    )
    const rehearsal = await retention.collect({ dryRun: true }, 'test')
    expect(rehearsal.wouldFree).toEqual({ objects: 1, bytes: 4, waiting: 0 })
    await retention.collect({}, 'test')
    await retention.pass(running)
    expect([await objects.has(lone), (await retention.state()).swept]).toEqual([
      true,
      { objects: 0, bytes: 0, waiting: 1 },
    ])
    await retention.collect({ graceMs: 0 }, 'test')
    await retention.pass(running)
    expect((await retention.state()).swept).toEqual({ objects: 1, bytes: 4, waiting: 0 })
    expect(await objects.has(lone)).toBe(false)
    for (const digest of [inTree, tree, manifest]) expect(await objects.has(digest)).toBe(true)
    expect((await artifacts.files.treeUnder('0')).files).toHaveLength(1)
  })

  it('forgets that nothing referred to an object once something does again', async () => {
    const { digest } = await objects.put('wanted again')
    await retention.collect({}, 'test')
    await retention.pass(running)
    expect(await rowsIn('unreferenced_objects')).toEqual({ unreferenced_objects: 1 })
    await artifacts.files.put('0/again', 'wanted again')
    await retention.collect({ graceMs: 0 }, 'test')
    await retention.pass(running)
    expect([await objects.has(digest), await rowsIn('unreferenced_objects')]).toEqual([
      true,
      { unreferenced_objects: 0 },
    ])
  })

  it('frees uploads that were given up, and bytes that came in for none', async () => {
    const uploadId = await artifacts.files.beginUpload('0/given-up', 2)
    await artifacts.uploads.putPart(uploadId, 1, Readable.from([Buffer.from('x')]), undefined)
    await objects.receive(Readable.from([Buffer.from('orphan')]))
    now += 2 * day
    await retention.collect({ graceMs: 0 }, 'test')
    await retention.pass(running)
    const left: string[] = []
    for await (const id of objects.listReceived()) left.push(id)
    expect([left, await rowsIn('uploads', 'upload_parts')]).toEqual([[], { uploads: 0, upload_parts: 0 }])
  })

  it('gives digests to what a killed server left without', async () => {
    const bytes = Buffer.alloc(2_000_000, 'u')
    const { id, size, checksum } = await objects.receive(Readable.from([bytes]))
    await db
      .insertInto('uploads')
      .values({
        upload_id: 'u',
        path: '0/u',
        created_at: 0,
        touched_at: 0,
        part_count: 1,
        state: 'complete',
        digest: null,
      })
      .execute()
    await db
      .insertInto('upload_parts')
      .values({ upload_id: 'u', part_number: 1, received_id: id, size, checksum })
      .execute()
    await db
      .insertInto('artifact_files')
      .values({ path: '0/u', digest: '', size, created_at: 0, upload_id: 'u' })
      .execute()
    await retention.pass(running)
    expect((await db.selectFrom('artifact_files').selectAll().execute())[0]).toMatchObject({
      digest: (await objects.put(bytes)).digest,
      upload_id: null,
    })
  })

  it('knows every column in which a digest may stand', async () => {
    const tables = await db.introspection.getTables()
    const named = tables.flatMap((table) =>
      table.columns.filter((column) => /digest/.test(column.name)).map((column) => `${table.name}.${column.name}`),
    )
    const known = digestColumns.flatMap(({ table, columns }) => columns.map((column) => `${table}.${String(column)}`))
    const missing = named.filter((name) => !known.includes(name) && !(name in otherDigests))
    expect(missing).toEqual([])
  })

  describe('the gc command', () => {
    let folder: string
    let app: ReturnType<typeof createHttpApp>
    let url: string
    let token: string
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'modelwright-gc-'))
      const ownerTokenPath = join(folder, 'owner.token')
      const access = new AccessService({ db, clock, ownerTokenPath })
      await access.prepareOwnerToken()
      token = ownerTokenAt(ownerTokenPath)!
      app = createHttpApp({
        log,
        loopback: true,
        allowedHosts: [],
        authenticate: (authorization) => access.authenticate(authorization),
      })
      mountEndpoints(
        app,
        retentionEndpoints(retention, () => void retention.pass(running)),
      )
      url = await app.listen({ port: 0, host: '127.0.0.1' })
    })
    afterEach(async () => {
      await app.close()
      rmSync(folder, { recursive: true })
    })

    const run = async (options: GcOptions, as: { token?: string; json?: boolean } = { token }) => {
      let out = ''
      const context = {
        io: { out: (text: string) => (out += text), json: as.json ?? false },
        client: async () => createClient({ baseUrl: url, ...(as.token ? { token: as.token } : {}) }),
      } as unknown as CliContext
      const code = await gc(context, { everyMs: 5, ...options })
      return { code, out }
    }

    it('tells what would go, then purges it and frees what was only there', async () => {
      const runId = await startRun('0')
      await deleteRun(runId)
      now += 2 * day
      expect((await run({})).out).toMatch(/^Purged: 0 experiments, 0 runs of their own, 0 logged models\.\n/)
      const rehearsed = await run({ olderThan: '1d', dryRun: true })
      expect(rehearsed.out).toMatch(/^Would be purged: 0 experiments, 1 run of its own, 0 logged models\.\n/)
      const { code, out } = await run({ olderThan: '1d', grace: '0s' })
      expect([code, out]).toEqual([
        0,
        'Purged: 0 experiments, 1 run of its own, 0 logged models.\nFreed: 1 object, 35 B.\n',
      ])
      expect(await rowsIn('runs')).toEqual({ runs: 0 })
    })

    it('gives JSON, and purges only what is named', async () => {
      const ids: string[] = []
      for (const name of ['one', 'two']) {
        const id = await tracking.createExperiment({ name })
        await tracking.setExperimentLifecycle(id, 'deleted')
        ids.push(id)
      }
      const { out } = await run({ olderThan: '0s', experiments: ids[0]! }, { token, json: true })
      expect(JSON.parse(out)).toMatchObject({
        experiments: [{ experimentId: ids[0], name: 'one' }],
        runs: [],
        left: { experiments: 0 },
      })
      expect((await tracking.experiment(ids[1]!)).name).toBe('two')
    })

    it('refuses what is not deleted, what is no duration, and whoever is not the owner', async () => {
      const runId = await startRun('0')
      await expect(run({ olderThan: '0s', runs: runId })).rejects.toMatchObject({ code: 'Conflict' })
      await expect(run({ olderThan: 'soon' })).rejects.toMatchObject({ code: 'BadRequest' })
      await expect(run({}, {})).rejects.toMatchObject({ code: 'Unauthenticated' })
      expect((await tracking.run(runId)).lifecycle).toBe('active')
    })
  })
})
