import type { SecretBox } from '../access/index.ts'
import type { Db } from '../db/index.ts'
import { isAppError } from '../kernel/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { nextMove } from './decide/next-move.ts'
import { signedHeaders } from './decide/signed-request.ts'
import { type DeliveryRow, deliveryStore } from './delivery-store.ts'
import { type Post, post, sendTimeoutMs } from './send.ts'
import type { Attempt } from './webhook.ts'
import { webhookStore } from './webhook-store.ts'
import { purposeOf } from './webhooks-service.ts'

/** Longer than an attempt takes: a delivery whose server died in the middle is taken up after it. */
const takenForMs = sendTimeoutMs + 10_000
const keptForMs = 14 * 24 * 3_600_000
const keptOfEach = 1000
const pruneEveryMs = 600_000

/**
 * Sends what is due: one delivery at a time to each webhook, oldest first, all webhooks side by side, so that a receiver that hangs
 * delays nobody else. Any number of servers may do this on one database.
 */
export class DeliveryEngine {
  readonly #db: Db
  readonly #clock: Clock
  readonly #log: Log
  readonly #secrets: SecretBox
  readonly #allowPrivate: boolean
  readonly #chance: () => number
  readonly #lanes = new Map<string, Promise<void>>()
  #prunedAt = Number.NEGATIVE_INFINITY

  /** `chance`: a number in 0..1, another each time; it spreads the retries. */
  constructor(parts: {
    db: Db
    clock: Clock
    log: Log
    secrets: SecretBox
    allowPrivate: boolean
    chance: () => number
  }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#log = parts.log
    this.#secrets = parts.secrets
    this.#allowPrivate = parts.allowPrivate
    this.#chance = parts.chance
  }

  /** Starts a lane for each webhook with something due; does not wait for them. */
  async pass(signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    for (const webhookId of await deliveryStore.webhooksWithDue(this.#db, now))
      if (!this.#lanes.has(webhookId)) this.#lanes.set(webhookId, this.#lane(webhookId, signal))
    if (now - this.#prunedAt < pruneEveryMs) return
    this.#prunedAt = now
    await deliveryStore.prune(this.#db, now - keptForMs, keptOfEach)
  }

  /** After the signal: when the last lane has written down where it stands. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.values())
  }

  async #lane(webhookId: string, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const now = this.#clock.now()
        const delivery = await deliveryStore.take(this.#db, webhookId, now, now + takenForMs)
        if (!delivery) return
        await this.#deliver(delivery, signal)
      }
    } catch (error) {
      this.#log.error({ err: error, webhookId }, 'a webhook delivery failed')
    } finally {
      this.#lanes.delete(webhookId)
    }
  }

  async #deliver(delivery: DeliveryRow, signal: AbortSignal): Promise<void> {
    const attempt = await this.#attempt(delivery, signal)
    const now = this.#clock.now()
    if (signal.aborted && attempt.kind === 'unreachable') return deliveryStore.giveBack(this.#db, delivery, now)
    const move = nextMove(attempt, delivery.attempts, now, this.#chance())
    await deliveryStore.record(this.#db, delivery.id, {
      state: move.to,
      next_at: move.to === 'waiting' ? move.at : null,
      error: move.to === 'delivered' ? null : move.error,
      ended_at: move.to === 'waiting' ? null : now,
      response_status: attempt.kind === 'answered' ? attempt.status : null,
    })
  }

  async #attempt(delivery: DeliveryRow, signal: AbortSignal): Promise<Attempt> {
    const request = await this.#request(delivery)
    return 'kind' in request ? request : post(request, signal)
  }

  /** What to send, or why nothing is. */
  async #request(delivery: DeliveryRow): Promise<Post | Attempt> {
    try {
      const { url, secret: sealed, status } = await webhookStore.row(this.#db, delivery.webhook_id)
      if (status !== 'ACTIVE') return { kind: 'refused', reason: 'The webhook was disabled before this was delivered.' }
      const secret = sealed === null ? undefined : this.#secrets.open(sealed, purposeOf(delivery.webhook_id))
      const { delivery_id: deliveryId, body } = delivery
      const headers = signedHeaders({ deliveryId, body, secret }, this.#clock.now())
      return { url, headers, body, allowPrivate: this.#allowPrivate }
    } catch (error) {
      if (isAppError(error, 'NotFound') || isAppError(error, 'SecretUnreadable'))
        return { kind: 'refused', reason: error.message }
      throw error
    }
  }
}
