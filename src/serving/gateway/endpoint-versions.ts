import type { Digest } from '../../kernel/digest.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { formatBytes } from '../../kernel/units.ts'
import { endpointName } from '../decide/endpoint-name.ts'
import { type SwapMode, swapMode, toBeLoaded } from '../decide/loading-plan.ts'
import { effectiveWeights, isReached, type TrafficFacts, type Weighted } from '../decide/traffic.ts'
import type { EndpointDesired, GatewayObserved, NotLoaded, ServedVersion } from '../gateway-state.ts'
import type { BackendSetting } from '../models/open-backend.ts'
import type { MemoryBudget, Sleeper } from './memory-budget.ts'
import type { ModelSizes } from './model-sizes.ts'
import { type SlotSetting, VersionSlot } from './version-slot.ts'

export type VersionsSetting = {
  worker: Omit<BackendSetting, 'changed'>
  budget: MemoryBudget
  sizes: ModelSizes
  drainMs: number
  /** The newcomer that the guard stopped. */
  barred: () => Digest | undefined
  /** Whether requests wait for a version. */
  isWanted: () => boolean
  /** When the first of those came. */
  waitingSince: () => EpochMs | undefined
  /** Somebody may have become able to answer, or nobody will. */
  changed: () => void
}

/**
 * The versions of one endpoint: which of them are in memory, and who gets which share of the traffic now. Every change, of the wish or of
 * a version, leads to the same look (`settle`), so that a swap goes on from wherever it is.
 */
export class EndpointVersions implements Sleeper {
  readonly name: string
  lastUsedAt: EpochMs
  readonly #setting: VersionsSetting
  readonly #slots = new Map<Digest, VersionSlot>()
  /** Not named any more: they answer what they have begun. */
  readonly #leaving = new Set<VersionSlot>()
  #desired: EndpointDesired
  #isAwake = true
  #isStopped = false
  #current: Weighted[] = []
  #effective: Weighted[] = []
  #settling: 'no' | 'going on' | 'once more' = 'no'

  constructor(desired: EndpointDesired, setting: VersionsSetting) {
    this.name = endpointName(desired)
    this.#setting = setting
    this.#desired = desired
    this.lastUsedAt = setting.worker.clock.now()
  }

