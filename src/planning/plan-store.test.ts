import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { type Db, transact } from '../db/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import type { CommitId, ExecutionId, RunId } from '../kernel/ids.ts'
import type { KeyParts, StepResult } from './plan.ts'
import { PlanStore } from './plan-store.ts'

const parts = (command: string): KeyParts => ({
  command,
  files: {},
  trees: [],
  params: {},
  seed: 0,
  environment: 'none',
  variables: {},
  outs: [],
  metrics: false,
  checks: {},
})

eachDatabase('kept results', (database) => {
  let db: Db
  let store: PlanStore
  beforeEach(async () => {
    db = await database.open()
    store = new PlanStore(db)
  })
  afterEach(() => db.destroy())

  const keep = (step: string, name: string, now: number, { project = 'p', replaces = true, run = name } = {}) =>
    transact(db, (tx) =>
      store.rememberResult(
        tx,
        {
          key: digestOf(name),
          project,
          step,
          parts: parts(name),
          result: { runId: run as RunId, outs: {}, metrics: {} } satisfies StepResult,
          executionId: `e-${name}` as ExecutionId,
          commit: `c-${name}` as CommitId,
          now,
        },
        { replaces },
      ),
    )

  it('are found by key with the execution and commit that made them', async () => {
    await keep('a', 'one', 1)
    const found = await store.results([digestOf('one'), digestOf('none')])
    expect([...found.keys()]).toEqual([digestOf('one')])
    expect(found.get(digestOf('one'))).toMatchObject({
      result: { runId: 'one' },
      origin: { key: digestOf('one'), at: 1, executionId: 'e-one', commit: 'c-one' },
    })
  })

  it('of a step come newest first, and not those of another project or step', async () => {
    await keep('a', 'one', 1)
    await keep('a', 'three', 3)
    await keep('a', 'two', 2)
    await keep('b', 'four', 4)
    await keep('a', 'five', 5, { project: 'q' })
    const newest = await store.newest('p', 'a', 2)
    expect(newest.map((one) => one.parts.command)).toEqual(['three', 'two'])
  })

  it('of many steps are asked for at once, one of each', async () => {
    await keep('a', 'one', 1)
    await keep('a', 'two', 2)
    await keep('b', 'three', 2)
    await keep('b', 'four', 2)
    const steps = ['a', 'b', 'c', ...Array.from({ length: 1200 }, (_, i) => `s${i}`)]
    const newest = await store.newestOfEach('p', steps)
    expect([...newest.keys()].sort()).toEqual(['a', 'b'])
    expect(newest.get('a')?.parts.command).toBe('two')
    const byKey = await store.newestByKey('p', steps)
    expect(byKey.get(digestOf('two') as Digest)?.result.runId).toBe('two')
    expect(byKey.has(digestOf('one'))).toBe(false)
  })

  it('are replaced by a later result of the same key, but never by a reproduction', async () => {
    await keep('a', 'one', 1)
    await keep('a', 'one', 2, { replaces: false, run: 'again' })
    expect((await store.results([digestOf('one')])).get(digestOf('one'))?.result.runId).toBe('one')
    await keep('a', 'one', 3, { run: 'later' })
    expect((await store.results([digestOf('one')])).get(digestOf('one'))).toMatchObject({
      result: { runId: 'later' },
      origin: { at: 3 },
    })
  })
})

eachDatabase('what lay at addresses', (database) => {
  let db: Db
  let store: PlanStore
  beforeEach(async () => {
    db = await database.open()
    store = new PlanStore(db)
  })
  afterEach(() => db.destroy())

  const [here, there] = [digestOf('https://example.org/b.csv'), digestOf('https://example.org/c.csv')]
  const seen = (validator: string, text: string) => ({ validator, digest: digestOf(text), size: text.length })

  it('is known by the last state of each, whatever the state is called', async () => {
    expect(await store.lastAt(here)).toBeUndefined()
    await store.rememberAt(here, seen('etag:"z;:ü"', 'one'))
    await store.rememberAt(there, seen('etag:"b"', 'other'))
    expect(await store.lastAt(here)).toEqual(seen('etag:"z;:ü"', 'one'))
    await store.rememberAt(here, seen('etag:"a"', 'three'))
    await store.rememberAt(here, seen('etag:"a"', 'three'))
    expect(await store.lastAt(here)).toEqual(seen('etag:"a"', 'three'))
    expect(await store.lastAt(there)).toEqual(seen('etag:"b"', 'other'))
  })

  it('stands beside the blobs of Git and takes none of their names', async () => {
    await store.rememberBlob('0123abcd', { digest: digestOf('git'), size: 3 })
    await store.rememberAt(here, seen('etag:"a"', 'one'))
    expect([...(await store.blobs(['0123abcd', String(here)])).keys()]).toEqual(['0123abcd'])
  })
})
