import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AppError } from '../kernel/errors.ts'
import { model, project, projectText } from '../promotions/testing/promotion-bench.ts'
import { type RolloutBench, rolloutBench } from './testing/rollout-bench.ts'

const canary =
  '    rollout: { canary: [5%, 25%, 100%], every: 10m, min_requests: 20, abort: { error_rate: "> 10%" } }\n'
const tenMinutes = 600_000

describe('an environment in trouble', () => {
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

  it('shows a killed worker as a mismatch since its time, and no more when the gateway has mended it', async () => {
    await bench.served()
    bench.turn(1000)
    bench.gateway.states.set(await bench.declaredDigest(), { state: 'restarting', reason: 'killed by SIGKILL' })
    await bench.look()
    const view = await bench.deployment()
    expect(view).toMatchObject({ state: 'mismatch', since: bench.clock.now() })
    expect(view.reason).toContain('killed by SIGKILL')
    bench.gateway.states.clear()
    await bench.look()
    expect((await bench.state()).state).toBe('serving')
    expect((await bench.told('deployment.observed')).slice(-2)).toEqual(['mismatch', 'serving'])
  })

  it('shows a gateway that does not answer, and leaves its file as it is', async () => {
    await bench.served()
    const before = await bench.desired()
    bench.gateway.isDown = true
    await bench.look()
    expect(await bench.deployment()).toMatchObject({ state: 'mismatch', reason: 'the gateway does not answer' })
    expect(await bench.desired()).toEqual(before)
  })

  it('writes a lost or altered desired.json again, with the same revision', async () => {
    await bench.served()
    const before = await bench.desired()
    await writeFile(join(bench.dataDir, 'gateway', 'desired.json'), '{"revision": 99, "endpoints": []}')
    await bench.look()
    expect(await bench.desired()).toEqual(before)
  })

  it('brings models that someone removed back', async () => {
    await bench.served()
    const { modelPath } = (await bench.desired()).endpoints[0]!.versions[0]!.target
    await bench.removeModels()
    await bench.look()
    expect(await readFile(join(modelPath, 'MLmodel'), 'utf8')).toContain('# e1')
    expect(await bench.weights()).toEqual({ 1: 1 })
  })

  it('goes on where it was after a restart in the middle of a canary, and writes nothing new', async () => {
    const second = await bench.secondUnderWay()
    const before = await bench.desired()
    bench.restart()
    await bench.tick()
    expect(await bench.desired()).toEqual(before)
    bench.traffic(second, { requests: 30 })
    bench.turn(tenMinutes)
    await bench.look()
    expect(await bench.weights()).toEqual({ 1: 0.75, 2: 0.25 })
  })

  it('tries again later where the environment could not be built for a passing reason, and aborts for a lasting one', async () => {
    await bench.served()
    bench.failPython(new Error('connection reset'))
    await bench.judgeModel('e2')
    await bench.look()
    expect((await bench.state()).rollout).toBe('preparing')
    bench.failPython(undefined)
    bench.turn(60_000)
    await bench.look()
    expect((await bench.state()).rollout).toBe('step')
    bench.failPython(new AppError('EnvironmentFailed', 'no version of numpy fits', 'Mend requirements.txt.'))
    await bench.judgeModel('e3')
    await bench.look()
    expect(await bench.deployment()).toMatchObject({
      state: 'stalled',
      reason: 'it cannot be prepared: no version of numpy fits',
    })
  })

  it('keeps serving when the deployment is still there, and stops when Git takes it out', async () => {
    await bench.served()
    await bench.push(`project: ${project}\n`, 'mia')
    await bench.deliver()
    await bench.look()
    expect((await bench.desired()).endpoints).toEqual([])
    expect(await bench.state()).toEqual({ state: 'nothing declared', serving: undefined, rollout: undefined })
  })

  it('does the same when two looks are asked for at once', async () => {
    await bench.judgeModel('e1')
    await Promise.all([bench.tick(), bench.tick()])
    await bench.settled()
    await Promise.all([bench.tick(), bench.tick()])
    await bench.look()
    expect((await bench.deployment()).rollouts).toHaveLength(1)
    expect((await bench.deployment()).desired).toMatchObject({ model, version: 1 })
  })
})
