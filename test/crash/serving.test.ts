import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../journeys/support/eventually.ts'
import { Family, processesOf } from '../journeys/support/family.ts'
import { Project } from '../journeys/support/project.ts'
import { prepareEnvironment, requirements } from '../journeys/support/sorter.ts'
import { testPython } from '../support/python.ts'
import { fastModelFiles } from './support/fast-model.ts'
import { comesBack, isAlive, killAndAwait, killHard, pidOf, randomFrom, upAgain, upWordsOf } from './support/kill.ts'
import { clients, Load } from './support/load.ts'

const python = testPython()

// kill -9 of gateway, worker, server and supervisor while a real model answers: one after the other, on one project that goes on.
describe.skipIf(!python)('what serves', () => {
  let family: Family
  let project: Project
  beforeAll(async () => {
    family = await Family.start(['--slots', '2'])
    await prepareEnvironment(family)
    project = await Project.connect(family, 'steady', files(1))
    await project.succeeded((await project.push('model 1')).commit)
    await project.serves(1)
  })
  afterAll(() => family?.stop())

  const files = (model: number | string) => ({
    ...fastModelFiles('steady', model, {
      python: 'python: { requirements: requirements.txt }',
      rollout: '    rollout: { canary: [20%, 50%, 100%], every: 2s, min_requests: 5, abort: { error_rate: "> 20%" } }',
    }),
    'requirements.txt': requirements,
  })
  const nextModel = async (model: number | string) => {
    await project.pull()
    const text = await project.remoteFile('modelwright.yaml')
    return project.push(`model ${model}`, {
      'modelwright.yaml': text.replace(/log_model\.py [\d. ]+/, `log_model.py ${model}`),
    })
  }
  const status = async () => (await fetch(`${family.gatewayUrl}/status`)).json() as Promise<GatewayStatus>
  const workerPids = async () =>
    (await status()).endpoints.flatMap(({ versions }) => versions.flatMap(({ workerPid }) => workerPid ?? []))

  it('answers again after the gateway was killed under load, without the server, and leaves no worker of the dead one', async () => {
    const before = await workerPids()
    const load = new Load(project)
    await eventually('answers flow', { look: async () => load.told.length > 20, explain: () => family.explain() })
    // The journal's promise: a record is written one flush after its answer, in the order of answers. What each client may have been
    // told meanwhile comes on top.
    const early = load.told.filter(({ status }) => status === 200)
    await project.eventually('they are written', async () => {
      const { journal } = await status()
      return journal !== undefined && journal.written >= early.length + clients
    })
    const server = pidOf(family, 'server')
    process.kill(server, 'SIGSTOP')
    let deadAt = 0
    try {
      const gateway = pidOf(family, 'gateway')
      await killHard(gateway)
      deadAt = Date.now()
      await comesBack(family, 'gateway', gateway)
      await project.eventually('the gateway answers predictions', async () =>
        load.told.some(({ began, status }) => began > deadAt && status === 200),
      )
    } finally {
      process.kill(server, 'SIGCONT')
    }
    const told = await load.stop()
    expect(told.filter(({ status }) => ![0, 200].includes(status))).toEqual([])
    expect(new Set(told.filter(({ status }) => status === 200).map(({ value }) => value))).toEqual(new Set([1]))
    expect(before.filter(isAlive)).toEqual([])

    const promised = [...early, ...told.filter(({ began, status }) => status === 200 && began > deadAt)]
    const lookedFor = async () => {
      const kept = await idsInLog()
      const missing = promised.filter(({ id }) => !kept.has(id))
      if (missing.length > 0) throw new Error(`${missing.length} of ${promised.length} missing`)
      return true
    }
    await project.eventually('every acknowledged prediction is in the log', lookedFor)
  })

  const idsInLog = async () => {
    const url = `${family.url}/api/v1/deployments/steady/production/predictions?limit=1000`
    const { items } = (await (await fetch(url)).json()) as { items: { id: string }[] }
    expect(items.length).toBeLessThan(1_000)
    const ids = items.map(({ id }) => id)
    expect(new Set(ids).size, 'no prediction is logged twice').toBe(ids.length)
    return new Set(ids)
  }

  it('heals a worker that was killed under load: who was being answered is told so, the others wait, nobody gets a wrong answer', async () => {
    const load = new Load(project)
    await project.eventually('answers flow', async () => load.told.length > 5)
    const [worker] = await workerPids()
    await killHard(worker!)
    const deadAt = Date.now()
    await project.eventually('another worker answers', async () => {
      const [now] = await workerPids()
      return (
        now !== undefined && now !== worker && load.told.some(({ began, status }) => began > deadAt && status === 200)
      )
    })
    const told = await load.stop()
    const refused = told.filter(({ status }) => status !== 200)
    expect(new Set(refused.map(({ status }) => status))).toEqual(refused.length > 0 ? new Set([503]) : new Set())
    for (const { message } of refused) expect(message).toContain("The model's process ended while it answered")
    expect(refused.length).toBeLessThanOrEqual(1)
    expect(told.at(-1)).toMatchObject({ status: 200, value: 1 })
    await project.serves(1)
  })

  it('carries a canary on through kills of the server: each step decided once, the weight never going back', async () => {
    const load = new Load(project)
    const weights: number[] = []
    let watching = true
    const watch = (async () => {
      while (watching) {
        const seen = await status().catch(() => undefined)
        const newcomer = seen?.endpoints[0]?.versions.find(({ version }) => version === 2)
        if (newcomer) weights.push(newcomer.weight)
        await sleep(50)
      }
    })()
    const random = randomFrom(5)
    await nextModel(2)
    for (let kills = 0; kills < 4; kills++) {
      await sleep(random() * 2_500)
      await killAndAwait(family, 'server')
    }
    await project.serves(2)
    watching = false
    await watch
    const told = await load.stop()
    expect(told.filter(({ status }) => status !== 200)).toEqual([])
    expect(weights).toEqual(weights.toSorted((a, b) => a - b))
    const [newest, ...older] = (await project.deployment()).rollouts
    expect(newest!.decisions.map(({ outcome }) => outcome).sort()).toEqual(['advance', 'begin', 'finish'])
    expect(newest!.newcomer.version).toBe(2)
    expect(older.map(({ newcomer }) => newcomer.version)).toEqual([1])
    await project.eventually('the old worker is gone', async () => (await workerPids()).length === 1)
  })

  it('keeps a canary that broke its bound out of traffic when server and gateway are killed around the abort', async () => {
    const before = (await project.deployment()).serving!.version
    const { predictions } = (await project.predict([{ x: 1 }])).body
    // Most rows are too large for the newcomer.
    const load = new Load(project, 500)
    await nextModel('3 100')
    await project.eventually('the newcomer fails', async () => load.told.some(({ status }) => status === 400))
    await Promise.all([killHard(pidOf(family, 'server')), killHard(pidOf(family, 'gateway'))])
    await project.eventually('the rollout is stalled', async () => (await project.deployment()).state === 'stalled')
    await project.eventually('the gateway knows', async () => {
      const versions = (await status()).endpoints.flatMap((endpoint) => endpoint.versions)
      return versions.every(({ version, weight }) => version === before || weight === 0)
    })
    const stalledAt = Date.now()
    await killAndAwait(family, 'gateway')
    await killAndAwait(family, 'server')
    // Time in which it would be tried again.
    await sleep(2_000)
    const told = await load.stop()
    const answers = told.filter(({ began, status }) => began > stalledAt && status === 200)
    expect(new Set(answers.map(({ value }) => value))).toEqual(new Set(predictions))
    expect(told.filter(({ began, status }) => began > stalledAt && ![0, 200].includes(status))).toEqual([])
    const { rollouts, serving } = await project.deployment()
    expect(serving?.version).toBe(before)
    expect(rollouts.filter(({ newcomer }) => newcomer.version === before + 1)).toHaveLength(1)
    expect(rollouts[0]!.decisions.filter(({ outcome }) => outcome === 'roll back')).toHaveLength(1)
    const reverts = (await project.promotions()).filter(({ kind }) => kind === 'revert')
    expect(reverts, 'the revert is proposed once').toHaveLength(1)
  })

  it('is taken over by the next `up` when the supervisor was killed, and nothing of it is left after Ctrl-C', async () => {
    const words = upWordsOf(family)
    const [server, gateway] = [pidOf(family, 'server'), pidOf(family, 'gateway')]
    await killHard(pidOf(family, 'supervisor'))
    expect([server, gateway].map(isAlive)).toEqual([true, true])
    expect((await project.predict([{ x: 1 }])).status).toBe(200)
    const next = upAgain(family, words)
    await eventually('the next family answers', {
      look: async () =>
        pidOf(family, 'server') !== server &&
        pidOf(family, 'gateway') !== gateway &&
        (await project.predict([{ x: 1 }])).status === 200,
      explain: () => family.explain(),
    })
    expect([server, gateway].map(isAlive)).toEqual([false, false])
    const ended = new Promise((resolve) => next.once('exit', resolve))
    next.kill('SIGINT')
    expect(await ended).toBe(0)
    const left = (await processesOf(family.folder)).filter((pid) => pid !== process.pid)
    expect(left).toEqual([])
  })
})

type GatewayStatus = {
  journal?: { written: number }
  endpoints: { versions: { version: number; weight: number; state: string; workerPid?: number }[] }[]
}
