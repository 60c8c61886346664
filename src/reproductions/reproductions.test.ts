import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { verifyAudit } from '../access/index.ts'
import { MemoryObjectStore } from '../adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { type Execution, ExecutionsStore, type StartRequest } from '../executions/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import { type ExecutionId, newHexId, newId, type RunId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import type { KeyParts, StepResult } from '../planning/index.ts'
import { buildManifest, parseManifest } from '../promotions/manifest.ts'
import { ReproductionsService, ReproductionsStore, reproductionEndpoints } from './index.ts'
import type { Predictions } from './reproduction.ts'

const owner: Actor = { kind: 'owner', name: 'olga' }
const project = 'tumour'
const lock = digestOf('lock')

/** What the played executor makes of the one step, pass by pass; `beside`: the metric of a step of another model, or that it failed. */
type Played = { out: string; auc: number; model?: string; fails?: boolean; beside?: number | 'failed' }

eachDatabase('reproductions', (database) => {
  let db: Db
  let now: number
  let objects: MemoryObjectStore
  let artifacts: ArtifactService
  let store: ExecutionsStore
  let service: ReproductionsService
  let started: StartRequest[]
  let play: (request: StartRequest) => Played
  let answer: Predictions
  let installed: Record<string, string>
  const clock = { now: () => now, sleep: async () => {} }

  beforeEach(async () => {
    db = await database.open()
    now = 1_772_400_000_000
    objects = new MemoryObjectStore()
    artifacts = new ArtifactService({ db, clock, objects })
    store = new ExecutionsStore(db)
    started = []
    play = () => recorded
    answer = { compared: true, rows: 3, equal: true, largest: 0 }
    installed = { python: '3.11.7', numpy: '2.0.0' }
    service = makeService()
  })
  afterEach(async () => {
    await artifacts.settler.stop()
    await db.destroy()
  })

  const recorded: Played = { out: 'rows 1', auc: 0.9 }

  /** A service as a server starts it: nothing but the stores is shared with the one before. */
  const makeService = () =>
    new ReproductionsService({
      store: new ReproductionsStore(db),
      clock,
      executions: { get, start },
      promotions: {
        manifestOf: async (digest) => parseManifest(new TextDecoder().decode(await objects.read(digest)), digest),
      },
      locks: {
        byDigest: async (digest) => ({ digest, pythonVersion: '3.11.7', requirements: 'numpy==2.0.0\n' }),
      },
      models: { ask: async () => answer, packages: async () => installed, clearUp: async () => {} },
      artifacts,
      objects,
      wake: () => {},
    })

  const get = async (id: string) => {
    const execution = await store.execution(id)
    if (!execution) throw new AppError('NotFound', 'It is not there.', 'Look elsewhere.')
    return { execution, nodes: await store.nodes(id) }
  }

  /** One per cause, as the real one. */
  const start = async (request: StartRequest) => {
    const known = await store.byCause(request.cause)
    if (known) return { execution: known, existed: true }
    started.push(request)
    return { execution: await carriedOut(request.cause, request, play(request)), existed: false }
  }

  async function carriedOut(cause: string, request: Partial<StartRequest>, played: Played): Promise<Execution> {
    const id = newId(++now) as ExecutionId
    const tree = async (path: string, text: string) => {
      const { digest, size } = await objects.put(text)
      return artifacts.storeTree({ files: [{ path, digest, size }] })
    }
    const result: StepResult = {
      runId: newHexId(now) as RunId,
      outs: { 'work/rows.csv': await tree('work/rows.csv', played.out) },
      model: {
        ...{ name: 'm', loggedModelId: 'm-1' as never },
        // MLmodel says when and by whom it was logged: not part of what the model is.
        tree: await tree('MLmodel', `flavors: {weights: ${played.model ?? 1}}\nrun_id: ${newHexId(++now)}\n`),
      },
      metrics: { auc: played.auc },
    }
    const data = { rows: { dataset: 'rows', path: 'rows.csv', digest: digestOf('rows'), size: 1 } }
    const commit = (request.commit ?? 'c'.repeat(40)) as Execution['commit']
    const execution: Execution = {
      ...{ id, project, commit, deployable: false, state: 'queued', requestedBy: 'olga', createdAt: now },
      trigger: request.trigger ?? { kind: 'push', branch: 'main', actor: 'mia' },
      ...(request.only ? { only: request.only } : {}),
      fixed: { project, commit, set: {}, data: request.pinned?.data ?? data, champions: {}, executionId: id },
    }
    const parts = {
      ...{ command: 'python t.py', files: { 'rows.csv': digestOf('rows') }, trees: [], params: {}, seed: 7 },
      ...{ environment: lock, variables: {}, outs: ['work/rows.csv'], metrics: true, checks: {} },
    } as unknown as KeyParts
    await transact(db, async (tx) => {
      const { beside } = played
      const names = beside === undefined ? ['train'] : ['train', 'beside']
      await store.create(
        tx,
        execution,
        cause,
        names.map((id) => ({ id, kind: 'step', step: id, after: [] })),
      )
      const decision = { outcome: 'runs', key: digestOf('key'), parts, reasons: [] as string[] } as const
      const change = played.fails
        ? { state: 'failed' as const, error: { code: 'StepFailed', message: 'no disk', next: 'Look.' } as const }
        : { state: 'succeeded' as const, result }
      await store.changeNode(tx, execution, 'train', { ...change, decision, runId: result.runId, startedAt: now }, now)
      if (beside !== undefined) {
        const other = { ...result, outs: {}, model: { ...result.model!, name: 'n' }, metrics: { auc: Number(beside) } }
        const end = beside === 'failed' ? { state: 'failed' as const } : { state: 'succeeded' as const, result: other }
        await store.changeNode(tx, execution, 'beside', { ...end, decision, startedAt: now }, now)
      }
      await store.setState(tx, execution, played.fails || beside === 'failed' ? 'failed' : 'succeeded', now)
    })
    return execution
  }

  /** A judged version that was made from the recorded play. */
  async function version(): Promise<Digest> {
    const { id } = await carriedOut('push', {}, recorded)
    const { nodes } = await get(id)
    const made = nodes[0]!.result!
    const { text, digest } = buildManifest({
      ...{ project, model: 'm', commit: 'c'.repeat(40) as never, execution: id, run: made.runId },
      ...{ loggedModelId: 'm-1' as never, modelTree: made.model!.tree, contentDigest: digestOf('content') },
      ...{ data: { rows: digestOf('rows') }, environmentLock: lock, params: {}, seed: 7, columns: [], createdAt: now },
      verdict: { id: 'v', outcome: 'pass', digest: digestOf('verdict') },
    })
    await objects.put(text, digest)
    await db
      .insertInto('judged_versions')
      .values({
        ...{ digest, project, model: 'm', version: 3, content_digest: digestOf('content'), execution_id: id },
        ...{ verdict_id: 'v', verdict_outcome: 'pass', created_at: now },
      })
      .execute()
    return digest
  }

  async function ask(id: string, input: { params?: object; query?: object; body?: object }): Promise<never> {
    const { route, handle } = reproductionEndpoints(service).find((one) => one.route.id === id)!
    const output = await handle({
      params: route.params?.parse(input.params),
      query: route.query?.parse(input.query ?? {}),
      body: route.body?.parse(input.body ?? {}),
      actor: owner,
    } as never)
    return route.output.parse(JSON.parse(JSON.stringify(output))) as never
  }

  const request = async (digest: Digest, body: object = {}): Promise<{ id: string }> =>
    ask('reproductions.request', { params: { digest }, body })
  const look = async (id: string): Promise<Record<string, unknown>> => {
    expect(await service.tick()).toEqual({ failures: [] })
    return ask('reproductions.get', { params: { id } })
  }

  async function judged(digest: Digest, body: object = {}, restarts = false): Promise<Record<string, unknown>> {
    const { id } = await request(digest, body)
    for (let looks = 0; looks < 20; looks++) {
      if (restarts) service = makeService()
      const seen = await look(id)
      if (seen.state !== 'running') return seen
    }
    throw new Error('It does not come to an end.')
  }

  it('takes data, lock and commit from the record, with the cache off, and finds the same bit for bit', async () => {
    const digest = await version()
    const seen = await judged(digest)
    expect(seen).toMatchObject({ state: 'judged', version: 3, comparison: { outcome: 'identical' } })
    expect(seen.sentence).toBe(
      'm version 3 was made again bit for bit: 1 file, 1 metric, 1 model of 1 step are the same.',
    )
    expect(started).toMatchObject([
      {
        ...{ commit: 'c'.repeat(40), deployable: false, fresh: 'all', set: {} },
        pinned: { data: { rows: { digest: digestOf('rows') } }, environment: lock },
        trigger: { kind: 'reproduction', model: 'm', version: 3, actor: 'olga' },
      },
    ])
  })

  it('finds out by controlled passes of the one step that it draws unseeded numbers, also when each look is another server’s', async () => {
    let drawn = 0
    play = ({ trigger }) => {
      const controls =
        trigger.kind === 'reproduction' ? (JSON.parse(trigger.controls ?? '{}') as { random?: number }) : {}
      return { out: `rows ${controls.random ?? `drawn ${drawn++}`}`, auc: 0.5 }
    }
    const seen = await judged(await version(), {}, true)
    expect(seen).toMatchObject({
      comparison: {
        outcome: 'different',
        first: { step: 'train', causes: [{ kind: 'random source', source: 'random numbers' }] },
      },
    })
    expect(started).toHaveLength(7)
    expect(started.slice(1).every(({ only, fresh }) => only === 'train' && fresh?.[0] === 'train')).toBe(true)
  })

  it('asks the models where their files differ under equal metrics', async () => {
    play = () => ({ ...recorded, model: '2' })
    const close = await judged(await version(), { tolerance: 1e-9 })
    expect(close).toMatchObject({
      comparison: {
        outcome: 'equal within tolerance',
        steps: [{ model: { same: false, predictions: { equal: true } } }],
      },
    })
    answer = { compared: false, reason: 'no input example' }
    const digest = ((await ask('reproductions.list', { params: { project } })) as { items: { digest: Digest }[] })
      .items[0]!.digest
    expect(await judged(digest)).toMatchObject({ comparison: { outcome: 'different' } })
  })

  it('looks into the environment where the same comes out here each time, and names what is not as the lock says', async () => {
    play = () => ({ out: 'here', auc: 0.5 })
    const digest = await version()
    expect(await judged(digest, {}, true)).toMatchObject({ comparison: { first: { causes: [{ kind: 'machine' }] } } })
    installed = { python: '3.11.7', numpy: '2.0.1', more: '1' }
    expect(await judged(digest)).toMatchObject({
      comparison: { first: { causes: [{ kind: 'package', name: 'numpy', was: '2.0.0', is: '2.0.1' }] } },
    })
  })

  it.each([[0.2], ['failed' as const]])('lets a step of another model have no say: %s', async (beside) => {
    play = () => ({ ...recorded, beside })
    Object.assign(recorded, { beside: 0.1 })
    const seen = await judged(await version())
    Object.assign(recorded, { beside: undefined })
    expect(seen).toMatchObject({ state: 'judged', comparison: { outcome: 'identical', compared: { steps: 1 } } })
  })

  it('says why it could not be made again', async () => {
    play = () => ({ ...recorded, fails: true })
    expect(await judged(await version())).toMatchObject({
      state: 'failed',
      error: { code: 'StepFailed', message: expect.stringContaining('no disk') },
    })
  })

  it('tries another commit with what holds there, and not with the record', async () => {
    const commit = 'd'.repeat(40)
    expect(await judged(await version(), { commit })).toMatchObject({ fromRecord: false, commit })
    expect(started[0]).not.toHaveProperty('pinned')
  })

  it('refuses a version whose execution is gone, and one that nobody made', async () => {
    const digest = await version()
    await db.deleteFrom('execution_nodes').execute()
    await db.deleteFrom('executions').execute()
    await expect(request(digest)).rejects.toMatchObject({ code: 'NotFound' })
    await expect(request(digestOf('stranger'))).rejects.toMatchObject({ code: 'NotFound' })
  })

  it.each([[{ runs: 3 }], [{ tolerance: -1 }], [{ commit: 'HEAD' }]])('refuses %o', async (body) => {
    await expect(request(digestOf('x'), body)).rejects.toThrow()
  })

  it('keeps each verdict, newest first, page by page, tells it and writes it to the audit trail', async () => {
    const digest = await version()
    const first = await judged(digest)
    const second = await judged(digest)
    const page: { items: { id: string }[]; nextPageToken: string } = await ask('reproductions.list', {
      params: { project },
      query: { limit: 1, digest },
    })
    expect(page.items.map(({ id }) => id)).toEqual([second.id])
    const next = await ask('reproductions.list', { params: { project }, query: { pageToken: page.nextPageToken } })
    expect(next).toMatchObject({ items: [{ id: first.id }] })
    const events = await db.selectFrom('events').select('payload').where('type', '=', 'reproduction.changed').execute()
    expect(events.map(({ payload }) => (JSON.parse(payload) as { state: string }).state)).toEqual([
      'running',
      'judged',
      'running',
      'judged',
    ])
    const audit = await db.selectFrom('audit').select(['action', 'actor']).execute()
    expect(audit).toContainEqual({ action: 'reproduction.request', actor: 'olga' })
    expect(audit.filter(({ action }) => action === 'reproduction.judge')).toHaveLength(2)
    expect(await verifyAudit(db)).toBeUndefined()
  })
})
