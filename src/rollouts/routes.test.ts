import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Actor, anonymous, type Endpoint } from '../kernel/route.ts'
import { promotionEndpoints } from '../promotions/index.ts'
import { owner, project, projectText } from '../promotions/testing/promotion-bench.ts'
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
