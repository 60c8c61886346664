import type { Selectable } from 'kysely'
import type { Db } from '../db/index.ts'
import type { WebhookTables } from '../db/tables/webhooks.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Delivery, WebhookAction, WebhookEntity } from './webhook.ts'

export type DeliveryRow = Selectable<WebhookTables['webhook_deliveries']>
type NewDelivery = Pick<
  DeliveryRow,
  'delivery_id' | 'webhook_id' | 'event_id' | 'entity' | 'action' | 'body' | 'created_at'
>
type Outcome = Pick<DeliveryRow, 'state' | 'next_at' | 'error' | 'ended_at' | 'response_status'>

/** What is on its way, and the log of what was. */
export const deliveryStore = {
  /** Once for a webhook and event, however often the event comes. */
  async add(db: Db, deliveries: readonly NewDelivery[]): Promise<void> {
    if (deliveries.length === 0) return
    await db
      .insertInto('webhook_deliveries')
      .values(
        deliveries.map((delivery) => ({
          ...delivery,
          state: 'waiting',
          attempts: 0,
          next_at: delivery.created_at,
          response_status: null,
          error: null,
          ended_at: null,
        })),
      )
      .onConflict((c) => c.columns(['webhook_id', 'event_id']).doNothing())
      .execute()
  },

  /** Webhooks for which something is due. */
  async webhooksWithDue(db: Db, now: EpochMs): Promise<string[]> {
    const rows = await db
      .selectFrom('webhook_deliveries')
      .select('webhook_id')
      .distinct()
      .where('next_at', '<=', now)
      .execute()
    return rows.map((row) => row.webhook_id)
  },

  /**
   * Takes the webhook's oldest due delivery for one attempt: it is nobody else's until `until`, and due again then if whoever took it
   * is gone.
   */
  async take(db: Db, webhookId: string, now: EpochMs, until: EpochMs): Promise<DeliveryRow | undefined> {
    for (;;) {
      const next = await db
        .selectFrom('webhook_deliveries')
        .select(['id', 'next_at'])
        .where('webhook_id', '=', webhookId)
        .where('next_at', '<=', now)
        .orderBy('id')
        .limit(1)
        .executeTakeFirst()
      if (!next) return undefined
      const taken = await db
        .updateTable('webhook_deliveries')
        .set((e) => ({ next_at: until, attempts: e('attempts', '+', 1) }))
        .where('id', '=', next.id)
        .where('next_at', '=', next.next_at)
        .returningAll()
        .executeTakeFirst()
      if (taken) return taken
    }
  },

  async record(db: Db, id: number, outcome: Outcome): Promise<void> {
    await db.updateTable('webhook_deliveries').set(outcome).where('id', '=', id).execute()
  },

  /** An attempt that this server itself broke off does not count. */
  async giveBack(db: Db, row: DeliveryRow, now: EpochMs): Promise<void> {
    await db
      .updateTable('webhook_deliveries')
      .set({ next_at: now, attempts: row.attempts - 1 })
      .where('id', '=', row.id)
      .execute()
  },

  /** Newest first. `before`: the last one of the page before. */
  async list(db: Db, webhookId: string, limit: number, before?: number): Promise<{ id: number; delivery: Delivery }[]> {
    let query = db.selectFrom('webhook_deliveries').selectAll().where('webhook_id', '=', webhookId)
    if (before !== undefined) query = query.where('id', '<', before)
    const rows = await query.orderBy('id', 'desc').limit(limit).execute()
    return rows.map((row) => ({ id: row.id, delivery: deliveryFrom(row) }))
  },

  /** Forgets what ended before a time, and of each webhook all but the newest that ended. */
  async prune(db: Db, endedBefore: EpochMs, keptOfEach: number): Promise<void> {
    await db.deleteFrom('webhook_deliveries').where('ended_at', '<', endedBefore).execute()
    const crowded = await db
      .selectFrom('webhook_deliveries')
      .select('webhook_id')
      .where('ended_at', 'is not', null)
      .groupBy('webhook_id')
      .having((e) => e.fn.countAll(), '>', keptOfEach)
      .execute()
    for (const { webhook_id } of crowded) await keepNewest(db, webhook_id, keptOfEach)
  },
}

async function keepNewest(db: Db, webhookId: string, kept: number): Promise<void> {
  const ended = db
    .selectFrom('webhook_deliveries')
    .select('id')
    .where('webhook_id', '=', webhookId)
    .where('ended_at', 'is not', null)
  const oldestKept = await ended
    .orderBy('id', 'desc')
    .offset(kept - 1)
    .limit(1)
    .executeTakeFirst()
  if (!oldestKept) return
  await db
    .deleteFrom('webhook_deliveries')
    .where('webhook_id', '=', webhookId)
    .where('ended_at', 'is not', null)
    .where('id', '<', oldestKept.id)
    .execute()
}

const deliveryFrom = (row: DeliveryRow): Delivery => ({
  deliveryId: row.delivery_id,
  webhookId: row.webhook_id,
  entity: row.entity as WebhookEntity,
  action: row.action as WebhookAction,
  state: row.state as Delivery['state'],
  attempts: row.attempts,
  nextAttemptAt: row.next_at ?? undefined,
  responseStatus: row.response_status ?? undefined,
  error: row.error ?? undefined,
  createdAt: row.created_at,
  endedAt: row.ended_at ?? undefined,
})
