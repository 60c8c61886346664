import type { AppEvent, EventType } from '../kernel/events.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { transact } from './database.ts'
import type { Db } from './handle.ts'
import { eventsAfter } from './outbox.ts'

/** One consumer's interest. `handle` may be called again for the same event after a crash: it must be idempotent. */
export type Subscription = {
  consumer: string
  on: readonly EventType[]
  handle: (event: AppEvent) => Promise<void>
}

/** Narrows the event's type for the handler. */
export function subscribe<T extends EventType>(
  consumer: string,
  on: readonly T[],
  handle: (event: Extract<AppEvent, { type: T }>) => Promise<void>,
): Subscription {
  return { consumer, on, handle: handle as (event: AppEvent) => Promise<void> }
}

const attemptsBeforeParking = 6

/**
 * Brings events to their consumers: each consumer in order, at least once. An event that fails again and again is parked,
 * with its error, so that one bad event does not hold up all that follow.
 */
export class Dispatcher {
  readonly #db: Db
  readonly #clock: Clock
  readonly #log: Log

  constructor(parts: { db: Db; clock: Clock; log: Log }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#log = parts.log
  }

  /** Delivers to one consumer all that waits for it. */
  async deliverTo(subscription: Subscription, signal: AbortSignal): Promise<void> {
    let position = await this.#position(subscription.consumer)
    while (!signal.aborted) {
      const events = await eventsAfter(this.#db, position, { types: subscription.on, limit: 50 })
      for (const event of events) {
        if (!(await this.#handle(subscription, event, signal))) return
        position = event.id
        await this.#advance(subscription.consumer, position)
      }
      if (events.length === 0) return
    }
  }

  async #handle(subscription: Subscription, event: AppEvent, signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await subscription.handle(event)
        return true
      } catch (error) {
        if (signal.aborted) return false
        this.#log.error({ err: error, consumer: subscription.consumer, event }, 'an event could not be handled')
        if (attempt === attemptsBeforeParking) {
          await this.#park(subscription.consumer, event.id, error)
          return true
        }
        await this.#clock.sleep(100 * 2 ** attempt, signal)
      }
    }
  }

  async #position(consumer: string): Promise<number> {
    const row = await this.#db
      .selectFrom('consumers')
      .select('position')
      .where('consumer', '=', consumer)
      .executeTakeFirst()
    return row?.position ?? 0
  }

  async #advance(consumer: string, position: number): Promise<void> {
    await this.#db
      .insertInto('consumers')
      .values({ consumer, position })
      .onConflict((c) => c.column('consumer').doUpdateSet({ position }))
      .execute()
  }

  async #park(consumer: string, eventId: number, error: unknown): Promise<void> {
    await transact(this.#db, async (tx) => {
      await tx
        .insertInto('parked_events')
        .values({ consumer, event_id: eventId, error: String(error), at: this.#clock.now() })
        .onConflict((c) => c.doNothing())
        .execute()
    })
  }
}
