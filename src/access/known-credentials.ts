import type { Actor } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'

/** Why a header counts: the token that it shows, or the password hash that it was found to fit. */
export type Proof = { tokenHash: string; expiresAt?: EpochMs } | { userId: number; passwordHash: string }
export type Known = { actor: Actor; proof: Proof; checkedAt: EpochMs }

const kept = 10_000

/** Headers that were checked before, by their hash: the dear check of a password is not made for every request. */
export class KnownCredentials {
  readonly #known = new Map<string, Known>()

  get(header: string): Known | undefined {
    return this.#known.get(header)
  }

  keep(header: string, known: Known): void {
    // Whoever is forgotten is checked again, no more: the oldest go in the order in which they came.
    if (this.#known.size >= kept) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(header, known)
  }

  forget(header: string): void {
    this.#known.delete(header)
  }

  forgetUser(userId: number): void {
    for (const [header, { actor }] of this.#known) if (actor.userId === userId) this.#known.delete(header)
  }

  forgetTokens(hashes: ReadonlySet<string>): void {
    for (const [header, { proof }] of this.#known)
      if ('tokenHash' in proof && hashes.has(proof.tokenHash)) this.#known.delete(header)
  }
}
