import type { EpochMs } from '../kernel/time.ts'

/** What may be told of, and what of it: MLflow's table (entities/webhook.py), in its order. */
export const actionsOf = {
  registered_model: ['created'],
  model_version: ['created'],
  model_version_tag: ['set', 'deleted'],
  model_version_alias: ['created', 'deleted'],
  prompt: ['created'],
  prompt_version: ['created'],
  prompt_tag: ['set', 'deleted'],
  prompt_version_tag: ['set', 'deleted'],
  prompt_alias: ['created', 'deleted'],
  /** May be subscribed to; nothing here has a budget, so nothing tells of it. */
  budget_policy: ['exceeded'],
} as const

export type WebhookEntity = keyof typeof actionsOf
export const webhookEntities = Object.keys(actionsOf) as WebhookEntity[]
export const webhookActions = ['created', 'updated', 'deleted', 'set', 'exceeded'] as const
export type WebhookAction = (typeof webhookActions)[number]
export type WebhookEvent = { entity: WebhookEntity; action: WebhookAction }

/** What a receiver is told: MLflow's payload (webhooks/types.py). */
export type WebhookMessage = WebhookEvent & { data: Record<string, unknown> }

export const webhookStatuses = ['ACTIVE', 'DISABLED'] as const
export type WebhookStatus = (typeof webhookStatuses)[number]

/** Its secret is written and never read back: only the sender opens it. */
export type Webhook = {
  webhookId: string
  name: string
  url: string
  description: string | undefined
  status: WebhookStatus
  /** By entity and action. */
  events: WebhookEvent[]
  createdAt: EpochMs
  updatedAt: EpochMs
}

export type NewWebhook = {
  name: string
  url: string
  events: readonly WebhookEvent[]
  description?: string
  secret?: string
  status?: WebhookStatus
}

/** A field left out stays; an empty description or secret takes it away. */
export type WebhookChange = Partial<NewWebhook>

/** Where webhooks may lead. */
export type UrlPolicy = { schemes: readonly string[]; allowPrivate: boolean }

export type DeliveryState = 'waiting' | 'delivered' | 'failed'

/** One event on its way to one webhook; its id stays the same over all attempts. */
export type Delivery = WebhookEvent & {
  deliveryId: string
  webhookId: string
  state: DeliveryState
  attempts: number
  nextAttemptAt: EpochMs | undefined
  /** Of the last attempt that was answered. */
  responseStatus: number | undefined
  /** Why the last attempt did not deliver. */
  error: string | undefined
  createdAt: EpochMs
  endedAt: EpochMs | undefined
}

/** How one attempt went. `refused`: it was not made, for a reason that stays. */
export type Attempt =
  | { kind: 'answered'; status: number; body: string; retryAfter?: string }
  | { kind: 'unreachable'; reason: string }
  | { kind: 'refused'; reason: string }

/** What a person's test of a webhook found. */
export type TestResult = { success: boolean; responseStatus?: number; responseBody?: string; error?: string }