  /** @param atStart of the gateway: only what fits is loaded, the rest sleeps until it is asked for */
  apply(desired: EndpointDesired, atStart: boolean): void {
    const isOther = JSON.stringify(desired) !== JSON.stringify(this.#desired)
    const isFirst = this.#slots.size === 0
    this.#desired = desired
    for (const slot of this.#slots.values()) if (isOther) slot.forgive()
    const news = desired.versions.filter(({ target }) => this.#take(target))
    for (const slot of this.#slots.values()) slot.adjust()
    // What was never loaded here is loaded once, so that its rollout learns whether it can be.
    const isUnknown = news.some(({ target }) => this.#setting.sizes.sizeOf(target).isEstimate)
    if (isFirst && (atStart || !isUnknown)) this.#beginGently()
    else if (isUnknown || desired.versions.length > 1) this.#isAwake = true
    this.settle()
  }

  /** Shares of the versions that can answer; none: requests wait. */
  get effective(): readonly Weighted[] {
    return this.#effective
  }

  slot(digest: Digest): VersionSlot | undefined {
    return this.#slots.get(digest)
  }

  /** Who speaks for the endpoint: the one with the most traffic, or that will have it. */
  get speaker(): VersionSlot | undefined {
    const plans = [this.#effective, this.#current, this.#wanted]
    const [most] = plans.flatMap((plan) => plan.toSorted((a, b) => b.weight - a.weight))
    return (most && this.#slots.get(most.digest)) ?? [...this.#slots.values()][0]
  }

  get isComing(): boolean {
    return (
      [...this.#leaving].some((slot) => slot.isLeaving && this.#isHolding) ||
      [...this.#slots.values()].some((slot) => slot.isComing || slot.isLeaving) ||
      this.#isAsleep
    )
  }

  /** It answers, or would be loaded to answer; a swap does not change that. */
  get isAble(): boolean {
    if (this.#effective.length > 0 || this.#desired.versions.length === 0) return true
    // A worker that died is another matter: who shares out requests may send them elsewhere meanwhile.
    const isExchanging = [...this.#slots.values()].some((slot) => slot.isLeaving || slot.state === 'loading')
    return this.#isAsleep || (this.#current.length > 0 && isExchanging)
  }

  /** A request came. */
  touch(now: EpochMs): void {
    this.lastUsedAt = now
    if (this.#isAwake) return
    this.#isAwake = true
    this.settle()
  }

  get maySleep(): boolean {
    const { versions } = this.#desired
    const [only] = versions
    const slot = only && this.#slots.get(only.target.digest)
    const isAtRest = versions.length === 1 && this.#slots.size === 1 && this.#leaving.size === 0
    return this.#isAwake && isAtRest && slot?.isOpen === true && slot.leases === 0 && !this.#setting.isWanted()
  }

  sleepForOthers(): void {
    this.#sleep({ cause: 'for others', reason: 'Others needed the memory; a request loads it.' })
  }

  expire(now: EpochMs): void {
    for (const slot of [...this.#slots.values(), ...this.#leaving]) slot.expire(now)
    const { idleMs } = this.#desired.serve ?? {}
    if (idleMs !== undefined && now - this.lastUsedAt >= idleMs && this.maySleep)
      this.#sleep({ cause: 'idle', reason: 'Nobody asked for a while; a request loads it.' })
    // What others hold, and a load that does not end, are seen by the time alone.
    if (this.#isAwake && !isReached(this.#traffic)) this.settle()
  }

  someoneElseIsReady(digest: Digest): boolean {
    return [...this.#slots.values()].some((slot) => slot.digest !== digest && slot.isOpen)
  }

  get reasons(): string {
    const all = [...this.#slots.values()].map(
      ({ served, state, reason }) => `version ${served.version} is ${state}${reason ? ` (${reason})` : ''}`,
    )
    return all.join('; ') || 'none is deployed'
  }

  observed(): GatewayObserved['endpoints'][number]['versions'] {
    // What sleeps will answer by its wish.
    const weights = new Map((this.#isAsleep ? this.#wanted : this.#effective).map((one) => [one.digest, one.weight]))
    return [...this.#slots.values()].map((slot) => ({
      ...{ digest: slot.digest, version: slot.served.version, weight: weights.get(slot.digest) ?? 0 },
      ...observedSlot(slot),
    }))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#slots.values(), ...this.#leaving].map((slot) => slot.leave()))
  }

  /** Brings what is in memory, and the weights, to what is possible now; called at each change of either. */
  settle(): void {
    if (this.#isStopped) return
    if (this.#settling !== 'no') {
      this.#settling = 'once more'
      return
    }
    do {
      this.#settling = 'going on'
      this.#look()
    } while ((this.#settling as string) === 'once more')
    this.#settling = 'no'
    this.#setting.changed()
    this.#setting.budget.look()
  }

  #look(): void {
    const mode = this.#mode
    if (mode === 'hold') this.#giveUpOnTheLate()
    const reached = isReached(this.#traffic)
    if (reached) this.#current = this.#wanted
    this.#forgetOthers()
    if (this.#isAwake) this.#bringAbout(mode)
    this.#effective = effectiveWeights(this.#traffic)
  }

  #bringAbout(mode: SwapMode): void {
    const slots = [...this.#slots.values()]
    const loaded = new Set(slots.filter((slot) => slot.isLoaded && !slot.isLeaving).map(({ digest }) => digest))
    const refused = new Set(slots.filter(({ isRefused }) => isRefused).map(({ digest }) => digest))
    const keep = toBeLoaded({ mode, traffic: this.#traffic, loaded, refused })
    if (mode === 'surge') {
      for (const digest of keep) this.#beginBeside(this.#slots.get(digest))
      return
    }
    const next = keep.map((digest) => this.#slots.get(digest)).find((slot) => slot !== undefined)
    for (const slot of slots) if (slot !== next && !slot.isRefused && !slot.isLoaded) slot.prefetch()
    const others = slots.filter((slot) => slot !== next)
    // Nobody loses its place to a version whose files could not even be read.
    if (next && !next.isLoaded && next.prefetched !== 'done' && others.some((slot) => slot.isOpen)) {
      next.prefetch()
      return
    }
    if (others.some((slot) => this.#isOwedTo(slot))) return
    for (const slot of others)
      if (slot.isLoaded || slot.notLoaded?.cause !== 'held') void slot.leave(this.#held(slot, next))
    if (![...others, ...this.#leaving].some((slot) => slot.isLoaded)) next?.begin()
  }

  /** Who waited for this version to be loaded is answered by it, and does not wait for the next one, too. */
  #isOwedTo(slot: VersionSlot): boolean {
    const since = this.#setting.waitingSince()
    return slot.isOpen && since !== undefined && since < slot.readySince
  }

  /** Git may want both at once where memory holds one. */
  #beginBeside(slot: VersionSlot | undefined): void {
    if (!slot || slot.isLoaded) return
    const there = [...this.#slots.values()].filter((one) => one.isLoaded)
    const bytes = [slot, ...there].reduce((sum, one) => sum + one.size.bytes, 0)
    const { budget } = this.#setting
    if (there.length === 0 || this.#desired.serve?.swap !== 'surge' || bytes <= budget.bytes) slot.begin()
    else
      slot.refuse({
        cause: 'no room',
        reason: `Beside what is there it makes ${formatBytes(bytes)}; all models together may take ${formatBytes(budget.bytes)} (--serving-memory), and swap: surge wants both at once.`,
      })
  }

  #held(slot: VersionSlot, next: VersionSlot | undefined): NotLoaded {
    const why =
      this.#desired.serve?.swap === 'hold'
        ? 'swap: hold'
        : `${formatBytes(this.#setting.budget.bytes)} of memory do not hold both`
    const sizes = [slot, next].map(
      (one) =>
        one &&
        `version ${one.served.version} takes ${one.size.isEstimate ? 'about ' : ''}${formatBytes(one.size.bytes)}`,
    )
    return {
      cause: 'held',
      reason: `It takes the place of the version that serves once it gets all the traffic (${[why, ...sizes.filter(Boolean)].join(', ')}).`,
    }
  }

  /**
   * In `hold` nobody else answers meanwhile: a newcomer that fails once, or takes too long, yields to the one that served before. That one
   * itself is begun again and again, as ever.
   */
  #giveUpOnTheLate(): void {
    const now = this.#setting.worker.clock.now()
    for (const slot of this.#slots.values()) {
      const { backend } = slot
      const served = this.#current.some(({ digest, weight }) => digest === slot.digest && weight > 0)
      if (!backend || served || slot.isLeaving || slot.isRefused || !this.#hasAnother(slot)) continue
      // A process that died without a word would be tried again, while everybody waits.
      const died = backend.state !== 'ready' && backend.reason !== undefined
      if (!died && !slot.isLate(now)) continue
      slot.refuse({ cause: 'not loaded', reason: backend.reason ?? 'It was not ready in time.' })
    }
  }

  #hasAnother(slot: VersionSlot): boolean {
    const named = new Set([...this.#current, ...this.#wanted].map(({ digest }) => digest))
    return [...this.#slots.values()].some((one) => one !== slot && !one.isRefused && named.has(one.digest))
  }

  /** Nobody speaks of them any more: not the wish, nor what was reached last. */
  #forgetOthers(): void {
    const named = new Set([...this.#current, ...this.#wanted].map(({ digest }) => digest))
    for (const [digest, slot] of this.#slots) if (!named.has(digest)) this.#forget(slot)
  }

  #forget(slot: VersionSlot): void {
    this.#slots.delete(slot.digest)
    this.#leaving.add(slot)
    void slot.leave().finally(() => {
      this.#leaving.delete(slot)
      this.settle()
    })
  }

  /** @returns whether it is new here */
  #take(target: ServedVersion): boolean {
    const known = this.#slots.get(target.digest)
    // The digest is the content: a model that is loaded serves on, wherever the next one will find it.
    if (known && (known.isOpen || isSamePlace(known.served, target))) {
      known.take(target)
      return false
    }
    if (known) this.#forget(known)
    const setting: SlotSetting = {
      ...this.#setting,
      owner: this,
      limits: () => this.#limits,
      changed: () => this.settle(),
    }
    this.#slots.set(target.digest, new VersionSlot(target, setting))
    return true
  }

  #beginGently(): void {
    const byWeight = this.#desired.versions.toSorted((a, b) => b.weight - a.weight)
    const slots = byWeight.map(({ target }) => this.#slots.get(target.digest)!)
    slots[0]?.begin('gently')
    this.#isAwake = slots.length > 1 || slots.some((slot) => slot.isLoaded || slot.isRefused)
    // It served before, or it would not be known here.
    if (!this.#isAwake) this.#current = this.#wanted
  }

  #sleep(why: NotLoaded): void {
    if (!this.maySleep) return
    this.#isAwake = false
    for (const slot of this.#slots.values()) void slot.leave(why)
    this.settle()
  }

  get #isAsleep(): boolean {
    return !this.#isAwake && this.#slots.size > 0
  }

  get #isHolding(): boolean {
    return this.#mode === 'hold'
  }

  get #mode(): SwapMode {
    const { budget } = this.#setting
    const named = new Set([...this.#current, ...this.#wanted].map(({ digest }) => digest))
    const bytes = [...this.#slots.values()].filter(({ digest }) => named.has(digest)).map(({ size }) => size.bytes)
    return swapMode(this.#desired.serve?.swap ?? 'auto', bytes, budget.roomFor(this))
  }

  get #wanted(): Weighted[] {
    return this.#desired.versions.map(({ target, weight }) => ({ digest: target.digest, weight }))
  }

  get #traffic(): TrafficFacts {
    const barred = this.#setting.barred()
    const ready = new Set([...this.#slots.values()].filter(({ isOpen }) => isOpen).map(({ digest }) => digest))
    return { current: this.#current, wanted: this.#wanted, ready, ...(barred ? { barred } : {}) }
  }

  /** The gateway's own, and what Git says of this endpoint. */
  get #limits(): BackendSetting['limits'] {
    const { workers, spare, memoryBytes, network } = this.#desired.serve ?? {}
    return {
      ...this.#setting.worker.limits,
      ...(workers === undefined ? {} : { workers }),
      ...(spare === undefined ? {} : { spare }),
      ...(network === undefined ? {} : { network }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    }
  }
}

const isSamePlace = (a: ServedVersion, b: ServedVersion): boolean =>
  a.modelPath === b.modelPath && a.graphPath === b.graphPath && a.pythonPath === b.pythonPath

function observedSlot({ state, reason, notLoaded, backend, computes, computesReason, memoryBytes }: VersionSlot) {
  return {
    state,
    ...(state !== 'ready' && reason ? { reason } : {}),
    computes,
    ...(computesReason ? { computesReason } : {}),
    ...(state !== 'ready' && notLoaded ? { cause: notLoaded.cause, since: notLoaded.since } : {}),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(backend?.pid === undefined ? {} : { workerPid: backend.pid }),
    ...(backend?.workers ? { workers: backend.workers } : {}),
    ...(backend?.replacedForMemory ? { replacedForMemory: backend.replacedForMemory } : {}),
  }
}
