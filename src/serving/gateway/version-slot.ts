import type { Digest } from '../../kernel/digest.ts'
import { messageOf } from '../../kernel/errors.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { formatBytes } from '../../kernel/units.ts'
import type { NotLoaded, ServedVersion, VersionState } from '../gateway-state.ts'
import type { MlmodelFile } from '../models/mlmodel-file.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { type BackendSetting, describeModel, openBackend, type VersionBackend } from '../models/open-backend.ts'
import { processMemory } from '../models/process-memory.ts'
import type { MemoryBudget, Reservation, Sleeper } from './memory-budget.ts'
import type { ModelSize, ModelSizes } from './model-sizes.ts'
import { readThrough } from './read-through.ts'

export type SlotSetting = {
  worker: Omit<BackendSetting, 'changed'>
  /** The gateway's own, and what Git says of this endpoint now. */
  limits: () => BackendSetting['limits']
  budget: MemoryBudget
  sizes: ModelSizes
  owner: Sleeper
  drainMs: number
  changed: () => void
}

const measuredEveryMs = 30_000

/** One version of an endpoint, in memory or not: what is known of it stays known while it sleeps. */
export class VersionSlot {
  served: ServedVersion
  /** Why it is not loaded; where it was refused it is not tried again. */
  notLoaded: NotLoaded | undefined
  isRefused = false
  /** Requests that were given to it and are not answered yet. */
  leases = 0
  /** Its files were read once: they are whole, and near. */
  prefetched: 'no' | 'going on' | 'done' = 'no'
  /** When it became ready, last. */
  readySince: EpochMs = 0
  readonly #setting: SlotSetting
  #backend: VersionBackend | undefined
  #room: Reservation | undefined
  #claim: AbortController | undefined
  #leaving: Promise<void> | undefined
  #facts: ModelFacts | undefined
  #free: (() => void)[] = []
  #loadedSince: EpochMs = 0
  #measuredAt: EpochMs = 0
  #wasReady = false

  readonly #described: MlmodelFile | undefined

  constructor(served: ServedVersion, setting: SlotSetting) {
    this.served = served
    this.#setting = setting
    this.#described = describeModel(served.modelPath)
  }

  get digest(): Digest {
    return this.served.digest
  }

  get backend(): VersionBackend | undefined {
    return this.#backend
  }

  /** It takes memory, or asks for it; also while it is on the way out. */
  get isLoaded(): boolean {
    return this.#backend !== undefined || this.#claim !== undefined
  }

  get isLeaving(): boolean {
    return this.#leaving !== undefined
  }

  get isOpen(): boolean {
    return this.#backend?.state === 'ready' && !this.#leaving && !this.isRefused
  }

