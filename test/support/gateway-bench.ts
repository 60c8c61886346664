// A gateway in this process, on a folder of its own, whose models are light workers or real ones.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { digestOf } from '../../src/kernel/digest.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { type GatewayOptions, type RunningGateway, runGateway } from '../../src/serving/gateway/index.ts'
import type { EndpointDesired, GatewayObserved, ServedVersion } from '../../src/serving/gateway-state.ts'
import type { Light } from './light-worker.ts'

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined),
}
export const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

export type Seen = GatewayObserved['endpoints'][number]['versions'][number]

export class GatewayBench {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'mw-swap-'))
  /** Where light workers write down what they compute. */
  readonly log = join(this.dataDir, 'computed.log')
  readonly #python = join(this.dataDir, 'light-python')
  #revision = 0
  #running: { gateway: RunningGateway; stop: AbortController } | undefined

  constructor() {
    mkdirSync(join(this.dataDir, 'gateway'))
    writeFileSync(this.log, '')
    writeLightPython(this.#python)
  }

  /** A version whose worker is `light`. */
  light(name: string, version: number, light: Partial<Light> = {}): ServedVersion {
    const modelPath = join(this.dataDir, 'models', name)
    mkdirSync(modelPath, { recursive: true })
    writeFileSync(join(modelPath, 'light.json'), JSON.stringify({ answer: name, log: this.log, ...light }))
    return this.served(name, version, modelPath, this.#python)
  }

  served(name: string, version: number, modelPath: string, pythonPath: string): ServedVersion {
    const inputs = { columns: [], checks: [] }
    return { model: 'm', version, digest: digestOf(name), modelPath, pythonPath, inputs }
  }

  endpoint(
    environment: string,
    versions: [ServedVersion, number][],
    more: Partial<EndpointDesired> = {},
  ): EndpointDesired {
    const weighted = versions.map(([target, weight]) => ({ target, weight }))
    return { project: 'p', environment, model: 'm', versions: weighted, ...more }
  }

  want(...endpoints: EndpointDesired[]): void {
    const folder = join(this.dataDir, 'gateway')
    writeFileSync(join(folder, 'desired.tmp'), JSON.stringify({ revision: ++this.#revision, endpoints }))
    renameSync(join(folder, 'desired.tmp'), join(folder, 'desired.json'))
  }

  async start(more: Partial<GatewayOptions> = {}): Promise<RunningGateway> {
    const stop = new AbortController()
    const options = { host: '127.0.0.1', port: 0, log: silent, clock: realClock, signal: stop.signal, seed: 1, ...more }
    const gateway = await runGateway({ dataDir: this.dataDir, ...options })
    this.#running = { gateway, stop }
    return gateway
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    running?.stop.abort()
    await running?.gateway.finished
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  get gateway(): RunningGateway {
    return this.#running!.gateway
  }

  url(environment: string): string {
    return `${this.gateway.url}/endpoints/p/${environment}/invocations`
  }

  seen(environment: string, version: number): Seen | undefined {
    const endpoint = this.gateway.status().endpoints.find((one) => one.environment === environment)
    return endpoint?.versions.find((one) => one.version === version)
  }

  /** id → how often it was computed. */
  computed(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const line of readFileSync(this.log, 'utf8').split('\n')) {
      const id = line.split(' ')[0]!
      if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    return counts
  }
}

/** What stands for an interpreter: it runs the light worker, whatever script it is given. */
export function writeLightPython(path: string): void {
  const script = fileURLToPath(new URL('./light-worker.ts', import.meta.url))
  const words = `"${process.execPath}" --disable-warning=ExperimentalWarning "${script}"`
  writeFileSync(path, `#!/bin/sh\nexec ${words} "$@"\n`)
  chmodSync(path, 0o755)
}

export async function until(what: string, holds: () => boolean, ms = 180_000): Promise<void> {
  for (const end = Date.now() + ms; !holds(); await sleep(10))
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
}
