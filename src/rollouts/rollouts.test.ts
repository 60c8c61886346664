import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Digest } from '../kernel/digest.ts'
import { owner, projectText } from '../promotions/testing/promotion-bench.ts'
import { type RolloutBench, rolloutBench } from './testing/rollout-bench.ts'

const canary =
  '    rollout: { canary: [5%, 25%, 100%], every: 10m, min_requests: 20, abort: { error_rate: "> 10%" } }\n'
const tenMinutes = 600_000

describe('an environment on its way to what Git declares', () => {
  let bench: RolloutBench
  beforeEach(async () => {
    bench = await rolloutBench()
    await bench.push(projectText('{ production: automatic }', canary))
    await bench.deliver()
  })
  afterEach(async () => {
    expect(bench.rolloutFailures).toEqual([])
    expect(bench.failures).toEqual([])
    await bench.close()
  })

  const served = async () => {
    await bench.judgeModel('e1')
    await bench.look()
  }
  const declared = async (): Promise<Digest> => (await bench.declared())!.digest!
  const secondUnderWay = async (): Promise<Digest> => {
    await served()
    await bench.judgeModel('e2')
    await bench.look()
    return declared()
  }
  const state = async () => {
    const view = await bench.deployment()
    return { state: view.state, serving: view.serving?.version, rollout: view.rollout?.state }
  }
  const _events = async (type: string) =>
    (await bench.db.selectFrom('events').selectAll().where('type', '=', type).orderBy('id').execute()).map(
      (row) => JSON.parse(row.payload) as { state: string; reason?: string },
    )

  it('serves nothing, and writes that, while nothing is declared', async () => {
    await bench.look()
    expect(await bench.desired()).toEqual({ revision: 1, endpoints: [] })
    expect(await state()).toEqual({ state: 'nothing declared', serving: undefined, rollout: undefined })
  })

  it('gives the first version all traffic at once, and says so', async () => {
    await served()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect(await state()).toEqual({ state: 'serving', serving: 1, rollout: undefined })
    const [rollout] = (await bench.deployment()).rollouts
    expect(rollout).toMatchObject({ state: 'done', straight: 'nothing serves yet, so it takes all traffic at once' })
  })

  it('names a version to the gateway only when its whole model lies on this machine', async () => {
    await bench.judgeModel('e1')
    await bench.tick()
    expect((await bench.desired()).endpoints).toEqual([])
    await bench.settled()
    await bench.tick()
    const target = (await bench.desired()).endpoints[0]!.versions[0]!.target
    expect(await readFile(join(target.modelPath, 'MLmodel'), 'utf8')).toContain('# e1')
    expect(target.pythonPath).toBe('/envs/one/bin/python')
  })

  it('makes a half made or altered model folder anew before it is named', async () => {
    await bench.judgeModel('e1')
    const { modelTree } = await bench.promotions.manifestOf(await declared())
    await bench.look()
    const path = (await bench.desired()).endpoints[0]!.versions[0]!.target.modelPath
    expect(path.endsWith(modelTree.slice('sha256:'.length))).toBe(true)
    await writeFile(join(path, 'MLmodel'), 'altered')
    bench.restart()
    await bench.look()
    expect(await readFile(join(path, 'MLmodel'), 'utf8')).toContain('# e1')
    expect(await readdir(join(path, '..'))).toHaveLength(1)
  })

  it('takes a second version through the canary, one decided step after the other', async () => {
    const second = await secondUnderWay()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
    expect((await bench.desired()).endpoints[0]!.guard).toEqual({
      newcomer: second,
      minRequests: 20,
      maxErrorRate: 0.1,
    })
    expect(await state()).toEqual({ state: 'progressing', serving: 1, rollout: 'step' })
    bench.traffic(second, { requests: 30, failed: 1 })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
    bench.turn(tenMinutes)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.75, 2: 0.25 })
    bench.turn(1)
    bench.traffic(second, { requests: 25 })
    bench.turn(tenMinutes)
    await bench.look()
    expect(await bench.weights()).toEqual({ 2: 1 })
    expect(await state()).toEqual({ state: 'serving', serving: 2, rollout: undefined })
    const [rollout] = (await bench.deployment()).rollouts
    expect(rollout!.decisions.map(({ outcome }) => outcome)).toEqual(['begin', 'advance', 'finish'])
    expect(rollout!.decisions[1]!.reasons[0]).toContain('30 requests, 1 failed')
  })

  it('counts only what was seen in the step that it decides', async () => {
    const second = await secondUnderWay()
    bench.traffic(second, { requests: 30 })
    bench.turn(tenMinutes)
    await bench.look()
    bench.turn(tenMinutes)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.75, 2: 0.25 })
  })

  it('waits for traffic, then asks a person, and goes on when one says so', async () => {
    await secondUnderWay()
    bench.turn(2 * tenMinutes)
    await bench.look()
    expect((await state()).rollout).toBe('step')
    bench.turn(tenMinutes)
    await bench.look()
    expect(await state()).toEqual({ state: 'waiting for a person', serving: 1, rollout: 'waiting' })
    const { rollout } = await bench.deployment()
    await bench.service.continue(rollout!.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.75, 2: 0.25 })
    const audit = await bench.db.selectFrom('audit').selectAll().where('action', '=', 'rollout.continue').execute()
    expect(audit).toMatchObject([{ actor: 'olga' }])
  })

  it('rolls back when the error share breaks its bound: stalled with the numbers, the old one serves, the revert is proposed', async () => {
    const second = await secondUnderWay()
    bench.traffic(second, { requests: 20, failed: 3 })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    const view = await bench.deployment()
    expect(view).toMatchObject({ state: 'stalled', serving: { version: 1 } })
    expect(view.reason).toContain('3 of 20 requests failed')
    const promotions = (await bench.all()).map(({ kind, state: one }) => `${kind} ${one}`)
    expect(promotions).toEqual(['promotion committed', 'promotion barred', 'revert proposed'])
    expect(await bench.branches()).toContain('modelwright/revert-production-2')
  })

  it('does not wait for enough requests where the bound is broken whatever follows', async () => {
    const second = await secondUnderWay()
    bench.traffic(second, { requests: 2, failed: 2 })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
    bench.traffic(second, { requests: 1, failed: 1 })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
  })

  it('does not try an aborted revision again by itself, not even after an unrelated push or a restart', async () => {
    const second = await secondUnderWay()
    bench.traffic(second, { requests: 20, failed: 20 })
    await bench.look()
    await bench.push('print(2)', 'mia', 'other.py')
    bench.restart()
    bench.turn(10 * tenMinutes)
    await bench.look()
    expect(await declared()).toBe(second)
    expect(await state()).toEqual({ state: 'stalled', serving: 1, rollout: undefined })
    expect((await bench.deployment()).rollouts).toHaveLength(2)
  })

  it('tries it again, from the first step, when a person approves the barred version', async () => {
    const second = await secondUnderWay()
    bench.traffic(second, { requests: 20, failed: 20 })
    await bench.look()
    const barred = (await bench.all()).find(({ state: one }) => one === 'barred')!
    bench.turn(1000)
    await bench.promotions.approve(barred.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
    expect((await bench.all()).map(({ kind, state: one }) => `${kind} ${one}`).sort()).toEqual([
      ...['promotion committed', 'promotion merged', 'revert superseded'],
    ])
  })

  it('is serving again, no longer stalled, when a person merges the proposed revert', async () => {
    const second = await secondUnderWay()
    bench.traffic(second, { requests: 20, failed: 20 })
    await bench.look()
    await bench.push(await bench.text('modelwright/revert-production-2'), 'mia')
    await bench.deliver()
    await bench.look()
    expect(await state()).toEqual({ state: 'serving', serving: 1, rollout: undefined })
    expect(await bench.weights()).toEqual({ 1: 1 })
  })

  it('aborts back at once when Git declares the old version again during a canary', async () => {
    await served()
    const before = await bench.text()
    await bench.judgeModel('e2')
    await bench.look()
    await bench.push(before, 'mia')
    await bench.deliver()
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).rollouts[0]).toMatchObject({ state: 'rolled back' })
    expect((await bench.all()).map(({ state: one }) => one)).toEqual(['committed', 'barred'])
  })

  it('brings a version that served before straight back, and bars the reverted one', async () => {
    await served()
    const before = await bench.text()
    await bench.judgeModel('e2')
    await bench.look()
    const second = await declared()
    for (let step = 0; step < 2; step++) {
      bench.traffic(second, { requests: 30 })
      bench.turn(tenMinutes)
      await bench.look()
      bench.turn(1)
    }
    expect(await bench.weights()).toEqual({ 2: 1 })
    await bench.push(before, 'mia')
    await bench.deliver()
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).rollouts[0]!.straight).toContain('served here before')
    await bench.judgeModel('e3', { content: 'e2' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
  })

  it('starts again towards the newest when Git declares a third version during a canary', async () => {
    await secondUnderWay()
    await bench.judgeModel('e3')
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 3: 0.05 })
    expect((await bench.deployment()).rollouts.map((one) => one.state)).toEqual(['step', 'superseded', 'done'])
  })

  it('rolls back likewise when the gateway tripped its guard', async () => {
    const second = await secondUnderWay()
    const at = bench.clock.now()
    bench.gateway.tripped = {
      newcomer: second,
      at,
      reason: '9 of 20 requests failed',
      requests: 20,
      errors: 9,
      inputFailures: 0,
    }
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).reason).toContain('9 of 20 requests failed')
  })

  it('rolls back where the newcomer cannot be loaded', async () => {
    await served()
    await bench.judgeModel('e2')
    bench.gateway.states.set(await declared(), { state: 'failed', reason: 'no module named sklearn' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).reason).toContain('no module named sklearn')
  })

  it('gives a newcomer no traffic while it is being loaded', async () => {
    await served()
    await bench.judgeModel('e2')
    bench.gateway.states.set(await declared(), { state: 'loading' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1, 2: 0 })
    expect((await state()).state).toBe('progressing')
  })

  it('lets a person abort', async () => {
    await secondUnderWay()
    const { rollout } = await bench.deployment()
    await bench.service.abort(rollout!.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).reason).toBe('aborted by olga')
    await expect(bench.service.continue(rollout!.id, owner)).rejects.toMatchObject({ code: 'Conflict' })
  })

  it.each([['a digest that nobody knows', `sha256:${'7'.repeat(64)}`, 'no judged version']])(
    'stalls at %s, and the old one keeps serving',
    async (_, digest, reason) => {
      await served()
      await bench.push(
        projectText('{ production: automatic }', `${canary}    version: 9\n    digest: ${digest}\n`),
        'mia',
      )
      await bench.deliver()
      await bench.look()
      await bench.look()
      expect(await bench.weights()).toEqual({ 1: 1 })
      const view = await bench.deployment()
      expect(view.state).toBe('stalled')
      expect(view.reason).toContain(reason)
      expect(view.rollouts).toHaveLength(2)
    },
  )

  it('stalls at a version that was not approved, and rolls out as soon as it is', async () => {
    await served()
    await bench.judgeModel('e2', { outcome: 'inconclusive' })
    const waiting = (await bench.all())[1]!
    const text = (await bench.text()).replace(await declared(), waiting.digest).replace('version: 1', 'version: 2')
    await bench.push(text, 'local, unauthenticated')
    await bench.deliver()
    await bench.look()
    expect(await state()).toEqual({ state: 'stalled', serving: 1, rollout: undefined })
    bench.turn(1000)
    await bench.promotions.approve(waiting.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
  })
})