  /** Not open, but soon. */
  get isComing(): boolean {
    if (this.isRefused || this.#leaving) return false
    return this.#claim !== undefined || this.#backend?.isComing === true
  }

  get state(): VersionState {
    if (this.isRefused) return 'failed'
    if (this.#claim) return 'loading'
    return this.#backend && !this.#leaving ? this.#backend.state : 'asleep'
  }

  get reason(): string | undefined {
    return this.notLoaded?.reason ?? (this.#claim ? 'It waits for memory.' : this.#backend?.reason)
  }

  get facts(): ModelFacts {
    if (this.#backend) return this.#backend.facts
    return this.#facts ?? this.#described?.facts ?? noFacts
  }

  /** For all of its processes. */
  get size(): ModelSize {
    const { bytes, isEstimate } = this.#setting.sizes.sizeOf(this.served)
    return { bytes: this.#room && this.#wasReady ? this.#room.bytes : bytes * this.#copies, isEstimate }
  }

  /** @param how `gently`: where there is room at once, and not at all elsewhere */
  begin(how: 'gently' | 'with room made' = 'with room made'): void {
    if (this.isLoaded || this.#leaving || this.isRefused) return
    const { budget, owner } = this.#setting
    const { bytes, isEstimate } = this.size
    if (!isEstimate && bytes > budget.bytes) {
      this.refuse(tooLarge(bytes, budget.bytes))
      return
    }
    if (how === 'gently') {
      const room = budget.tryReserve(owner, bytes)
      if (room) this.#open(room)
      else this.notLoaded = { cause: 'for others', reason: 'Memory is full; a request loads it.' }
      return
    }
    this.notLoaded = undefined
    const claim = new AbortController()
    this.#claim = claim
    void budget.reserve(owner, bytes, claim.signal).then((room) => {
      if (this.#claim === claim) this.#claim = undefined
      if (!room) return
      if (claim.signal.aborted) room.release()
      else this.#open(room)
    })
  }

  /** Answers what it has begun, then gives its memory back. */
  leave(why?: NotLoaded): Promise<void> {
    if (why && !this.isRefused) this.notLoaded = why
    this.#claim?.abort()
    this.#claim = undefined
    if (!this.#backend) return Promise.resolve()
    this.#leaving ??= this.#leave(this.#backend).finally(() => {
      this.#leaving = undefined
      this.#setting.changed()
    })
    return this.#leaving
  }

  refuse(why: NotLoaded): void {
    this.isRefused = true
    this.notLoaded = why
    this.#setting.worker.log.warn({ ...this.#told(), ...why }, 'version is not loaded')
    void this.leave()
  }

  /** Something else is wished for: it may be tried again. */
  forgive(): void {
    if (!this.isRefused) return
    this.isRefused = false
    this.notLoaded = undefined
    this.prefetched = 'no'
  }

  /** Until the call of what it returns the version counts as computing. */
  lease(): () => void {
    this.leases++
    return () => {
      this.leases--
      if (this.leases === 0) for (const tell of this.#free.splice(0)) tell()
    }
  }

  adjust(): void {
    this.#backend?.adjust?.(this.#setting.limits())
  }

  prefetch(): void {
    if (this.prefetched !== 'no') return
    this.prefetched = 'going on'
    void readThrough(this.served.modelPath).then(
      () => {
        this.prefetched = 'done'
        this.#setting.changed()
      },
      (error: unknown) => {
        this.refuse({ cause: 'not loaded', reason: `Its files cannot be read: ${messageOf(error)}` })
        this.#setting.changed()
      },
    )
  }

  expire(now: EpochMs): void {
    this.#backend?.expire(now)
    if (this.isOpen && now - this.#measuredAt > measuredEveryMs) void this.#measure()
  }

  isLate(now: EpochMs): boolean {
    return this.#backend !== undefined && !this.isOpen && now - this.#loadedSince > this.#setting.limits().loadMs
  }

  #open(room: Reservation): void {
    this.#room = room
    this.#wasReady = false
    this.notLoaded = undefined
    this.#loadedSince = this.#setting.worker.clock.now()
    const backend = openBackend(this.served, {
      ...this.#setting.worker,
      limits: this.#setting.limits(),
      proofs: this.#setting.sizes,
      changed: () => this.#changed(),
    })
    this.#backend = backend
    this.#setting.worker.log.info({ ...this.#told(), bytes: room.bytes, ...this.#estimated }, 'model is being loaded')
    backend.start()
    this.#setting.changed()
  }

  #changed(): void {
    // Until it is tried again it takes nothing.
    if (this.#backend?.state === 'failed') {
      this.#wasReady = false
      this.#room?.resize(0)
    }
    if (this.#backend?.state === 'ready' && !this.#wasReady) {
      this.#wasReady = true
      this.readySince = this.#setting.worker.clock.now()
      void this.#measure()
    }
    this.#setting.changed()
  }

  async #measure(): Promise<void> {
    const { sizes, budget, worker } = this.#setting
    const [backend, room] = [this.#backend, this.#room]
    if (!backend || !room) return
    const isFirst = this.#measuredAt < this.#loadedSince
    this.#measuredAt = worker.clock.now()
    const found = await memoryOf(backend)
    if (!found || this.#backend !== backend || this.#leaving) return
    // What a process grows by later is its own: the next one begins small again.
    if (isFirst && backend.workers) sizes.measured(this.digest, found.each)
    // The first process is measured before its fellows have begun.
    const bytes = Math.max(found.bytes, found.each * this.#copies)
    if (isFirst && bytes > budget.bytes) {
      this.refuse(tooLarge(bytes, budget.bytes))
      this.#setting.changed()
    } else room.resize(bytes)
  }

  async #leave(backend: VersionBackend): Promise<void> {
    const { drainMs, worker } = this.#setting
    const room = this.#room
    room?.leaving()
    const patience = new AbortController()
    await Promise.race([this.#whenFree(), worker.clock.sleep(drainMs, patience.signal)])
    patience.abort()
    await backend.drainAndStop(drainMs)
    this.#facts = backend.facts
    this.#backend = undefined
    this.#room = undefined
    room?.release()
  }

  #whenFree(): Promise<void> {
    return this.leases === 0 ? Promise.resolve() : new Promise((resolve) => this.#free.push(resolve))
  }

  get #copies(): number {
    const { workers = 1, spare = false } = this.#setting.limits()
    return this.#described?.onnxFile ? 1 : workers + (spare ? 1 : 0)
  }

  get #estimated(): object {
    return this.size.isEstimate ? { estimated: true } : {}
  }

  #told(): object {
    const { model, version, digest } = this.served
    return { endpoint: this.#setting.owner.name, model, version, digest }
  }
}

/** `each`: what a process takes that is loaded; those that begin only now take little yet. */
async function memoryOf(backend: VersionBackend): Promise<{ bytes: number; each: number } | undefined> {
  const { workers, graphBytes } = backend
  if (!workers) return graphBytes === undefined ? undefined : { bytes: graphBytes, each: graphBytes }
  const measured = await Promise.all(
    workers.map(async ({ pid, state }) => ({ bytes: await processMemory(pid), isLoaded: state === 'ready' })),
  )
  const loaded = measured.flatMap(({ bytes, isLoaded }) => (isLoaded && bytes !== undefined ? [bytes] : []))
  if (loaded.length === 0) return undefined
  return { bytes: measured.reduce((sum, { bytes = 0 }) => sum + bytes, 0), each: Math.max(...loaded) }
}

const tooLarge = (bytes: number, budget: number): NotLoaded => ({
  cause: 'too large',
  reason: `It takes ${formatBytes(bytes)} of memory; all models together may take ${formatBytes(budget)} (--serving-memory).`,
})

export const noFacts: ModelFacts = { platform: '', signature: 'none', inputs: [], outputs: [], params: [] }
