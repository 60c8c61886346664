import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makePythonModels } from '../soak/python-models.ts'
import { GatewayBench, realClock, until } from '../support/gateway-bench.ts'
import { post, startLoad } from '../support/serving-load.ts'

const python = process.env.MODELWRIGHT_TEST_PYTHON
const ask = (url: string, id = 'x') => post(url, JSON.stringify({ dataframe_records: [{ id }] }))

describe('a swap', () => {
  let bench: GatewayBench
  beforeEach(() => {
    bench = new GatewayBench()
  })
  afterEach(() => bench.close())

  it('fails and repeats no request, twenty times, beside the old version and in its place, with a model that takes two seconds to load', async () => {
    const versions = Array.from({ length: 4 }, (_, n) =>
      ['surge', 'hold'].map((mode) => bench.light(`${mode}${n}`, n, { loadMs: 2_000, answerMs: 4 })),
    )
    const wish = (n: number) =>
      bench.want(
        bench.endpoint('surge', [[versions[n % 4]![0]!, 1]], { serve: { swap: 'surge' } }),
        bench.endpoint('hold', [[versions[n % 4]![1]!, 1]], { serve: { swap: 'hold' } }),
      )
    wish(0)
    await bench.start()
    const modes = ['surge', 'hold'] as const
    const isReady = (version: number) => modes.every((mode) => bench.seen(mode, version)?.state === 'ready')
    await until('both serve', () => isReady(0))
    const loads = modes.map((name) =>
      startLoad(bench.url(name), { name, closed: 16, perSecond: 20, deadlineMs: 120_000 }),
    )
    for (let n = 1; n <= 20; n++) {
      wish(n)
      await until(`swap ${n}`, () => isReady(n % 4) && modes.every((mode) => bench.seen(mode, n % 4)?.weight === 1))
    }
    const reports = await Promise.all(loads.map((load) => load.end()))
    const counts = bench.computed()
    for (const [index, { failed, ids, longestMs, answered, answers }] of reports.entries()) {
      console.log(`20 swaps in ${modes[index]}: ${answered} answered, longest wait ${Math.round(longestMs)} ms`)
      expect(failed).toEqual([])
      expect([...ids].filter((id) => counts.get(id) !== 1)).toEqual([])
      expect([...answers.keys()].sort()).toEqual([0, 1, 2, 3].map((n) => `${modes[index]}${n}`))
      expect(longestMs).toBeLessThan(30_000)
    }
  })

  it('in place keeps one version in memory at a time, and answers in the order of coming', async () => {
    const go = join(bench.dataDir, 'go')
    const [old, next] = [bench.light('old', 1), bench.light('next', 2, { loadAfter: go })]
    bench.want(bench.endpoint('e', [[old, 1]], { serve: { swap: 'hold' } }))
    await bench.start()
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    const pid = bench.seen('e', 1)!.workerPid!
    bench.want(bench.endpoint('e', [[next, 1]], { serve: { swap: 'hold' } }))
    await until(
      'the next is loaded',
      () => bench.seen('e', 2)?.state === 'loading' && bench.seen('e', 2)?.workerPid !== undefined,
    )
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    // A swap is no outage: who shares out requests goes on sending them.
    expect((await fetch(`${bench.gateway.url}/ping`)).status).toBe(200)
    const hungUp = new AbortController()
    const gone = fetch(bench.url('e'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"dataframe_records":[{"id":"gone"}]}',
      signal: hungUp.signal,
    }).catch(() => 'hung up')
    const ids = Array.from({ length: 12 }, (_, n) => `n${n}`)
    const answers = []
    for (const id of ids) {
      answers.push(ask(bench.url('e'), id))
      await until(`${id} waits`, () => bench.gateway.status().endpoints[0]?.requests?.waiting === answers.length + 1)
    }
    hungUp.abort()
    expect(await gone).toBe('hung up')
    await until(
      'who hung up waits no more',
      () => bench.gateway.status().endpoints[0]?.requests?.waiting === ids.length,
    )
    writeFileSync(go, '')
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ status: 200, text: '{"predictions":["next"]}' })
    expect([...bench.computed().keys()]).toEqual(ids)
  })

  it('in place brings the old version back to those who waited where the next one cannot be loaded, and does not try again by itself', async () => {
    const [old, broken, good] = [
      bench.light('old', 1, { loadMs: 300 }),
      bench.light('broken', 2, { loadMs: 500, fails: true }),
      bench.light('good', 3),
    ]
    const serve = { swap: 'hold' } as const
    bench.want(bench.endpoint('e', [[old, 1]], { serve }))
    await bench.start()
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    const load = startLoad(bench.url('e'), { name: 'r', closed: 4, perSecond: 20, deadlineMs: 120_000 })
    bench.want(
      bench.endpoint(
        'e',
        [
          [old, 0],
          [broken, 1],
        ],
        { serve },
      ),
    )
    await until('it failed', () => bench.seen('e', 2)?.state === 'failed')
    expect(bench.seen('e', 2)).toMatchObject({ cause: 'not loaded', weight: 0 })
    expect(bench.seen('e', 2)!.reason).toContain('it does not load')
    await until('the old one is back', () => bench.seen('e', 1)?.state === 'ready')
    const pid = bench.seen('e', 1)!.workerPid
    // What another endpoint is to be is no reason to try again.
    bench.want(
      bench.endpoint(
        'e',
        [
          [old, 0],
          [broken, 1],
        ],
        { serve },
      ),
      bench.endpoint('other', [[good, 1]]),
    )
    await until('the other serves', () => bench.seen('other', 3)?.state === 'ready')
    expect(bench.seen('e', 1)).toMatchObject({ state: 'ready', weight: 1, workerPid: pid })
    const report = await load.end()
    expect(report.failed).toEqual([])
    expect([...report.answers.keys()]).toEqual(['old'])
    expect([...bench.computed().values()].every((count) => count === 1)).toBe(true)
    bench.want(bench.endpoint('e', [[good, 1]], { serve }))
    await until('another version is served', () => bench.seen('e', 3)?.state === 'ready')
    expect(bench.seen('e', 2)).toBeUndefined()
  })

  it('in place holds a canary back and says why, while the old version answers', async () => {
    const [old, next] = [bench.light('old', 1), bench.light('next', 2)]
    const serve = { swap: 'hold' } as const
    bench.want(bench.endpoint('e', [[old, 1]], { serve }))
    await bench.start()
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    bench.want(
      bench.endpoint(
        'e',
        [
          [old, 0.5],
          [next, 0.5],
        ],
        { serve },
      ),
    )
    await until('it is held', () => bench.seen('e', 2)?.cause === 'held')
    expect(bench.seen('e', 2)).toMatchObject({ state: 'asleep', weight: 0 })
    expect(bench.seen('e', 2)!.reason).toContain('swap: hold')
    for (let n = 0; n < 10; n++) expect((await ask(bench.url('e'))).text).toBe('{"predictions":["old"]}')
  })

  it('in place turns round where Git changes its mind, and nobody who waits is forgotten', async () => {
    const [old, slow, third] = [
      bench.light('old', 1),
      bench.light('slow', 2, { loadMs: 60_000 }),
      bench.light('third', 3),
    ]
    const serve = { swap: 'hold' } as const
    const only = (version: typeof old) => bench.want(bench.endpoint('e', [[version, 1]], { serve }))
    only(old)
    await bench.start()
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    for (const [wanted, answer] of [
      [old, 'old'],
      [third, 'third'],
    ] as const) {
      only(slow)
      await until('the slow one is loaded', () => bench.seen('e', 2)?.workerPid !== undefined)
      const pid = bench.seen('e', 2)!.workerPid!
      const waiting = [1, 2, 3].map((n) => ask(bench.url('e'), `${answer}${n}`))
      await until('they wait', () => bench.gateway.status().endpoints[0]?.requests?.waiting === 3)
      only(wanted)
      for (const told of await Promise.all(waiting)) expect(told.text).toBe(`{"predictions":["${answer}"]}`)
      expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    }
  })

  it('in place gives up a version that does not become ready in time, and does not even begin with files that cannot be read', async () => {
    const [old, slow] = [bench.light('old', 1), bench.light('slow', 2, { loadMs: 600_000 })]
    const starts = join(bench.dataDir, 'starts')
    const mute = bench.light('mute', 4, { dies: true, starts })
    const missing = { ...bench.light('missing', 3), modelPath: join(bench.dataDir, 'nowhere') }
    const serve = { swap: 'hold' } as const
    bench.want(bench.endpoint('e', [[old, 1]], { serve }))
    let turned = 0
    await bench.start({ clock: { ...realClock, now: () => realClock.now() + turned }, limits: { loadMs: 300_000 } })
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    bench.want(bench.endpoint('e', [[slow, 1]], { serve }))
    await until('it is being loaded', () => bench.seen('e', 2)?.workerPid !== undefined)
    turned = 301_000
    await until('it is given up', () => bench.seen('e', 2)?.cause === 'not loaded')
    expect((await ask(bench.url('e'))).text).toBe('{"predictions":["old"]}')
    bench.want(bench.endpoint('e', [[mute, 1]], { serve }))
    await until('it is given up at its first death', () => bench.seen('e', 4)?.cause === 'not loaded')
    expect(bench.seen('e', 4)!.reason).toContain('exit code 9')
    expect(readFileSync(starts, 'utf8').trim().split('\n')).toHaveLength(1)
    expect((await ask(bench.url('e'))).text).toBe('{"predictions":["old"]}')
    const pid = bench.seen('e', 1)!.workerPid
    bench.want(bench.endpoint('e', [[missing, 1]], { serve }))
    await until('it is refused', () => bench.seen('e', 3)?.cause === 'not loaded')
    expect(bench.seen('e', 3)!.reason).toContain('nowhere')
    expect(bench.seen('e', 1)).toMatchObject({ state: 'ready', weight: 1, workerPid: pid })
  })

  it('in place leaves the traffic with the old version while Git says so, even where it dies and does not come back', async () => {
    const [old, next] = [bench.light('old', 1), bench.light('next', 2)]
    bench.want(
      bench.endpoint(
        'e',
        [
          [old, 1],
          [next, 0],
        ],
        { serve: { swap: 'hold' } },
      ),
    )
    await bench.start()
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    bench.light('old', 1, { fails: true })
    process.kill(bench.seen('e', 1)!.workerPid!, 'SIGKILL')
    await until('it failed', () => bench.seen('e', 1)?.state === 'failed')
    expect(bench.seen('e', 1)!.cause).toBeUndefined()
    expect(bench.seen('e', 2)).toMatchObject({ state: 'asleep', cause: 'held', weight: 0 })
    expect((await ask(bench.url('e'))).status).toBe(503)
  })

  it('beside the old version is refused with both numbers where memory holds one', async () => {
    const [old, next] = [bench.light('old', 1, { megabytes: 60 }), bench.light('next', 2)]
    const serve = { swap: 'surge' } as const
    bench.want(bench.endpoint('e', [[old, 1]], { serve }))
    await bench.start({ memoryBytes: 180_000_000 })
    await until('it serves', () => bench.seen('e', 1)?.state === 'ready')
    bench.want(
      bench.endpoint(
        'e',
        [
          [old, 1],
          [next, 0],
        ],
        { serve },
      ),
    )
    await until('it is refused', () => bench.seen('e', 2)?.cause === 'no room')
    expect(bench.seen('e', 2)).toMatchObject({ state: 'failed', reason: expect.stringContaining('180.0 MB') })
    expect((await ask(bench.url('e'))).text).toBe('{"predictions":["old"]}')
  })

  it.skipIf(!python)('of real models in Python, beside and in place, fails and repeats no request', async () => {
    const folder = join(bench.dataDir, 'models')
    const names = ['v0', 'v1']
    await makePythonModels(
      python!,
      folder,
      names.map((answer) => ({ answer, loadSeconds: 2, log: bench.log })),
    )
    const wish = (n: number, swap: 'surge' | 'hold') => {
      const name = names[n % 2]!
      const served = bench.served(name, n % 2, join(folder, name), python!)
      bench.want(bench.endpoint('e', [[served, 1]], { serve: { swap } }))
    }
    wish(0, 'hold')
    await bench.start()
    await until('it serves', () => bench.seen('e', 0)?.state === 'ready')
    const load = startLoad(bench.url('e'), { name: 'r', closed: 8, perSecond: 20, deadlineMs: 120_000 })
    for (const [n, swap] of [
      [1, 'hold'],
      [2, 'surge'],
    ] as const) {
      wish(n, swap)
      await until(`${swap}`, () => bench.seen('e', n % 2)?.weight === 1)
    }
    const { failed, ids, longestMs } = await load.end()
    console.log(`real models: longest wait ${Math.round(longestMs)} ms`)
    expect(failed).toEqual([])
    const counts = bench.computed()
    expect([...ids].filter((id) => counts.get(id) !== 1)).toEqual([])
  })

  it('tells who waits too long, and who finds the line full, to come again', async () => {
    const slow = bench.light('slow', 1, { loadMs: 60_000 })
    bench.want(bench.endpoint('e', [[slow, 1]]))
    let turned = 0
    const clock = { ...realClock, now: () => realClock.now() + turned }
    await bench.start({ clock, limits: { line: { requests: 2, bytes: 1_000, waitMs: 3_600_000 } } })
    const asked = [1, 2, 3].map(() => ask(bench.url('e')))
    await Promise.race(asked)
    turned = 3_600_000
    const told = await Promise.all(asked)
    expect(told.map(({ status, retryAfter }) => [status, Number(retryAfter) >= 1])).toEqual(Array(3).fill([503, true]))
    expect(told.map(({ text }) => /wait already|in time/.exec(text)?.[0]).sort()).toEqual([
      'in time',
      'in time',
      'wait already',
    ])
    const large = JSON.stringify({ dataframe_records: [{ id: 'x'.repeat(2_000) }] })
    expect((await post(bench.url('e'), large)).text).toContain('wait already')
  })
})
