import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { projectText } from '../../src/promotions/testing/promotion-bench.ts'
import { type RolloutBench, rolloutBench } from '../../src/rollouts/testing/rollout-bench.ts'
import { type RunningGateway, runGateway } from '../../src/serving/gateway/index.ts'
import { realClock, silent, writeLightPython } from '../support/gateway-bench.ts'
import { startLoad } from '../support/serving-load.ts'

// The real reconciler and the real gateway, whose memory holds one version: a version that was never loaded is estimated at 150 MB.
const memoryBytes = 160_000_000
let bench: RolloutBench
let gateway: RunningGateway
const stop = new AbortController()

beforeEach(async () => {
  bench = await rolloutBench()
  await bench.push(projectText('{ production: automatic }', ''))
  await bench.deliver()
  const python = join(bench.root, 'light-python')
  writeLightPython(python)
  const { dataDir } = bench
  gateway = await runGateway({
    ...{
      dataDir,
      memoryBytes,
      host: '127.0.0.1',
      port: 0,
      log: silent,
      clock: realClock,
      signal: stop.signal,
      seed: 1,
    },
  })
  bench.useGateway(async () => gateway.status(), python)
})
afterEach(async () => {
  stop.abort()
  await gateway.finished
  expect(bench.rolloutFailures).toEqual([])
  await bench.close()
})

it('a promoted version takes the place of the one that serves without a failed request where memory holds one', async () => {
  const untilServing = async (version: number) => {
    const states = new Set<string>()
    for (let looks = 0; looks < 1_500; looks++) {
      await bench.look()
      const { state, serving } = await bench.state()
      states.add(state)
      if (state === 'serving' && serving === version) return states
      await sleep(30)
    }
    throw new Error(`version ${version} never served: ${JSON.stringify(await bench.deployment())}`)
  }
  await bench.judgeModel('e1')
  await untilServing(1)
  const [endpoint] = gateway.status().endpoints
  const url = `${gateway.url}/endpoints/${endpoint!.project}/${endpoint!.environment}/invocations`
  const load = startLoad(url, { name: 'r', closed: 4, perSecond: 20, deadlineMs: 120_000 })
  const answeredBy = async (count: number) => {
    while (load.report.answers.size < count) await sleep(10)
  }
  await answeredBy(1)
  await bench.judgeModel('e2')
  const states = await untilServing(2)
  await answeredBy(2)
  const { failed, answers } = await load.end()
  expect(failed).toEqual([])
  expect(answers.size).toBe(2)
  // On its way it was never called a mismatch, nor stalled.
  expect([...states].filter((state) => !['serving', 'progressing'].includes(state))).toEqual([])
  const [rollout] = (await bench.deployment()).rollouts
  expect(rollout).toMatchObject({ state: 'done', reason: expect.stringContaining('in the place of the old one') })
})
