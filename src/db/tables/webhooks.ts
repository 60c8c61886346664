import type { Generated } from 'kysely'

export interface WebhookTables {
  /** `secret` is sealed (access/secrets.ts): never in clear. */
  webhooks: {
    webhook_id: string
    name: string
    url: string
    description: string | null
    secret: string | null
    status: string
    created_at: number
    updated_at: number
  }
  webhook_events: { webhook_id: string; entity: string; action: string }
  /** One for each webhook and event of the outbox; `next_at` is set while it waits. */
  webhook_deliveries: {
    id: Generated<number>
    delivery_id: string
    webhook_id: string
    event_id: number
    entity: string
    action: string
    body: string
    state: string
    attempts: number
    next_at: number | null
    response_status: number | null
    error: string | null
    created_at: number
    ended_at: number | null
  }
}
