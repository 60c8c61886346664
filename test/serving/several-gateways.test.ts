import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import type { GatewayObserved } from '../../src/serving/gateway-state.ts'
import { eventually } from '../journeys/support/eventually.ts'
import { Family } from '../journeys/support/family.ts'
import { freePort } from '../support/free-ports.ts'
import { GatewayBench } from '../support/gateway-bench.ts'

const script = fileURLToPath(new URL('./gateway-process.ts', import.meta.url))

/** Gateway processes on one folder and one port, as the supervisor would start them. */
class Gateways {
  readonly bench = new GatewayBench()
  readonly #of: number
  readonly #port: number
  readonly #children = new Map<number, ChildProcess>()

  private constructor(of: number, port: number) {
    this.#of = of
    this.#port = port
  }

  static async on(of: number): Promise<Gateways> {
    return new Gateways(of, await freePort())
  }

  async start(...numbers: number[]): Promise<void> {
    for (const number of numbers) {
      const words = [script, this.bench.dataDir, this.#port, number, this.#of].map(String)
      const flags = ['--disable-warning=ExperimentalWarning', ...words]
      const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
      this.#children.set(number, child)
    }
    await Promise.all(numbers.map((number) => once(this.#children.get(number)!.stdout!, 'data')))
  }

  pid(number: number): number {
    return this.#children.get(number)!.pid!
  }

  async kill(number: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#children.get(number)!
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async close(): Promise<void> {
    for (const [number, child] of this.#children)
      if (child.exitCode === null && child.signalCode === null) await this.kill(number, 'SIGTERM')
    await this.bench.close()
  }

  /** By a connection of its own, so that any of the processes may be the one. */
  ask(path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const question = request({ port: this.#port, path, agent: false, method: body ? 'POST' : 'GET' }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        answer.on('end', () => resolve({ status: answer.statusCode!, text }))
      })
      question.on('error', reject).setHeader('content-type', 'application/json')
      question.end(body ? JSON.stringify(body) : undefined)
    })
  }

  predict(id: string): Promise<{ status: number; text: string }> {
    return this.ask('/endpoints/p/prod/invocations', { dataframe_records: [{ id }] })
  }

  async status(): Promise<GatewayObserved> {
    return JSON.parse((await this.ask('/status')).text) as GatewayObserved
  }

  until(what: string, holds: (status: GatewayObserved) => boolean): Promise<unknown> {
    return eventually(what, {
      look: async () => holds(await this.status()),
      explain: async () => JSON.stringify(await this.status(), null, 1),
    })
  }
}

const statesOf = ({ endpoints }: GatewayObserved) =>
  endpoints.flatMap(({ versions }) => versions.map(({ state }) => state))

describe('several gateway processes', () => {
  let gateways: Gateways
  afterEach(() => gateways?.close())

  it('share one port, and whoever is asked tells of all', async () => {
    gateways = await Gateways.on(3)
    gateways.bench.want(gateways.bench.endpoint('prod', [[gateways.bench.light('a', 1), 1]], { serve: { workers: 3 } }))
    await gateways.start(1, 2, 3)
    await gateways.until('all are ready', (status) => statesOf(status).every((state) => state === 'ready'))
    const answers = await Promise.all(Array.from({ length: 90 }, (_, at) => gateways.predict(`r${at}`)))
    expect(answers.map(({ status }) => status)).toEqual(Array(90).fill(200))
    await gateways.until('all is written', ({ journal }) => journal?.written === 90)

    const status = await gateways.status()
    expect(status.processes).toEqual({ of: 3, answering: [1, 2, 3] })
    // Three workers in all, as Git says: one belongs to each process.
    const parents = status.endpoints[0]!.versions[0]!.workers!.map(({ pid }) => parentOf(pid))
    expect(parents.sort()).toEqual([gateways.pid(1), gateways.pid(2), gateways.pid(3)].sort())
    // Each process has written of what it answered, and the kernel gave each its part of 90 connections.
    const writers = readdirSync(join(gateways.bench.dataDir, 'gateway', 'journal')).map((name) => name.split('-')[1])
    expect(new Set(writers)).toEqual(new Set([1, 2, 3].map((number) => String(gateways.pid(number)))))
    expect([...gateways.bench.computed().values()]).toEqual(Array(90).fill(1))
  })

  it('go on when one is killed, say that it is away, and take it back', async () => {
    gateways = await Gateways.on(2)
    gateways.bench.want(gateways.bench.endpoint('prod', [[gateways.bench.light('a', 1), 1]]))
    await gateways.start(1, 2)
    await gateways.until('both are ready', (status) => statesOf(status).every((state) => state === 'ready'))
    await gateways.kill(2)
    const answers = await Promise.all(Array.from({ length: 40 }, (_, at) => gateways.predict(`r${at}`)))
    expect(answers.map(({ status }) => status)).toEqual(Array(40).fill(200))
    expect((await gateways.status()).processes).toEqual({ of: 2, answering: [1] })
    await gateways.start(2)
    await gateways.until('both answer', ({ processes }) => processes?.answering.length === 2)
  })

  it('count together what a guard judges, and take a newcomer out of traffic together', async () => {
    gateways = await Gateways.on(2)
    const [old, newcomer] = [gateways.bench.light('old', 1), gateways.bench.light('new', 2)]
    // It refuses every row: ids are texts.
    newcomer.inputs = { columns: [], checks: [{ column: 'id', type: 'number', mayBeMissing: false }] }
    const guard = { newcomer: newcomer.digest, minRequests: 40, maxInputFailureRate: 0.5 }
    const weights: [typeof old, number][] = [
      [old, 0.5],
      [newcomer, 0.5],
    ]
    gateways.bench.want(gateways.bench.endpoint('prod', weights, { guard }))
    await gateways.start(1, 2)
    await gateways.until('both are ready', (status) => statesOf(status).every((state) => state === 'ready'))
    let refused = 0
    const askOnce = async () => {
      if ((await gateways.predict(`r${refused}`)).status !== 200) refused++
    }
    while (refused < 40) await askOnce()
    const trip = await eventually('the guard trips', {
      look: async () => {
        await askOnce()
        await sleep(250)
        return (await gateways.status()).endpoints[0]!.guardTripped
      },
      explain: async () => `${refused} refusals`,
    })
    expect(trip.requests).toBeGreaterThanOrEqual(40)
    // One that counted alone would come to 40 when both together have seen about twice as many.
    expect(refused).toBeLessThan(68)
    expect(trip.inputFailures).toBe(trip.requests)
    await eventually('the newcomer is out of traffic in both', {
      look: async () => {
        const answers = await Promise.all(Array.from({ length: 40 }, (_, at) => gateways.predict(`after${at}`)))
        return answers.every(({ status }) => status === 200)
      },
      explain: async () => JSON.stringify(await gateways.status(), null, 1),
    })
  })

  it('are not misled by a stranger who got the port of a dead one, whatever that answers, and by no file that is broken', async () => {
    gateways = await Gateways.on(2)
    const { bench } = gateways
    const [old, newcomer] = [bench.light('old', 1), bench.light('new', 2)]
    const guard = { newcomer: newcomer.digest, minRequests: 1_000, maxErrorRate: 0.5 }
    const weights: [typeof old, number][] = [
      [old, 0.5],
      [newcomer, 0.5],
    ]
    bench.want(bench.endpoint('prod', weights, { guard }))
    await gateways.start(1)
    await gateways.until('it is ready', (status) => statesOf(status).every((state) => state === 'ready'))
    let asked = 0
    const stranger = createHttpServer((_, response) => {
      asked++
      response.end('{}')
    }).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const file = join(bench.dataDir, 'gateway', 'siblings', '2.json')
    for (const text of ['', '{', 'null', JSON.stringify({ port: 99_999, token: 'x' })]) {
      writeFileSync(file, text)
      expect((await gateways.status()).processes).toEqual({ of: 2, answering: [1] })
    }
    writeFileSync(file, JSON.stringify({ port: (stranger.address() as AddressInfo).port, token: 'x', proof: 'y' }))
    // While a guard watches it is asked by itself, too.
    await eventually('the stranger was asked', { look: async () => asked >= 2, explain: async () => String(asked) })
    expect((await gateways.status()).processes).toEqual({ of: 2, answering: [1] })
    expect((await gateways.ask('/v2/models/p.prod/stats')).status).toBe(200)
    expect((await gateways.predict('r')).status).toBe(200)
    stranger.close()
  })
})

describe('modelwright up --gateways 2', () => {
  let family: Family | undefined
  afterEach(() => family?.stop())

  it('keeps both running, tells of both, and `down` leaves none', async () => {
    family = await Family.start(['--gateways', '2', '--serving-memory', '1GB'])
    const { dataDir } = family
    const pidOf = (name: string) =>
      (JSON.parse(readFileSync(join(dataDir, 'run', `${name}.json`), 'utf8')) as { pid: number }).pid
    const status = async () => JSON.parse(await (await fetch(`${family!.gatewayUrl}/status`)).text()) as GatewayObserved
    const both = async () => (await status()).processes?.answering.length === 2
    await eventually('both answer', { look: both, explain: () => family!.explain() })
    // Each has the half of it.
    expect((await status()).memory?.budget).toBe(1e9)
    const killed = pidOf('gateway-2')
    process.kill(killed, 'SIGKILL')
    await eventually('the second is back', {
      look: async () => pidOf('gateway-2') !== killed && (await both()),
      explain: () => family!.explain(),
    })
    const told = JSON.parse((await family.cli(dataDir, 'status', '--json')).out) as {
      processes: { name: string; pid: number; answers: boolean }[]
    }
    expect(told.processes.map(({ name, answers }) => [name, answers])).toEqual([
      ['server', true],
      ['gateway', true],
      ['gateway-2', true],
    ])
    // The port that both share would go on answering.
    process.kill(pidOf('gateway-2'), 'SIGSTOP')
    const { findings } = JSON.parse((await family.cli(dataDir, 'doctor', '--json')).out) as {
      findings: { what: string; level: string }[]
    }
    const gateways = findings.filter(({ what }) => what.startsWith('gateway'))
    expect(gateways.map(({ what, level }) => [what, level])).toEqual([
      ['gateway', 'ok'],
      ['gateway-2', 'fail'],
    ])
    // A stopped one is told to end, too.
    expect((await family.cli(dataDir, 'down')).code).toBe(0)
    for (const { pid } of told.processes) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('ends one that lives and answers nothing, and starts it again', async () => {
    family = await Family.start(['--gateways', '2', '--gateway-patience', '4s'])
    type Facts = { pid: number; ownUrl: string }
    const second = (what: string, isIt: (facts: Facts) => boolean) =>
      eventually(what, {
        look: async () => {
          const facts = JSON.parse(readFileSync(join(family!.dataDir, 'run', 'gateway-2.json'), 'utf8')) as Facts
          return isIt(facts) && (await fetch(`${facts.ownUrl}/health`)).ok && facts
        },
        explain: () => family!.explain(),
      })
    const { pid: stopped } = await second('it answers', () => true)
    process.kill(stopped, 'SIGSTOP')
    await second('another one answers in its place', ({ pid }) => pid !== stopped)
    expect(() => process.kill(stopped, 0)).toThrow('ESRCH')
  })

  it('refuses a port that another program holds, though several could share it', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    family = await Family.start()
    const words = ['--data-dir', join(family.folder, 'second'), '--port', '0', '--gateway-port', String(port)]
    const begun = Date.now()
    for (const how of [[], ['--detach']]) {
      const { code, err } = await family.cli(family.folder, 'up', ...how, '--gateways', '2', ...words)
      expect(err).toContain(`PortTaken: Another program listens on 127.0.0.1:${port}.`)
      expect(code).not.toBe(0)
    }
    other.close()
    const unshared = await family.cli(family.folder, 'up', '--gateways', '2', ...words.with(-1, '0'))
    expect(unshared.err).toContain('--gateways 2 needs a port that they share; --gateway-port is 0.')
    // In the background, too, it is told at once, not when patience ends.
    expect(Date.now() - begun).toBeLessThan(25_000)
  })

  it('takes over in the background what a killed supervisor left, and is up only when its own gateways answer', async () => {
    family = await Family.start(['--gateways', '3'])
    const { dataDir } = family
    const facts = (name: string) =>
      JSON.parse(readFileSync(join(dataDir, 'run', `${name}.json`), 'utf8')) as { pid: number; url: string }
    const gateway = () =>
      fetch(`${facts('gateway').url}/status`).then((answer) => answer.json() as Promise<GatewayObserved>)
    await eventually('all answer', {
      look: async () => (await gateway()).processes?.answering.length === 3,
      explain: () => family!.explain(),
    })
    const former = ['supervisor', 'gateway', 'gateway-2', 'gateway-3'].map((name) => facts(name).pid)
    process.kill(former[0]!, 'SIGKILL')
    const words = ['--port', '0', '--gateway-port', new URL(family.gatewayUrl).port]
    try {
      const again = await family.cli(dataDir, 'up', '--detach', '--gateways', '2', ...words)
      expect(again.err).toBe('')
      for (const pid of former) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
      expect((await gateway()).processes?.of).toBe(2)
    } finally {
      expect((await family.cli(dataDir, 'down')).code).toBe(0)
    }
  })
})

/** proc(5): `pid (name) state ppid …`; the name may hold anything, parentheses too. */
const parentOf = (pid: number): number =>
  Number(
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[1],
  )
