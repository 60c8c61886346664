import type { Digest } from '../../kernel/digest.ts'
import { messageOf } from '../../kernel/errors.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { formatBytes } from '../../kernel/units.ts'
import type { Computes, NotLoaded, ServedVersion, VersionState } from '../gateway-state.ts'
import type { BackendState, ModelMemory } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import {
  type BackendSetting,
  describeModel,
  formPath,
  graphProblem,
  openBackend,
  type VersionBackend,
} from '../models/open-backend.ts'
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

/** What carries a version, and the form of the version that it was opened from. Until it is measured nobody is given to it. */
type Loaded = {
  backend: VersionBackend
  room: Reservation
  form: ServedVersion
  measured: 'no' | 'going on' | 'done'
}

const measuredEveryMs = 30_000

/** One version of an endpoint, in memory or not: what is known of it stays known while it sleeps. */
export class VersionSlot {
  served: ServedVersion
  /** Why it is not loaded; where it was refused it is not tried again. */
  #notLoaded: (NotLoaded & { since: EpochMs }) | undefined
  isRefused = false
  /** Requests that were given to it and are not answered yet. */
  leases = 0
  /** Its files were read once: they are whole, and near. */
  prefetched: 'no' | 'going on' | 'done' = 'no'
  /** When it became ready, last. */
  readySince: EpochMs = 0
  readonly #setting: SlotSetting
  #loaded: Loaded | undefined
  /** The other form of the same version, until it is ready to take over. */
  #next: Loaded | undefined
  /** Why Python computes it although it has an ONNX form. */
  #graphTrouble: string | undefined
  #claim: AbortController | undefined
  #leaving: Promise<void> | undefined
  #facts: ModelFacts | undefined
  readonly #graphs = new Map<string, boolean>()
  #free: (() => void)[] = []
  #loadedSince: EpochMs = 0
  #measuredAt: EpochMs = 0

  constructor(served: ServedVersion, setting: SlotSetting) {
    this.served = served
    this.#setting = setting
    this.#noteTrouble(graphProblem(served))
  }

  /** Why it is not in memory, and since when. */
  get notLoaded(): (NotLoaded & { since: EpochMs }) | undefined {
    return this.#notLoaded
  }

  set notLoaded(why: NotLoaded | undefined) {
    this.#notLoaded = why && { ...why, since: this.#setting.worker.clock.now() }
  }

  /** For all of its processes, once it was measured; undefined where it takes none. */
  get memoryBytes(): number | undefined {
    return this.#loaded?.measured === 'done' ? this.#loaded.room.bytes : undefined
  }

  get digest(): Digest {
    return this.served.digest
  }

  get backend(): VersionBackend | undefined {
    return this.#loaded?.backend
  }

  /** It takes memory, or asks for it; also while it is on the way out. */
  get isLoaded(): boolean {
    return this.#loaded !== undefined || this.#claim !== undefined
  }

  get isLeaving(): boolean {
    return this.#leaving !== undefined
  }

  get isOpen(): boolean {
    return this.#backendState === 'ready' && !this.#leaving && !this.isRefused
  }

