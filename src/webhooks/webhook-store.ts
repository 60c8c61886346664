import type { Selectable } from 'kysely'
import type { Db } from '../db/index.ts'
import type { WebhookTables } from '../db/tables/webhooks.ts'
import { AppError } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Webhook, WebhookEvent, WebhookStatus } from './webhook.ts'

type Row = Selectable<WebhookTables['webhooks']>
type Change = Partial<Omit<Row, 'webhook_id' | 'created_at'>>

/** Webhooks and what each wants to hear. Each method takes the handle, so that it can be part of a transaction. */
export const webhookStore = {
  async create(db: Db, row: Row, events: readonly WebhookEvent[]): Promise<Webhook> {
    await db.insertInto('webhooks').values(row).execute()
    await this.setEvents(db, row.webhook_id, events)
    return this.get(db, row.webhook_id)
  },

  /** Throws NotFound in MLflow's words. */
  async get(db: Db, webhookId: string): Promise<Webhook> {
    return (await complete(db, [await this.row(db, webhookId)]))[0]!
  },

  async row(db: Db, webhookId: string): Promise<Row> {
    const row = await db.selectFrom('webhooks').selectAll().where('webhook_id', '=', webhookId).executeTakeFirst()
    if (row) return row
    throw new AppError(
      'NotFound',
      `Webhook with ID ${webhookId} not found.`,
      'List the webhooks to see which there are.',
    )
  },

  /** Newest first, after the one that is named. */
  async list(db: Db, limit: number, after?: { createdAt: EpochMs; webhookId: string }): Promise<Webhook[]> {
    let query = db
      .selectFrom('webhooks')
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('webhook_id', 'desc')
      .limit(limit)
    if (after)
      query = query.where((e) =>
        e.or([
          e('created_at', '<', after.createdAt),
          e.and([e('created_at', '=', after.createdAt), e('webhook_id', '<', after.webhookId)]),
        ]),
      )
    return complete(db, await query.execute())
  },

  /** Those that were there and active when it happened. */
  async activeFor(db: Db, { entity, action }: WebhookEvent, at: EpochMs): Promise<string[]> {
    const rows = await db
      .selectFrom('webhooks as w')
      .innerJoin('webhook_events as e', 'e.webhook_id', 'w.webhook_id')
      .select('w.webhook_id')
      .where('w.status', '=', 'ACTIVE')
      .where('w.created_at', '<=', at)
      .where('e.entity', '=', entity)
      .where('e.action', '=', action)
      .orderBy('w.created_at')
      .execute()
    return rows.map((row) => row.webhook_id)
  },

  async update(db: Db, webhookId: string, change: Change): Promise<void> {
    await db.updateTable('webhooks').set(change).where('webhook_id', '=', webhookId).execute()
  },

  async setEvents(db: Db, webhookId: string, events: readonly WebhookEvent[]): Promise<void> {
    await db.deleteFrom('webhook_events').where('webhook_id', '=', webhookId).execute()
    await db
      .insertInto('webhook_events')
      .values(events.map(({ entity, action }) => ({ webhook_id: webhookId, entity, action })))
      .onConflict((c) => c.doNothing())
      .execute()
  },

  /** With its deliveries: nothing of it is sent any more. */
  async delete(db: Db, webhookId: string): Promise<void> {
    for (const table of ['webhook_deliveries', 'webhook_events', 'webhooks'] as const)
      await db.deleteFrom(table).where('webhook_id', '=', webhookId).execute()
  },
}

async function complete(db: Db, rows: readonly Row[]): Promise<Webhook[]> {
  if (rows.length === 0) return []
  const events = await db
    .selectFrom('webhook_events')
    .selectAll()
    .where(
      'webhook_id',
      'in',
      rows.map((row) => row.webhook_id),
    )
    .orderBy('entity')
    .orderBy('action')
    .execute()
  const eventsOf = Map.groupBy(events, (event) => event.webhook_id)
  return rows.map((row) => ({
    webhookId: row.webhook_id,
    name: row.name,
    url: row.url,
    description: row.description ?? undefined,
    status: row.status as WebhookStatus,
    events: (eventsOf.get(row.webhook_id) ?? []).map(({ entity, action }) => ({ entity, action }) as WebhookEvent),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }))
}
