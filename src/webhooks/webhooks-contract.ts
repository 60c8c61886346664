import { z } from 'zod'
import { route } from '../kernel/route.ts'

const eventShape = z.object({ entity: z.string(), action: z.string() })

const webhookShape = z.object({
  webhookId: z.string(),
  name: z.string(),
  url: z.string(),
  description: z.string().optional(),
  status: z.enum(['ACTIVE', 'DISABLED']),
  events: z.array(eventShape),
  createdAt: z.number(),
  updatedAt: z.number(),
})

const deliveryShape = eventShape.extend({
  /** As the receiver gets it in X-MLflow-Delivery-Id; the same over all attempts. */
  deliveryId: z.string(),
  state: z.enum(['waiting', 'delivered', 'failed']),
  attempts: z.number(),
  nextAttemptAt: z.number().optional(),
  responseStatus: z.number().optional(),
  error: z.string().optional(),
  createdAt: z.number(),
  endedAt: z.number().optional(),
})

export const listWebhooks = route({
  id: 'webhooks.list',
  summary: 'Webhooks of the model registry, newest first; made and changed through MLflow’s API',
  method: 'GET',
  path: '/api/v1/webhooks',
  // The address of a receiver is often its secret.
  access: 'owner',
  query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100), pageToken: z.string().optional() }),
  output: z.object({ items: z.array(webhookShape), nextPageToken: z.string().optional() }),
})

export const listDeliveries = route({
  id: 'webhooks.deliveries',
  summary: 'What was sent to a webhook, what waits, and what failed why; newest first',
  method: 'GET',
  path: '/api/v1/webhooks/:webhookId/deliveries',
  access: 'owner',
  params: z.object({ webhookId: z.string() }),
  query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100), pageToken: z.string().optional() }),
  output: z.object({ items: z.array(deliveryShape), nextPageToken: z.string().optional() }),
  errors: ['NotFound'],
})
