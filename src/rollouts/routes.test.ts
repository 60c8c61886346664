import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Actor, anonymous, type Endpoint, type OutputOf } from '../kernel/route.ts'
import { promotionEndpoints } from '../promotions/index.ts'
import { owner, project, projectText } from '../promotions/testing/promotion-bench.ts'
import type { getDeployment } from './rollouts-contract.ts'
import { rolloutEndpoints } from './rollouts-routes.ts'
import { type RolloutBench, rolloutBench } from './testing/rollout-bench.ts'

let bench: RolloutBench
let endpoints: Endpoint[]
beforeEach(async () => {
  bench = await rolloutBench()
  endpoints = [...rolloutEndpoints(bench.service), ...promotionEndpoints(bench.promotions)]
})
afterEach(() => bench.close())

/** Through the contract: what a handler answers must have the documented form. */
async function call(id: string, input: { params: object; query?: object }, actor: Actor = owner): Promise<unknown> {
  const { route, handle } = endpoints.find((one) => one.route.id === id)!
  const query = route.query?.parse(input.query ?? {})
  const answer = await handle({ params: route.params?.parse(input.params), query, body: undefined, actor } as never)
  return route.output.parse(JSON.parse(JSON.stringify(answer)))
}

it('answers as documented before, during and after a rollout', async () => {
  const canary = '    rollout: { canary: [5%, 100%], every: 1m, min_requests: 1 }\n'
  await bench.push(projectText('{ production: automatic }', canary))
  await bench.deliver()
  expect(await call('deployments.list', { params: { project } })).toMatchObject({
    items: [{ state: 'nothing declared' }],
  })
  await bench.judgeModel('e1')
  await bench.look()
  await bench.judgeModel('e2')
  await bench.look()
  const during = await call('deployments.get', { params: { project, environment: 'production' } })
  expect(during).toMatchObject({
    state: 'progressing',
    weights: [
      { version: 1, weight: 0.95, actual: 0.95, worker: 'ready' },
      { version: 2, weight: 0.05 },
    ],
    rollout: { state: 'step', canary: [0.05, 1], next: expect.stringContaining('0 requests') },
    desiredHistory: [{ version: 2 }, { version: 1 }],
  })
  const { id } = (await bench.deployment()).rollout!
  expect(await call('rollouts.abort', { params: { id } })).toEqual({ id, requested: 'abort' })
  await bench.look()
  expect(await call('deployments.list', { params: { project } })).toMatchObject({
    items: [{ state: 'stalled', reason: 'aborted by olga', serving: { version: 1 } }],
  })
})

