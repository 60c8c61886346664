import { type Endpoint, endpoint } from '../kernel/route.ts'
import { listDeliveries, listWebhooks } from './webhooks-contract.ts'
import type { WebhooksService } from './webhooks-service.ts'

export function webhookEndpoints(webhooks: WebhooksService): Endpoint[] {
  return [
    endpoint(listWebhooks, ({ query }) => webhooks.webhooks(query)),
    endpoint(listDeliveries, async ({ params, query }) => {
      const { items, ...more } = await webhooks.deliveries(params.webhookId, query)
      return { items: items.map(({ webhookId: _webhook, ...delivery }) => delivery), ...more }
    }),
  ]
}
