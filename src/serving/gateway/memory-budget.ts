import type { EpochMs } from '../../kernel/time.ts'
import { makeRoom, type Tenant } from '../decide/make-room.ts'

/** An endpoint, as far as memory is concerned. */
export type Sleeper = {
  readonly name: string
  readonly lastUsedAt: EpochMs
  readonly maySleep: boolean
  /** Gives its memory back: at once where nothing is computed. */
  sleepForOthers(): void
}

/** Memory that a model may take; it counts until it is given back. */
export type Reservation = { readonly bytes: number; resize(bytes: number): void; leaving(): void; release(): void }

type Held = { owner: Sleeper; bytes: number; isLeaving: boolean }
type Claim = { owner: Sleeper; bytes: number; grant: (reservation: Reservation | undefined) => void }

/** The memory of all models of one gateway. Who needs room asks here, in order; who was used least recently makes it. */
export class MemoryBudget {
  readonly bytes: number
  readonly #held = new Set<Held>()
  #claims: Claim[] = []
  #used = 0

  /** @param bytes infinite: whatever there is */
  constructor(bytes = Number.POSITIVE_INFINITY) {
    this.bytes = bytes
  }

  /** At once, or not at all: nobody sleeps for it. */
  tryReserve(owner: Sleeper, bytes: number): Reservation | undefined {
    return this.#claims.length === 0 && this.#decide(bytes).outcome === 'fits' ? this.#hold(owner, bytes) : undefined
  }

  /** Once there is room; undefined where the signal was aborted before. */
  reserve(owner: Sleeper, bytes: number, signal: AbortSignal): Promise<Reservation | undefined> {
    return new Promise((resolve) => {
      const claim: Claim = { owner, bytes, grant: resolve }
      this.#claims.push(claim)
      const giveUp = () => {
        this.#claims = this.#claims.filter((one) => one !== claim)
        resolve(undefined)
        this.look()
      }
      if (signal.aborted) giveUp()
      else signal.addEventListener('abort', giveUp, { once: true })
      this.look()
    })
  }

  /** What an endpoint may take at most: all that others do not hold, or may give up. */
  roomFor(owner: Sleeper): number {
    let others = 0
    for (const held of this.#held)
      if (held.owner !== owner && !held.owner.maySleep && !held.isLeaving) others += held.bytes
    return this.bytes - others
  }

  get used(): number {
    return this.#used
  }

  /** Called whenever somebody may have become able to sleep. */
  look(): void {
    for (let first = this.#claims[0]; first; first = this.#claims[0]) {
      const decision = this.#decide(first.bytes)
      if (decision.outcome === 'fits') {
        this.#claims.shift()
        first.grant(this.#hold(first.owner, first.bytes))
        continue
      }
      if (decision.outcome === 'after') this.#sendToSleep(decision.names)
      return
    }
    // A model grew beyond what was known of it.
    if (this.used <= this.bytes) return
    const decision = this.#decide(0)
    if (decision.outcome === 'after') this.#sendToSleep(decision.names)
  }

  #decide(bytes: number) {
    return makeRoom(this.bytes, bytes, this.#tenants())
  }

  #sendToSleep(names: readonly string[]): void {
    const owners = new Set([...this.#held].map(({ owner }) => owner))
    for (const owner of owners) if (names.includes(owner.name)) owner.sleepForOthers()
  }

  #tenants(): Tenant[] {
    const tenants = new Map<Sleeper, Tenant>()
    for (const { owner, bytes, isLeaving } of this.#held) {
      const { name, lastUsedAt, maySleep } = owner
      const tenant = tenants.get(owner) ?? { name, lastUsedAt, maySleep, bytes: 0, leavingBytes: 0 }
      tenant.bytes += bytes
      if (isLeaving) tenant.leavingBytes += bytes
      tenants.set(owner, tenant)
    }
    return [...tenants.values()]
  }

  #hold(owner: Sleeper, bytes: number): Reservation {
    const held: Held = { owner, bytes, isLeaving: false }
    this.#held.add(held)
    this.#used += bytes
    const changed = () => this.look()
    return {
      get bytes() {
        return held.bytes
      },
      resize: (next) => {
        if (this.#held.has(held)) this.#used += next - held.bytes
        held.bytes = next
        changed()
      },
      leaving: () => {
        held.isLeaving = true
      },
      release: () => {
        if (!this.#held.delete(held)) return
        this.#used -= held.bytes
        changed()
      },
    }
  }
}
