import type { Clock } from '../ports/clock.ts'
import type { Db } from './handle.ts'

/** Claims named work for a while, so that of several servers one acts. A holder renews before the time is over, or loses it. */
export class Leases {
  readonly #db: Db
  readonly #clock: Clock
  readonly #holder: string
  /** Name → until when this server holds it: no write is needed while half of the time is left. */
  readonly #held = new Map<string, number>()

  constructor(db: Db, clock: Clock, holder: string) {
    this.#db = db
    this.#clock = clock
    this.#holder = holder
  }

  /** True where this server now holds the lease (also if it already did). */
  async claim(name: string, ttlMs: number): Promise<boolean> {
    const now = this.#clock.now()
    const left = (this.#held.get(name) ?? 0) - now
    if (left > ttlMs / 2 && left <= ttlMs) return true
    const result = await this.#db
      .insertInto('leases')
      .values({ name, holder: this.#holder, expires_at: now + ttlMs })
      .onConflict((c) =>
        c
          .column('name')
          .doUpdateSet({ holder: this.#holder, expires_at: now + ttlMs })
          .where((e) => e.or([e('leases.holder', '=', this.#holder), e('leases.expires_at', '<', now)])),
      )
      .executeTakeFirst()
    const mine = (result.numInsertedOrUpdatedRows ?? 0n) > 0n
    if (mine) this.#held.set(name, now + ttlMs)
    else this.#held.delete(name)
    return mine
  }

  /** At shutdown: the next server need not wait for the end of the time. */
  async releaseAll(): Promise<void> {
    this.#held.clear()
    await this.#db.deleteFrom('leases').where('holder', '=', this.#holder).execute()
  }
}