describe('what the gateway says', () => {
  const production = async () =>
    ((await call('deployments.list', { params: { project } })) as { items: OutputOf<typeof getDeployment>[] }).items[0]!
  const declare = async (more = '') => {
    await bench.push(projectText('{ production: automatic }', more))
    await bench.deliver()
    await bench.served()
    return bench.declaredDigest()
  }

  it('is passed on: what sleeps and why, its processes, who waits, what was wrong with inputs', async () => {
    const digest = await declare()
    const counts = {
      requests: { inside: 2, waiting: 1, turnedAway: 7 },
      inputs: { refused: { range: 3 }, warned: { 'unknown-column': 2 }, imputed: 4 },
    }
    bench.gateway.counts = counts
    bench.gateway.states.set(digest, { state: 'asleep', cause: 'idle', reason: 'Nobody asked for a while.' })
    expect((await production()).endpoint).toEqual({
      ...{ countedSince: 0, ...counts },
      versions: [
        {
          ...{ digest, version: 1, weight: 1, state: 'asleep', cause: 'idle', reason: 'Nobody asked for a while.' },
          computes: 'python',
        },
      ],
    })
    const workers = [{ pid: 4711, state: 'ready' as const, memoryBytes: 212_000_000 }]
    bench.gateway.states.set(digest, { workers, workerPid: 4711, replacedForMemory: 1 })
    expect((await production()).endpoint?.versions).toEqual([
      { digest, version: 1, weight: 1, state: 'ready', computes: 'python', workers, replacedForMemory: 1 },
    ])
  })

  it('has why Python computes a version: the gateway knows best, else Git, else the record of its conversion', async () => {
    const digest = await declare('    serve: { convert: off }\n')
    const why = async () => (await production()).endpoint?.versions[0]?.computesReason
    const refused = { outcome: 'refused' as const, reason: 'its flavour is pytorch.', at: 1 }
    await bench.conversionFacts.save(digest, { converter: digest, fact: refused })
    expect(await why()).toBe('Git says serve: { convert: off }')
    bench.gateway.states.set(digest, { computesReason: 'The graph does not load.' })
    expect(await why()).toBe('The graph does not load.')
    bench.gateway.states.clear()
    await bench.push((await bench.text()).replace('convert: off', 'convert: auto'), 'mia')
    await bench.deliver()
    expect(await why()).toBe('not converted: its flavour is pytorch.')
  })

  it('has of ONNX what was proved, and nothing of a proof that it does not go by', async () => {
    const digest = await declare()
    const why = async () => (await production()).endpoint?.versions[0]?.computesReason
    const proof = {
      ...{ rows: 5, rowsFrom: 'input example' as const, thresholdRows: 0, largestDifference: 4.2e-8 },
      ...{ tolerance: 1e-5, ties: 0, versions: { skl2onnx: '1.20.0' } },
    }
    const fact = { outcome: 'converted' as const, proof, at: 1 }
    await bench.conversionFacts.save(digest, { converter: digest, fact })
    expect(await why()).toBeUndefined()
    bench.gateway.states.set(digest, { computes: 'onnx' })
    expect(await why()).toBe(
      'parity on 5 rows of its input example, largest difference 4.2e-8 (at most 0.00001), by skl2onnx 1.20.0',
    )
  })

  it('of itself is memory, journal and trouble; where it does not answer nothing is made up', async () => {
    await declare()
    bench.gateway.said = {
      memory: { budget: 4e9, used: 1e9 },
      journal: { written: 12, dropped: 1 },
      problem: 'no JSON',
    }
    expect(await call('gateway.get', { params: {} })).toEqual({ answers: true, startedAt: 0, ...bench.gateway.said })
    bench.gateway.isDown = true
    expect(await call('gateway.get', { params: {} })).toEqual({ answers: false })
    expect(await production()).not.toHaveProperty('endpoint')
  })
})

it('lists what waits for a person, page by page, and lets only a person decide', async () => {
  await bench.push(projectText('{ production: pull-request }'))
  await bench.deliver()
  await bench.judgeModel('e1')
  bench.turn(1000)
  await bench.judgeModel('e2', { outcome: 'warn' })
  const first = (await call('promotions.list', { params: { project }, query: { waiting: 'true', limit: 1 } })) as {
    items: { id: string; version: number; waitsForPerson: boolean }[]
    nextPageToken: string
  }
  expect(first.items).toMatchObject([{ version: 2, waitsForPerson: true }])
  const query = { waiting: 'true', limit: 1, pageToken: first.nextPageToken }
  expect(await call('promotions.list', { params: { project }, query })).toMatchObject({ items: [{ version: 1 }] })
  const { id } = first.items[0]!
  await expect(call('promotions.approve', { params: { id } }, anonymous)).rejects.toMatchObject({ code: 'Forbidden' })
  expect(await call('promotions.reject', { params: { id } })).toMatchObject({ state: 'rejected', decidedBy: 'olga' })
  expect(await call('promotions.get', { params: { id } })).toMatchObject({ state: 'rejected' })
})

it('names what there is where an environment is unknown', async () => {
  await expect(call('deployments.get', { params: { project, environment: 'moon' } })).rejects.toMatchObject({
    code: 'NotFound',
  })
})
