import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { executionIn } from '../../test/support/executions.ts'
import { processorMs } from '../../test/support/processor-time.ts'
import { type Db, transact } from '../db/index.ts'
import { digestOf } from '../kernel/digest.ts'
import type { ExecutionId } from '../kernel/ids.ts'
import type { PlanNode } from '../planning/index.ts'
import { foldNodes } from './decide/fold-nodes.ts'
import { ExecutionsStore } from './executions-store.ts'

const execution = executionIn('queued')

const step = (id: string, after: string[] = []): PlanNode => ({ id, kind: 'step', step: id, after })
const group: PlanNode = { id: 'each', kind: 'fan-out', step: 'each', after: ['list'] }
const items = (count: number): PlanNode[] =>
  Array.from({ length: count }, (_, item) => ({ ...step(`each@${item}`, ['list']), item }))

eachDatabase('the record of an execution', (database) => {
  let db: Db
  let store: ExecutionsStore
  beforeEach(async () => {
    db = await database.open()
    store = new ExecutionsStore(db)
  })
  afterEach(() => db.destroy())

  const create = (nodes: PlanNode[]) => transact(db, (tx) => store.create(tx, execution, 'cause', nodes))
  const fanOut = (nodes: PlanNode[]) => transact(db, (tx) => store.fanOut(tx, execution, group, nodes, 2))
  const events = async () =>
    (await db.selectFrom('events').select(['type', 'payload']).orderBy('id').execute()).map(({ payload }) => payload)

  it('keeps the items of a list behind their fan-out, in the order of the list', async () => {
    await create([step('list'), group, step('join', ['each'])])
    await fanOut(items(12))
    const nodes = await store.nodes('e1')
    expect(nodes.map(({ id }) => id)).toEqual(['list', 'each', ...items(12).map(({ id }) => id), 'join'])
    expect(nodes[1]).toMatchObject({ kind: 'fan-out', state: 'running', startedAt: 2 })
    expect(nodes[4]).toMatchObject({ item: 2, state: 'waiting' })
  })

  it('takes up what was fetched, each dataset when it is there, also two at once', async () => {
    const awaited = { a: 'it is fetched first', b: 'it is large' }
    const nodes = ['data:a', 'data:b'].map((id): PlanNode => ({ id, kind: 'data', step: id, after: [] }))
    const waiting = { ...execution, fixed: { ...execution.fixed, awaited } }
    await transact(db, (tx) => store.create(tx, waiting, 'cause', nodes))
    const input = (dataset: string) => ({
      dataset,
      path: dataset,
      digest: digestOf(dataset),
      size: 1,
      address: 'https://h/',
    })
    await transact(db, (tx) => store.fixData(tx, execution.id, input('a')))
    expect((await store.execution('e1'))?.fixed).toEqual({
      ...execution.fixed,
      data: { a: input('a') },
      awaited: { b: 'it is large' },
    })
    await Promise.all(['b', 'a'].map((name) => transact(db, (tx) => store.fixData(tx, execution.id, input(name)))))
    expect((await store.execution('e1'))?.fixed).toEqual({ ...execution.fixed, data: { a: input('a'), b: input('b') } })
  })

  it('fans out once, however often a killed server is followed by another', async () => {
    await create([step('list'), group])
    await fanOut(items(3))
    await fanOut(items(5))
    expect(await store.nodes('e1')).toHaveLength(5)
  })

  it('fans out whole or not at all', async () => {
    await create([step('list'), group, step('each@1')])
    const before = await events()
    await expect(fanOut(items(3))).rejects.toThrow()
    expect((await store.nodes('e1')).map(({ id, state }) => [id, state])).toEqual([
      ['list', 'waiting'],
      ['each', 'waiting'],
      ['each@1', 'waiting'],
    ])
    expect(await events()).toEqual(before)
  })

  it('starts one execution for one cause', async () => {
    expect(await create([step('a')])).toBe(true)
    expect(await transact(db, (tx) => store.create(tx, { ...execution, id: 'e2' as ExecutionId }, 'cause', []))).toBe(
      false,
    )
  })

  it('keeps a pause, why the last attempt failed, and what the decision said', async () => {
    await create([step('a')])
    const decision = { outcome: 'skipped' as const, reasons: ['because'] }
    await transact(db, (tx) =>
      store.changeNode(tx, execution, 'a', { state: 'waiting', notBefore: 99, failure: 'memory', decision }, 2),
    )
    expect(await store.node('e1', 'a')).toMatchObject({ notBefore: 99, failure: 'memory', decision })
    expect((await store.nodeViews('e1')).items).toMatchObject([{ notBefore: 99, failure: 'memory', decision }])
    expect(await store.node('e1', 'b')).toBeUndefined()
  })

  it('pages the steps of one list, and no step that is only called alike', async () => {
    await create([group, step('each.other'), step('eachA'), step('each-2@1')])
    await fanOut(items(5))
    const first = await store.nodeViews('e1', { group: 'each', limit: 3 })
    const rest = await store.nodeViews('e1', { group: 'each', limit: 3, after: first.next! })
    expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(items(5).map(({ id }) => id))
    expect(rest.next).toBeUndefined()
    expect((await store.nodeViews('e1', { group: 'each', state: 'failed' })).items).toEqual([])
  })

  it('tells of 10,000 steps within 0.3 s of a processor', async () => {
    const after = ['list']
    await create([step('list'), ...Array.from({ length: 10_000 }, (_, i) => step(`a@${i}`, after)), step('join')])
    const open = async () => {
      const folding = foldNodes(await store.lightNodes('e1'))
      return { folding, shown: (await store.nodeViews('e1', { only: folding.shown })).items }
    }
    let fastest = Number.POSITIVE_INFINITY
    // Other tests share the machine: the fastest is what it costs.
    for (let attempt = 0; attempt < 5; attempt++) fastest = Math.min(fastest, await processorMs(open))
    expect(fastest).toBeLessThan(300)
    const { folding, shown } = await open()
    expect(shown.map(({ id }) => id)).toEqual(['list', 'join'])
    expect(folding.groups.get('a')).toMatchObject({ of: 10_000, state: 'waiting' })
  })
})
