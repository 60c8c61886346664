import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { projectText } from '../promotions/testing/promotion-bench.ts'
import { type RolloutBench, rolloutBench } from './testing/rollout-bench.ts'

const canary =
  '    rollout: { canary: [5%, 25%, 100%], every: 10m, min_requests: 20, abort: { error_rate: "> 10%" } }\n'

describe('a server that is killed while it looks', () => {
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

  it('comes to the same end, each thing once, wherever the server is killed', async () => {
    await bench.served()
    const first = await bench.text()
    let kills = 0
    for (let call = 1; call < 20; call += 2) {
      bench.turn(1000)
      await bench.judgeModel(`e${call + 1}`)
      kills += await bench.killedAt(call, call % 4 === 1 ? 'second' : 'first')
      await bench.look()
      const version = (await bench.declared())!.version!
      expect(await bench.weights()).toEqual({ 1: 0.95, [version]: 0.05 })
      bench.traffic(await bench.declaredDigest(), { requests: 20, failed: 20 })
      bench.turn(1000)
      kills += await bench.killedAt(call, 'first')
      await bench.look()
      expect(await bench.weights()).toEqual({ 1: 1 })
      expect((await bench.state()).state).toBe('stalled')
      const reverts = (await bench.all()).filter(({ kind, state: one }) => kind === 'revert' && one === 'proposed')
      expect(reverts).toHaveLength(1)
      const [rollout] = (await bench.deployment()).rollouts
      expect(rollout!.decisions.map(({ outcome }) => outcome)).toEqual(['begin', 'roll back', 'stall'])
      await bench.push(first, 'mia')
      await bench.deliver()
      await bench.look()
      expect((await bench.state()).state).toBe('serving')
    }
    expect(kills).toBeGreaterThan(15)
    expect((await bench.deployment()).rollouts).toHaveLength(11)
  })
})
