import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { executionIn } from '../../test/support/executions.ts'
import { type Db, transact } from '../db/index.ts'
import type { ExecutionNode } from './execution.ts'
import { ExecutionsStore, type NodeChange } from './executions-store.ts'
import { StepRunner } from './step-runner.ts'
import type { StepRunnerParts, Work } from './step-work.ts'

const execution = executionIn('running')

eachDatabase('an error that hides that the change was written', (database) => {
  const workDir = mkdtempSync(join(tmpdir(), 'modelwright-runner-'))
  const lost = new Error('Connection terminated unexpectedly')
  let db: Db
  let store: ExecutionsStore
  let runner: StepRunner
  let stale: ExecutionNode
  beforeEach(async () => {
    db = await database.open()
    store = new ExecutionsStore(db)
    await transact(db, (tx) =>
      store.create(tx, execution, 'cause', [{ id: 'train', kind: 'step', step: 'train', after: [] }]),
    )
    stale = (await store.node('e1', 'train'))!
    const executor = { logPath: (dir: string) => join(dir, 'log'), dissolve: () => undefined }
    runner = new StepRunner({ db, store, executor, workDir, clock: { now: () => 5 } } as unknown as StepRunnerParts)
  })
  afterEach(async () => {
    await db.destroy()
    rmSync(workDir, { recursive: true, force: true })
  })

  const written = (change: NodeChange) => transact(db, (tx) => store.changeNode(tx, execution, 'train', change, 4))
  const work = () => ({ execution, node: { ...stale, state: 'running', attempt: 1 } }) as Work

  it('leaves a step ended that ended', async () => {
    await written({ state: 'succeeded', attempt: 1, endedAt: 4 })
    const before = await store.node('e1', 'train')
    await runner.tellTrouble(work(), lost)
    await runner.giveUp(work(), lost, 10)
    expect(await store.node('e1', 'train')).toEqual(before)
  })

  it('leaves a step announced that was announced, and is told in the log of that attempt', async () => {
    await written({ state: 'starting', attempt: 1, startedAt: 4 })
    await runner.tellTrouble({ ...work(), node: stale }, lost)
    const node = await store.node('e1', 'train')
    expect(node).toMatchObject({ state: 'starting', attempt: 1, error: { code: 'StepStuck' } })
    expect(readFileSync(join(workDir, 'e1', 'train', '1', 'log'), 'utf8')).toContain('Connection terminated')
  })
})
