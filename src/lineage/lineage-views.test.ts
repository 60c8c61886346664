import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { type Execution, ExecutionsStore } from '../executions/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import type { CommitId, ExecutionId, LoggedModelId, RunId } from '../kernel/ids.ts'
import type { KeyParts } from '../planning/index.ts'
import { RegistryService } from '../registry/index.ts'
import { findThings } from './decide/find-things.ts'
import { lineageGraph, walk } from './decide/lineage-graph.ts'
import { LineageViews } from './lineage-views.ts'
import { RowService } from './row-service.ts'

const project = 'tumour'
const commit = 'c'.repeat(40) as CommitId

eachDatabase('what is recorded of lineage', (database) => {
  let db: Db
  let objects: MemoryObjectStore
  let artifacts: ArtifactService
  let views: LineageViews
  let now: number
  const clock = { now: () => now, sleep: async () => {} }

  beforeEach(async () => {
    db = await database.open()
    now = 1_772_400_000_000
    objects = new MemoryObjectStore()
    artifacts = new ArtifactService({ db, clock, objects })
    views = new LineageViews({ db, artifacts })
  })
  afterEach(async () => {
    await artifacts.settler.stop()
    await db.destroy()
  })

  const runId = '1'.repeat(32) as RunId

  /** An execution whose one step trained on the data; `reused`: it took the result of an earlier one. */
  async function executed(
    id: string,
    data: Digest,
    how: { reused?: boolean; reproduction?: boolean } = {},
  ): Promise<void> {
    const trigger = how.reproduction
      ? ({ kind: 'reproduction', actor: 'mia', model: 'm', version: 1 } as const)
      : ({ kind: 'push', branch: 'main', actor: 'mia' } as const)
    const execution: Execution = {
      ...{ id: id as ExecutionId, project, commit, trigger, deployable: true, state: 'queued', requestedBy: 'mia' },
      ...{ createdAt: now, fixed: { project, commit, set: {}, champions: {}, executionId: id, data: {} } },
    }
    execution.fixed.data = { rows: { dataset: 'rows', path: 'data/rows.csv', digest: data, size: 1 } }
    const parts = { files: { 'data/rows.csv': data }, trees: [], environment: 'none' } as unknown as KeyParts
    const result = {
      ...{ runId, outs: {}, metrics: {} },
      model: { name: 'm', loggedModelId: 'm-1' as LoggedModelId, tree: digestOf('tree') },
    }
    await transact(db, async (tx) => {
      await store().create(tx, execution, id, [{ id: 'train', kind: 'step', step: 'train', after: [] }])
      const state = how.reused ? 'reused' : 'succeeded'
      const decision = {
        outcome: how.reused ? 'reused' : 'runs',
        key: digestOf('k'),
        parts,
        reasons: [] as string[],
      } as const
      const run = how.reproduction ? ('2'.repeat(32) as RunId) : runId
      await store().changeNode(
        tx,
        execution,
        'train',
        { state, decision, runId: run, result: { ...result, runId: run }, endedAt: now },
        now,
      )
    })
  }
  const store = () => new ExecutionsStore(db)

  async function registered(): Promise<Digest> {
    const digest = digestOf('manifest')
    const registry = new RegistryService({ db, clock })
    await transact(db, (tx) =>
      registry.registerVersion(tx, {
        ...{ model: 'm', source: 'models:/m-1', origin: 'modelwright', project, manifestDigest: digest },
        ...{ contentDigest: digestOf('content'), loggedModelId: 'm-1' as LoggedModelId },
      } as never),
    )
    const verdict = {
      verdict_id: 'v',
      verdict_outcome: 'pass',
      execution_id: 'e1',
      content_digest: digestOf('content'),
    }
    await db
      .insertInto('judged_versions')
      .values({ digest, project, model: 'm', version: 1, created_at: now, ...verdict })
      .execute()
    await db
      .insertInto('served_versions')
      .values({ project, environment: 'production', digest, version: 1, served_at: now + 5 })
      .execute()
    return digest
  }

  it('leads from a dataset to the deployment of what was trained on it, each run once, reproductions left out', async () => {
    await executed('e1', digestOf('rows 1'))
    await executed('e2', digestOf('rows 1'), { reused: true })
    await executed('e3', digestOf('rows 1'), { reproduction: true })
    await registered()
    const { facts, cut } = await views.factsOf(project)
    expect(cut).toBe(false)
    expect(facts.runs).toMatchObject([{ runId, executionId: 'e1', step: 'train' }])
    const graph = lineageGraph(facts)
    const starts = findThings(graph, 'rows').map(({ id }) => id)
    expect(walk(graph, starts, { direction: 'down', depth: 9 }).things.map(({ name }) => name)).toEqual([
      'data rows',
      'train',
      'model m',
      'm v1',
      'production: m v1',
    ])
    expect((await views.factsOf('other')).facts.runs).toEqual([])
  })

  const rows = (file: { key?: string; path?: string } = { key: 'id' }) =>
    new RowService({
      ...{ objects, artifacts, lineage: views },
      projects: {
        desiredHead: async () => commit,
        fileAt: async () => ({ file: { data: { rows: { path: 'data/rows.csv', checks: [], ...file } } } }) as never,
      },
    })

  async function dataset(text: string): Promise<Digest> {
    const { digest } = await objects.put(text)
    const version = { project, dataset: 'rows', digest, rows: undefined, createdAt: ++now }
    await transact(db, (tx) =>
      artifacts.recordDatasetVersion(tx, { ...version, origin: { kind: 'git', path: 'data/rows.csv' } }),
    )
    return digest
  }

  it('finds the versions of a dataset that hold a row, and the models that came of them', async () => {
    const first = await dataset('id,x\nP-1,1\n"P,2",2\n')
    const second = await dataset('id,x\nP-1,1\n')
    await executed('e1', first)
    await registered()
    const found = await rows().find(project, 'rows', 'P,2')
    expect(found).toMatchObject({
      ...{ keyColumn: 'id', looked: 2, unread: [] },
      versions: [{ digest: first, row: 2, origin: 'git' }],
      models: [{ name: 'm v1', serves: ['production'] }],
    })
    const both = await rows().find(project, 'rows', 'P-1')
    expect(both.versions.map(({ digest, models }) => [digest, models.length])).toEqual([
      [second, 0],
      [first, 1],
    ])
    // A beginning of a key is another key.
    expect((await rows().find(project, 'rows', 'P')).versions).toEqual([])
  })

  it('says which versions it could not search, and why', async () => {
    await dataset('other,x\n1,2\n')
    const gone = await dataset('id\n1\n')
    await objects.remove(gone)
    const { unread, versions } = await rows().find(project, 'rows', '1')
    expect(versions).toEqual([])
    expect(unread.map(({ reason }) => reason)).toEqual(['its content is not kept any more', 'it has no column "id"'])
    const image = await rows({ key: 'id', path: 'images.zip' }).find(project, 'rows', '1')
    expect(image.unread[0]!.reason).toContain('not in .zip')
  })

  it('asks for a key where the dataset declares none, and for a dataset that there is', async () => {
    await expect(rows({}).find(project, 'rows', '1')).rejects.toMatchObject({ code: 'Conflict' })
    await expect(rows().find(project, 'row', '1')).rejects.toMatchObject({ code: 'NotFound' })
  })
})
