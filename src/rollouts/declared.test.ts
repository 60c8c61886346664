import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { owner, projectText } from '../promotions/testing/promotion-bench.ts'
import { type RolloutBench, rolloutBench } from './testing/rollout-bench.ts'

const canary =
  '    rollout: { canary: [5%, 25%, 100%], every: 10m, min_requests: 20, abort: { error_rate: "> 10%" } }\n'
const tenMinutes = 600_000

describe('an environment whose desired state changes', () => {
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

  it('aborts back at once when Git declares the old version again during a canary', async () => {
    await bench.served()
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
    await bench.served()
    const before = await bench.text()
    await bench.judgeModel('e2')
    await bench.look()
    const second = await bench.declaredDigest()
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
    await bench.secondUnderWay()
    await bench.judgeModel('e3')
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 3: 0.05 })
    expect((await bench.deployment()).rollouts.map((one) => one.state)).toEqual(['step', 'superseded', 'done'])
  })

  it.each([['a digest that nobody knows', `sha256:${'7'.repeat(64)}`, 'no judged version']])(
    'stalls at %s, and the old one keeps serving',
    async (_, digest, reason) => {
      await bench.served()
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
    await bench.served()
    await bench.judgeModel('e2', { outcome: 'inconclusive' })
    const waiting = (await bench.all())[1]!
    const text = (await bench.text())
      .replace(await bench.declaredDigest(), waiting.digest)
      .replace('version: 1', 'version: 2')
    await bench.push(text, 'local, unauthenticated')
    await bench.deliver()
    await bench.look()
    expect(await bench.state()).toEqual({ state: 'stalled', serving: 1, rollout: undefined })
    bench.turn(1000)
    await bench.promotions.approve(waiting.id, owner)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.95, 2: 0.05 })
  })
})
