import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GatewayObserved } from '../../src/serving/gateway-state.ts'
import { GatewayBench, realClock, until } from '../support/gateway-bench.ts'
import { post, startLoad } from '../support/serving-load.ts'

const ask = (url: string, id = 'x') => post(url, JSON.stringify({ dataframe_records: [{ id }] }))
const graph = fileURLToPath(new URL('../fixtures/serving/onnx-double', import.meta.url))

describe('under a budget of memory', () => {
  let bench: GatewayBench
  beforeEach(() => {
    bench = new GatewayBench()
  })
  let stopWatching = () => {}
  afterEach(async () => {
    stopWatching()
    await bench.close()
  })

  const versions = () => bench.gateway.status().endpoints.flatMap((endpoint) => endpoint.versions)
  const loaded = () => versions().filter(({ state }) => state !== 'asleep')

  it('two hundred graphs where ten fit all answer, no more than ten are ever loaded, and those used least recently go', async () => {
    const names = Array.from({ length: 200 }, (_, n) => `g${n}`)
    bench.want(...names.map((name, n) => bench.endpoint(name, [[bench.served(name, n, graph, '/no/python'), 1]])))
    // A small graph counts as 4 MB.
    await bench.start({ memoryBytes: 40_000_000 })
    let most = 0
    const watching = setInterval(() => {
      most = Math.max(most, loaded().length)
    }, 10)
    stopWatching = () => clearInterval(watching)
    const body = JSON.stringify({ inputs: { x: [[1, 2, 3, 4]] } })
    const askAll = async (order: readonly string[]) => {
      const rest = [...order]
      const clients = Array.from({ length: 6 }, async () => {
        for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
          const { status, text } = await post(bench.url(name), body)
          expect([name, status, text]).toEqual([name, 200, '{"predictions": {"y": [[2, 4, 6, 8]]}}'])
        }
      })
      await Promise.all(clients)
    }
    await until(
      'those that fit are loaded',
      () => loaded().length === 10 && loaded().every(({ state }) => state === 'ready'),
    )
    expect((await fetch(`${bench.gateway.url}/ping`)).status).toBe(200)
    await askAll(names)
    const rssBefore = process.memoryUsage.rss()
    const begun = Date.now()
    for (let round = 0; round < 3; round++) await askAll(names.map((_, n) => names[(n * 77 + round) % 200]!))
    const grown = process.memoryUsage.rss() - rssBefore
    console.log(
      `600 requests to 200 sleeping graphs in ${Date.now() - begun} ms; most loaded at once ${most}; memory grew by ${Math.round(grown / 1e6)} MB`,
    )
    for (const name of names.slice(0, 10)) expect((await post(bench.url(name), body)).status).toBe(200)
    await until('the last ten are those that are loaded', () => loaded().length === 10)
    expect(
      loaded()
        .map(({ version }) => version)
        .sort((a, b) => a - b),
    ).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    stopWatching()
    expect(most).toBe(10)
    expect(grown).toBeLessThan(60_000_000)
    const metadata = (await (await fetch(`${bench.gateway.url}/v2/models/p.g150`)).json()) as {
      inputs: { name: string }[]
    }
    expect(metadata.inputs[0]!.name).toBe('x')
    expect((await fetch(`${bench.gateway.url}/v2/models/p.g150/ready`)).status).toBe(200)
  })

  it('three models with processes of their own where one fits all answer, one at a time', async () => {
    const names = ['a', 'b', 'c']
    bench.want(...names.map((name, n) => bench.endpoint(name, [[bench.light(name, n, { megabytes: 60 }), 1]])))
    await bench.start({ memoryBytes: 160_000_000 })
    let most = 0
    for (let n = 0; n < 9; n++) {
      const name = names[n % 3]!
      expect(await ask(bench.url(name), `r${n}`)).toMatchObject({ status: 200, text: `{"predictions":["${name}"]}` })
      most = Math.max(most, loaded().length)
    }
    expect(most).toBe(1)
    expect(versions().filter(({ cause }) => cause === 'for others')).toHaveLength(2)
    const { endpoints } = bench.gateway.status()
    const [worker] = endpoints.flatMap((one) => one.versions.flatMap((version) => version.workers ?? []))
    expect(worker!.pid).toBeGreaterThan(0)
  })

  it('counts all processes of a version, and the spare', async () => {
    const loadAfter = join(bench.dataDir, 'go')
    const light = bench.light('e', 1, { megabytes: 60, loadAfter })
    bench.want(bench.endpoint('e', [[light, 1]], { serve: { workers: 2, spare: true } }))
    await bench.start({ memoryBytes: 900_000_000 })
    const memory = () => bench.gateway.status().memory!
    // Who shares out requests is told that nothing answers yet.
    expect((await fetch(`${bench.gateway.url}/ping`)).status).toBe(503)
    // Before anything is measured: three times 150 MB.
    expect(memory()).toEqual({ budget: 900_000_000, used: 450_000_000 })
    writeFileSync(loadAfter, '')
    await until('it was measured', () => memory().used !== 450_000_000)
    expect(memory().used).toBeGreaterThan(3 * 60_000_000)
    expect(memory().used).toBeLessThan(450_000_000)
  })

  it('never puts to sleep a model that computes: who needs its room waits', async () => {
    const answerAfter = join(bench.dataDir, 'go')
    const [slow, other] = [bench.light('slow', 1, { answerAfter }), bench.light('other', 2)]
    bench.want(bench.endpoint('slow', [[slow, 1]]), bench.endpoint('other', [[other, 1]]))
    await bench.start({ memoryBytes: 160_000_000 })
    await until('the first is loaded', () => bench.seen('slow', 1)?.state === 'ready')
    expect(bench.seen('slow', 1)!.memoryBytes).toBeGreaterThan(10_000_000)
    const begun = ask(bench.url('slow'))
    await until('it computes', () => bench.computed().size === 1)
    const waiting = ask(bench.url('other'))
    await until('it waits', () => bench.seen('other', 2)?.reason === 'It waits for memory.')
    await sleep(300)
    expect(bench.seen('slow', 1)?.state).toBe('ready')
    expect(bench.seen('other', 2)).toMatchObject({ state: 'loading', reason: 'It waits for memory.' })
    writeFileSync(answerAfter, '')
    expect((await begun).status).toBe(200)
    expect((await waiting).text).toBe('{"predictions":["other"]}')
    expect(bench.seen('slow', 1)).toMatchObject({ state: 'asleep', cause: 'for others' })
  })

  it('exchanges versions side by side where both fit, and in place where they do not', async () => {
    const loadAfter = join(bench.dataDir, 'go')
    const [old, next] = [
      bench.light('old', 1, { megabytes: 100 }),
      bench.light('next', 2, { megabytes: 100, loadAfter }),
    ]
    const most = async (memoryBytes: number) => {
      rmSync(loadAfter, { force: true })
      bench.want(bench.endpoint('e', [[old, 1]]))
      await bench.start({ memoryBytes })
      await until('the old one serves', () => bench.seen('e', 1)?.state === 'ready')
      const load = startLoad(bench.url('e'), { name: `l${memoryBytes}`, closed: 2, perSecond: 5, deadlineMs: 120_000 })
      bench.want(bench.endpoint('e', [[next, 1]]))
      let count = 0
      const look = () => {
        count = Math.max(count, versions().filter(({ workerPid }) => workerPid !== undefined).length)
      }
      await until('the next one is loaded', () => bench.seen('e', 2)?.workerPid !== undefined)
      look()
      writeFileSync(loadAfter, '')
      await until('the next one serves', () => {
        look()
        return bench.seen('e', 2)?.weight === 1 && bench.seen('e', 1) === undefined
      })
      expect((await load.end()).failed).toEqual([])
      await bench.stop()
      return count
    }
    expect(await most(500_000_000)).toBe(2)
    expect(await most(180_000_000)).toBe(1)
  })

  it('refuses by measure what is larger than all of it, and says both numbers and the setting', async () => {
    const large = bench.light('large', 1, { megabytes: 200 })
    bench.want(bench.endpoint('e', [[large, 1]]))
    await bench.start({ memoryBytes: 150_000_000 })
    const early = Array.from({ length: 5 }, (_, n) => ask(bench.url('e'), `r${n}`))
    await until('it is refused', () => bench.seen('e', 1)?.cause === 'too large')
    // Those who waited while it was loaded are told so; it never answers one of them.
    for (const { status, text } of await Promise.all(early))
      expect([status, text]).toEqual([503, expect.stringContaining('--serving-memory')])
    expect(bench.computed().size).toBe(0)
    expect(bench.seen('e', 1)).toMatchObject({ state: 'failed' })
    expect(bench.seen('e', 1)!.reason).toMatch(
      /^It takes \d+\.\d MB of memory; all models together may take 150\.0 MB \(--serving-memory\)\.$/,
    )
    const told = await ask(bench.url('e'))
    expect([told.status, told.text]).toEqual([503, expect.stringContaining('--serving-memory')])
    await bench.stop()
    // Known from before: it is not even tried.
    await bench.start({ memoryBytes: 150_000_000 })
    await until('it is refused again', () => bench.seen('e', 1)?.cause === 'too large')
    expect(bench.seen('e', 1)!.workerPid).toBeUndefined()
  })

  it('a model that nobody asks for is unloaded after its time, counts as able, and the next request brings it back', async () => {
    const before = Date.now()
    let turned = 0
    bench.want(bench.endpoint('e', [[bench.light('e', 1), 1]], { serve: { idleMs: 3_600_000 } }))
    await bench.start({ clock: { ...realClock, now: () => realClock.now() + turned } })
    await until('it is loaded', () => bench.seen('e', 1)?.state === 'ready')
    const pid = bench.seen('e', 1)!.workerPid!
    turned += 3_600_000
    await until('it sleeps', () => bench.seen('e', 1)?.cause === 'idle')
    expect(bench.seen('e', 1)!.since).toBeGreaterThanOrEqual(before)
    expect(bench.seen('e', 1)!.since).toBeLessThanOrEqual(Date.now() + turned)
    await until('its process is gone', () => {
      try {
        return !process.kill(pid, 0)
      } catch {
        return true
      }
    })
    expect(bench.seen('e', 1)).toMatchObject({ state: 'asleep', weight: 1 })
    expect((await fetch(`${bench.gateway.url}/ping`)).status).toBe(200)
    expect((await fetch(`${bench.gateway.url}/v2/health/ready`)).status).toBe(200)
    const answers = await Promise.all([1, 2, 3].map((n) => ask(bench.url('e'), `r${n}`)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    turned += 3_600_000
    await until('it sleeps again', () => bench.seen('e', 1)?.cause === 'idle')
    expect([...bench.computed().values()]).toEqual([1, 1, 1])
  })

  it('a gateway that is killed in the middle of a swap in place comes to what is desired after its restart', async () => {
    const loadAfter = join(bench.dataDir, 'go')
    const [old, next] = [bench.light('old', 1), bench.light('next', 2, { loadAfter })]
    const serve = { swap: 'hold' } as const
    bench.want(bench.endpoint('e', [[old, 1]], { serve }))
    const script = fileURLToPath(new URL('./gateway-process.ts', import.meta.url))
    const child = spawn(process.execPath, [script, bench.dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const url = String(line).trim()
    const stateOf = async (version: number) => {
      const { endpoints } = (await (await fetch(`${url}/status`)).json()) as GatewayObserved
      return endpoints[0]?.versions.find((one) => one.version === version)?.state
    }
    while ((await stateOf(1)) !== 'ready') await sleep(20)
    bench.want(
      bench.endpoint(
        'e',
        [
          [old, 0],
          [next, 1],
        ],
        { serve },
      ),
    )
    while ((await stateOf(2)) !== 'loading') await sleep(5)
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    writeFileSync(loadAfter, '')
    await bench.start()
    const answer = await ask(bench.url('e'))
    expect(answer.text).toBe('{"predictions":["next"]}')
    expect(bench.seen('e', 2)).toMatchObject({ state: 'ready', weight: 1 })
    expect(bench.seen('e', 1)).toMatchObject({ state: 'asleep', cause: 'held', weight: 0 })
  })
})
