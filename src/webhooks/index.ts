// Webhooks: who wants to be told of changes in the registry, and the signed deliveries that tell them.
// It owns webhooks, their sealed secrets and the log of deliveries. It decides nothing of what happens, and no change waits for it.
export { toldEvents } from './decide/webhook-message.ts'
export { DeliveryEngine } from './delivery-engine.ts'
export * from './webhook.ts'
export * from './webhooks-contract.ts'
export { webhookEndpoints } from './webhooks-routes.ts'
export { WebhooksService } from './webhooks-service.ts'
