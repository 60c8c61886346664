import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../files/replace-file.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { endpointName } from '../decide/endpoint-name.ts'
import { shareOfLimits } from '../decide/share-of-limits.ts'
import type { GatewayDesired, GatewayObserved } from '../gateway-state.ts'
import type { ServingLog } from '../models/serving-log.ts'
import { DesiredFile } from './desired-file.ts'
import { Endpoint, type EndpointSetting } from './endpoint.ts'
import type { Trip } from './guard-state.ts'
import type { JournalWriter } from './journal-writer.ts'
import type { GatewayTold } from './siblings.ts'

/** The endpoints that `desired.json` names, kept as it says. */
export class Gateway {
  #revision = 0
  #problem: string | undefined
  #endpoints = new Map<string, Endpoint>()
  #trips: Record<string, Trip> = {}
  #isStarting = true
  #longestWaitMs = 0
  readonly #file: DesiredFile
  readonly #tripsPath: string
  readonly #folder: string
  readonly #startedAt: EpochMs
  readonly #setting: Omit<EndpointSetting, 'tripped'>
  readonly #processes: number

  /** @param processes that share the gateway's work, this one among them */
  constructor(folder: string, setting: Omit<EndpointSetting, 'tripped'>, processes = 1) {
    this.#folder = folder
    this.#setting = setting
    this.#processes = processes
    this.#file = new DesiredFile(folder)
    this.#tripsPath = join(folder, 'guard-trips.json')
    this.#startedAt = setting.worker.clock.now()
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    // A trip outlives the gateway: its restart must not give a stopped newcomer new traffic.
    this.#trips = await readFile(this.#tripsPath, 'utf8').then(
      (text) => JSON.parse(text) as Record<string, Trip>,
      () => ({}),
    )
    await this.takeDesired()
    if (this.#revision === 0 && this.#problem) {
      const lastGood = await this.#file.lastGood()
      if (lastGood) await this.#apply(lastGood)
    }
    this.#isStarting = false
  }

  /** Reads `desired.json` if it changed. A broken one changes nothing but what `/status` says. */
  async takeDesired(): Promise<void> {
    const reading = await this.#file.read()
    if (reading.kind === 'broken') {
      this.#problem = reading.problem
      this.#log.error(
        { problem: reading.problem, revision: this.#revision },
        'desired.json is broken; the last good one goes on',
      )
    }
    if (reading.kind === 'absent' && this.#endpoints.size > 0)
      this.#problem = 'desired.json is gone; the last one goes on.'
    if (reading.kind !== 'read') return
    this.#problem = undefined
    await this.#apply(reading.desired)
  }

  /** The endpoint of that name; without one the only endpoint there is. */
  endpoint(name?: string): Endpoint | undefined {
    if (name !== undefined) return this.#endpoints.get(name)
    return this.#endpoints.size === 1 ? [...this.#endpoints.values()][0] : undefined
  }

  get endpoints(): Endpoint[] {
    return [...this.#endpoints.values()]
  }

  get names(): string[] {
    return [...this.#endpoints.keys()].sort()
  }

  get isServing(): boolean {
    return [...this.#endpoints.values()].every((endpoint) => endpoint.isServing)
  }

  /** The longest that Git lets clients of an endpoint wait. */
  get longestWaitMs(): number {
    return this.#longestWaitMs
  }

  expire(now: EpochMs): void {
    for (const endpoint of this.#endpoints.values()) endpoint.expire(now)
  }

  status(journal: JournalWriter): GatewayObserved {
    const { budget } = this.#setting
    return {
      revision: this.#revision,
      startedAt: this.#startedAt,
      ...(this.#problem ? { problem: this.#problem } : {}),
      journal: { written: journal.written, dropped: journal.dropped },
      memory: { ...(Number.isFinite(budget.bytes) ? { budget: budget.bytes } : {}), used: budget.used },
      endpoints: [...this.#endpoints.values()].map((endpoint) => endpoint.observed()),
    }
  }

  /** Whether what the other processes count can matter here. */
  get isWatching(): boolean {
    return this.endpoints.some((endpoint) => endpoint.isWatching)
  }

  /** What the other processes of the gateway are told. */
  tell(journal: JournalWriter): GatewayTold {
    const endpoints = this.endpoints.map(({ name, stats, tally }) => [name, { stats, guard: tally }])
    return { observed: this.status(journal), endpoints: Object.fromEntries(endpoints) }
  }

  /** A trip counts where both have read the same: what an older desired state tripped says nothing of this one. */
  hear(told: readonly GatewayTold[]): void {
    const same = told.filter(({ observed }) => observed.revision === this.#revision)
    for (const endpoint of this.#endpoints.values()) {
      const tallies = same.flatMap(({ endpoints }) => endpoints[endpoint.name]?.guard ?? [])
      const trips = same.flatMap(
        ({ observed }) => observed.endpoints.find((one) => endpointName(one) === endpoint.name)?.guardTripped ?? [],
      )
      endpoint.hear(tallies, trips[0])
    }
  }

  async stop(patienceMs: number): Promise<void> {
    await Promise.all([...this.#endpoints.values()].map((endpoint) => endpoint.stop(patienceMs)))
  }

  async #apply(desired: GatewayDesired): Promise<void> {
    const named = new Set<string>()
    for (const whole of desired.endpoints) {
      const wanted = { ...whole, ...(whole.serve ? { serve: shareOfLimits(whole.serve, this.#processes) } : {}) }
      const name = endpointName(wanted)
      named.add(name)
      const known = this.#endpoints.get(name)
      if (known) known.apply(wanted)
      else
        this.#endpoints.set(
          name,
          new Endpoint(
            wanted,
            { ...this.#setting, tripped: () => void this.#keepTrips() },
            this.#trips[name],
            this.#isStarting,
          ),
        )
    }
    for (const [name, endpoint] of this.#endpoints) {
      if (named.has(name)) continue
      this.#endpoints.delete(name)
      void endpoint.stop(this.#setting.drainMs)
    }
    this.#revision = desired.revision
    this.#longestWaitMs = Math.max(0, ...desired.endpoints.map(({ serve }) => serve?.deadlineMs ?? 0))
    this.#log.info({ revision: desired.revision, endpoints: this.names }, 'took a new desired state')
    await this.#keepTrips()
  }

  async #keepTrips(): Promise<void> {
    const trips = Object.fromEntries(
      [...this.#endpoints].filter(([, one]) => one.trip).map(([name, one]) => [name, one.trip as Trip]),
    )
    if (JSON.stringify(trips) === JSON.stringify(this.#trips)) return
    this.#trips = trips
    // Replaced whole: a kill in the middle of a write must not lose the trips that were kept before.
    await replaceFile(this.#tripsPath, JSON.stringify(trips)).catch((error: unknown) =>
      this.#log.error({ error: String(error) }, 'a tripped guard could not be kept for a restart'),
    )
  }

  get #log(): ServingLog {
    return this.#setting.worker.log
  }
}