  /** Not open, but soon. */
  get isComing(): boolean {
    if (this.isRefused || this.#leaving) return false
    return this.#claim !== undefined || this.#backendState === 'loading' || this.backend?.isComing === true
  }

  get state(): VersionState {
    if (this.isRefused) return 'failed'
    if (this.#claim) return 'loading'
    return (this.#leaving ? undefined : this.#backendState) ?? 'asleep'
  }

  get reason(): string | undefined {
    return this.notLoaded?.reason ?? (this.#claim ? 'It waits for memory.' : this.backend?.reason)
  }

  get facts(): ModelFacts {
    if (this.backend) return this.backend.facts
    return this.#facts ?? describeModel(this.served.modelPath)?.facts ?? noFacts
  }

  /** For all of its processes. */
  get size(): ModelSize {
    const { bytes, isEstimate } = this.#sizeOf(this.#form)
    return { bytes: this.memoryBytes ?? bytes, isEstimate }
  }

  get computes(): Computes {
    return this.#isGraph(this.#loaded?.form ?? this.#form) ? 'onnx' : 'python'
  }

  /** Why Python computes it although it has an ONNX form. */
  get computesReason(): string | undefined {
    return this.computes === 'python' ? this.#graphTrouble : undefined
  }

  /** Where it is found from now on. What is loaded answers on, until another form that is wished for is ready. */
  take(target: ServedVersion): void {
    const { graphPath } = this.served
    this.served = target
    if (target.graphPath === graphPath) return
    this.#noteTrouble(graphProblem(target))
    this.#exchange()
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
    this.#giveUpNext()
    if (!this.#loaded) return Promise.resolve()
    this.#leaving ??= this.#leave(this.#loaded).finally(() => {
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
    this.backend?.adjust?.(this.#setting.limits())
  }

  prefetch(): void {
    if (this.prefetched !== 'no') return
    this.prefetched = 'going on'
    void readThrough(formPath(this.#form)).then(
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
    this.backend?.expire(now)
    this.#next?.backend.expire(now)
    if (this.isOpen && now - this.#measuredAt > measuredEveryMs) void this.#measure()
  }

  isLate(now: EpochMs): boolean {
    return this.#loaded !== undefined && !this.isOpen && now - this.#loadedSince > this.#setting.limits().loadMs
  }

  get #backendState(): BackendState | undefined {
    const state = this.backend?.state
    return state === 'ready' && this.#loaded?.measured !== 'done' ? 'loading' : state
  }

  /** As it is wished for, as far as that can be. */
  get #form(): ServedVersion {
    if (this.#graphTrouble === undefined) return this.served
    const { graphPath: _, ...plain } = this.served
    return plain
  }

  #sizeOf(form: ServedVersion): ModelSize {
    const { bytes, isEstimate } = this.#setting.sizes.sizeOf(form)
    return { bytes: bytes * this.#copies(form), isEstimate }
  }

  #open(room: Reservation): void {
    this.notLoaded = undefined
    this.#loadedSince = this.#setting.worker.clock.now()
    this.#loaded = this.#begun(this.#form, room)
    this.#setting.worker.log.info({ ...this.#told(), bytes: room.bytes, ...this.#estimated }, 'model is being loaded')
    this.#loaded.backend.start()
    this.#setting.changed()
  }

  #begun(form: ServedVersion, room: Reservation): Loaded {
    const backend = openBackend(form, {
      ...this.#setting.worker,
      limits: this.#setting.limits(),
      proofs: this.#setting.sizes,
      changed: () => this.#changed(loaded),
    })
    const loaded: Loaded = { backend, room, form, measured: 'no' }
    return loaded
  }

  #changed(loaded: Loaded): void {
    const { state, reason } = loaded.backend
    if (state === 'ready' && loaded.measured === 'no') void this.#measureFirst(loaded)
    if (loaded === this.#next && state === 'failed') this.#nextFailed(loaded, reason)
    if (loaded !== this.#loaded) return
    // Until it is tried again it takes nothing.
    if (state === 'failed') {
      loaded.measured = 'no'
      loaded.room.resize(0)
      // The wish is the same: whoever looks after it begins it again, and then it is Python's.
      if (loaded.form.graphPath !== undefined && !this.#leaving) {
        this.#noteTrouble(reason ?? 'Its ONNX form cannot be loaded.')
        void this.leave()
      }
    }
    this.#setting.changed()
  }

  /** Begins the other form beside the one that answers. Where memory does not hold both it comes with the next loading. */
  #exchange(): void {
    this.#giveUpNext()
    const form = this.#form
    if (!this.#loaded || this.#leaving || formPath(form) === formPath(this.#loaded.form)) return
    const room = this.#setting.budget.tryReserve(this.#setting.owner, this.#sizeOf(form).bytes)
    if (!room) return
    this.#next = this.#begun(form, room)
    this.#next.backend.start()
  }

  #nextFailed({ form }: Loaded, reason: string | undefined): void {
    this.#giveUpNext()
    if (form.graphPath !== undefined) this.#noteTrouble(reason ?? 'Its ONNX form cannot be loaded.')
    else this.#setting.worker.log.warn({ ...this.#told(), reason }, 'Python cannot take over; ONNX goes on')
  }

  #swap(next: Loaded): void {
    const former = this.#loaded
    this.#next = undefined
    this.#loaded = next
    this.#loadedSince = this.#setting.worker.clock.now()
    this.#setting.worker.log.info({ ...this.#told(), computes: this.computes }, 'another form computes the version')
    if (former) void this.#end(former)
  }

  #giveUpNext(): void {
    const next = this.#next
    this.#next = undefined
    if (next) void next.backend.drainAndStop(0).finally(() => next.room.release())
  }

  #noteTrouble(trouble: string | undefined): void {
    this.#graphTrouble = trouble
    if (trouble !== undefined)
      this.#setting.worker.log.warn(
        { ...this.#told(), reason: trouble },
        'Python computes a version that has an ONNX form',
      )
  }

  /** What is larger than the whole budget answers nobody, not even once. */
  async #measureFirst(loaded: Loaded): Promise<void> {
    const { sizes, budget, worker, changed } = this.#setting
    const { backend, room, form } = loaded
    loaded.measured = 'going on'
    const found = await memoryOf(backend)
    const isGone = (loaded !== this.#loaded && loaded !== this.#next) || this.#leaving !== undefined
    // One that ended meanwhile tells when it is ready again.
    loaded.measured = backend.state === 'ready' ? 'done' : 'no'
    if (isGone || loaded.measured === 'no') return
    const bytes = found && this.#bytesOf(loaded, found)
    // What a process grows by later is its own: the next one begins small again.
    if (found && backend.measure) sizes.measured(form, found.each)
    if (bytes !== undefined && bytes > budget.bytes) {
      const why = tooLarge(bytes, budget.bytes)
      if (loaded === this.#next) this.#nextFailed(loaded, why.reason)
      else this.refuse(why)
    } else {
      if (bytes !== undefined) room.resize(bytes)
      if (loaded === this.#next) this.#swap(loaded)
      this.#measuredAt = this.readySince = worker.clock.now()
    }
    changed()
  }

  async #measure(): Promise<void> {
    this.#measuredAt = this.#setting.worker.clock.now()
    const loaded = this.#loaded
    const found = loaded && (await memoryOf(loaded.backend))
    if (found && this.#loaded === loaded && !this.#leaving) loaded.room.resize(this.#bytesOf(loaded, found))
  }

  /** The first process is measured before its fellows have begun. */
  #bytesOf({ form }: Loaded, { bytes, each }: ModelMemory): number {
    return Math.max(bytes, each * this.#copies(form))
  }

  async #leave(loaded: Loaded): Promise<void> {
    await this.#end(loaded, () => {
      this.#facts = loaded.backend.facts
      this.#loaded = undefined
    })
  }

  /** Lets it answer what it has begun. */
  async #end({ backend, room }: Loaded, ended: () => void = () => undefined): Promise<void> {
    const { drainMs, worker } = this.#setting
    room.leaving()
    const patience = new AbortController()
    await Promise.race([this.#whenFree(), worker.clock.sleep(drainMs, patience.signal)])
    patience.abort()
    await backend.drainAndStop(drainMs)
    ended()
    room.release()
  }

  #whenFree(): Promise<void> {
    return this.leases === 0 ? Promise.resolve() : new Promise((resolve) => this.#free.push(resolve))
  }

  #copies(form: ServedVersion): number {
    const { workers = 1, spare = false } = this.#setting.limits()
    return this.#isGraph(form) ? 1 : workers + (spare ? 1 : 0)
  }

  /** Whether this process computes it. */
  #isGraph(form: ServedVersion): boolean {
    const path = formPath(form)
    const known = this.#graphs.get(path) ?? describeModel(path)?.onnxFile !== undefined
    this.#graphs.set(path, known)
    return known
  }

  get #estimated(): object {
    return this.size.isEstimate ? { estimated: true } : {}
  }

  #told(): object {
    const { model, version, digest } = this.served
    return { endpoint: this.#setting.owner.name, model, version, digest }
  }
}

async function memoryOf(backend: VersionBackend): Promise<ModelMemory | undefined> {
  if (backend.measure) return backend.measure()
  const { graphBytes } = backend
  return graphBytes === undefined ? undefined : { bytes: graphBytes, each: graphBytes }
}

const tooLarge = (bytes: number, budget: number): NotLoaded => ({
  cause: 'too large',
  reason: `It takes ${formatBytes(bytes)} of memory; all models together may take ${formatBytes(budget)} (--serving-memory).`,
})

export const noFacts: ModelFacts = { platform: '', signature: 'none', inputs: [], outputs: [], params: [] }
