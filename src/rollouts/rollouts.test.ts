import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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

  it('serves nothing, and writes that, while nothing is declared', async () => {
    await bench.look()
    expect(await bench.desired()).toEqual({ revision: 1, endpoints: [] })
    expect(await bench.state()).toEqual({ state: 'nothing declared', serving: undefined, rollout: undefined })
  })

  it('gives the first version all traffic at once, and says so', async () => {
    await bench.served()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect(await bench.state()).toEqual({ state: 'serving', serving: 1, rollout: undefined })
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
    const { modelTree } = await bench.promotions.manifestOf(await bench.declaredDigest())
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
    const second = await bench.secondUnderWay()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
    expect((await bench.desired()).endpoints[0]!.guard).toEqual({
      newcomer: second,
      minRequests: 20,
      maxErrorRate: 0.1,
    })
    expect(await bench.state()).toEqual({ state: 'progressing', serving: 1, rollout: 'step' })
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
    expect(await bench.state()).toEqual({ state: 'serving', serving: 2, rollout: undefined })
    const [rollout] = (await bench.deployment()).rollouts
    expect(rollout!.decisions.map(({ outcome }) => outcome)).toEqual(['begin', 'advance', 'finish'])
    expect(rollout!.decisions[1]!.reasons[0]).toContain('30 requests, 1 failed')
  })

  it('counts only what was seen in the step that it decides', async () => {
    const second = await bench.secondUnderWay()
    bench.traffic(second, { requests: 30 })
    bench.turn(tenMinutes)
    await bench.look()
    bench.turn(tenMinutes)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.75, 2: 0.25 })
  })

  it('waits for traffic, then asks a person, and goes on when one says so', async () => {
    await bench.secondUnderWay()
    bench.turn(2 * tenMinutes)
    await bench.look()
    expect((await bench.state()).rollout).toBe('step')
    bench.turn(tenMinutes)
    await bench.look()
    expect(await bench.state()).toEqual({ state: 'waiting for a person', serving: 1, rollout: 'waiting' })
    const { rollout } = await bench.deployment()
    await bench.service.continue(rollout!.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.75, 2: 0.25 })
    const audit = await bench.db.selectFrom('audit').selectAll().where('action', '=', 'rollout.continue').execute()
    expect(audit).toMatchObject([{ actor: 'olga' }])
  })

  it('rolls back when the error share breaks its bound: stalled with the numbers, the old one serves, the revert is proposed', async () => {
    const second = await bench.secondUnderWay()
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
    const second = await bench.secondUnderWay()
    bench.traffic(second, { requests: 2, failed: 2 })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
    bench.traffic(second, { requests: 1, failed: 1 })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
  })

  it('does not try an aborted revision again by itself, not even after an unrelated push or a restart', async () => {
    const second = await bench.secondUnderWay()
    bench.traffic(second, { requests: 20, failed: 20 })
    await bench.look()
    await bench.push('print(2)', 'mia', 'other.py')
    bench.restart()
    bench.turn(10 * tenMinutes)
    await bench.look()
    expect(await bench.declaredDigest()).toBe(second)
    expect(await bench.state()).toEqual({ state: 'stalled', serving: 1, rollout: undefined })
    expect((await bench.deployment()).rollouts).toHaveLength(2)
  })

  it('tries it again, from the first step, when a person approves the barred version', async () => {
    const second = await bench.secondUnderWay()
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
    const second = await bench.secondUnderWay()
    bench.traffic(second, { requests: 20, failed: 20 })
    await bench.look()
    await bench.push(await bench.text('modelwright/revert-production-2'), 'mia')
    await bench.deliver()
    await bench.look()
    expect(await bench.state()).toEqual({ state: 'serving', serving: 1, rollout: undefined })
    expect(await bench.weights()).toEqual({ 1: 1 })
  })

  it('rolls back likewise when the gateway tripped its guard', async () => {
    const second = await bench.secondUnderWay()
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
    await bench.served()
    await bench.judgeModel('e2')
    bench.gateway.states.set(await bench.declaredDigest(), { state: 'failed', reason: 'no module named sklearn' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).reason).toContain('no module named sklearn')
  })

  it('stalls with the reason where the very first version cannot be loaded, and names it to the gateway no more', async () => {
    await bench.judgeModel('e1')
    bench.gateway.states.set(await bench.declaredDigest(), { state: 'failed', reason: 'killed: out of memory' })
    await bench.look()
    expect((await bench.desired()).endpoints).toEqual([])
    const view = await bench.deployment()
    expect(view).toMatchObject({ state: 'stalled', reason: 'it cannot be loaded: killed: out of memory' })
    expect((await bench.all()).map(({ kind, state: one }) => `${kind} ${one}`)).toEqual(['promotion barred'])
  })

  it('asks a person where memory does not hold the canary, and then lets it take the place of the old one', async () => {
    await bench.served()
    await bench.judgeModel('e2')
    const digest = await bench.declaredDigest()
    bench.gateway.states.set(digest, { state: 'asleep', cause: 'held', reason: 'memory holds one' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1, 2: 0 })
    expect(await bench.deployment()).toMatchObject({
      state: 'waiting for a person',
      reason: expect.stringContaining('does not fit beside'),
    })
    await bench.service.continue((await bench.deployment()).rollout!.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0, 2: 1 })
    expect(await bench.state()).toEqual({ state: 'progressing', serving: 1, rollout: 'step' })
    bench.gateway.states.set(digest, { state: 'loading' })
    await bench.look()
    expect(await bench.state()).toEqual({ state: 'progressing', serving: 1, rollout: 'step' })
    bench.gateway.states.delete(digest)
    await bench.look()
    expect(await bench.state()).toEqual({ state: 'serving', serving: 2, rollout: undefined })
  })

  it('rolls back what could not be loaded in the place of the old one', async () => {
    await bench.push(projectText('{ production: automatic }', ''))
    await bench.deliver()
    await bench.served()
    await bench.judgeModel('e2')
    const digest = await bench.declaredDigest()
    bench.gateway.states.set(digest, { state: 'asleep', cause: 'held' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0, 2: 1 })
    bench.gateway.states.set(digest, { state: 'failed', cause: 'not loaded', reason: 'no module named sklearn' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).reason).toContain('no module named sklearn')
  })

  it('counts a model that sleeps as one that serves', async () => {
    await bench.served()
    bench.gateway.states.set(await bench.declaredDigest(), { state: 'asleep', cause: 'idle' })
    await bench.look()
    expect(await bench.state()).toEqual({ state: 'serving', serving: 1, rollout: undefined })
  })

  it('gives a newcomer no traffic while it is being loaded', async () => {
    await bench.served()
    await bench.judgeModel('e2')
    bench.gateway.states.set(await bench.declaredDigest(), { state: 'loading' })
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1, 2: 0 })
    expect((await bench.state()).state).toBe('progressing')
  })

  it('lets a person abort', async () => {
    await bench.secondUnderWay()
    const { rollout } = await bench.deployment()
    await bench.service.abort(rollout!.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 1 })
    expect((await bench.deployment()).reason).toBe('aborted by olga')
    await expect(bench.service.continue(rollout!.id, owner)).rejects.toMatchObject({ code: 'Conflict' })
  })
})
