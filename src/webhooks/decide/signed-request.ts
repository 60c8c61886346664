import { createHmac } from 'node:crypto'
import type { EpochMs } from '../../kernel/time.ts'
import type { WebhookMessage } from '../webhook.ts'

/** The body that every attempt sends: what happened, when, and the particulars. */
export const bodyOf = ({ entity, action, data }: WebhookMessage, at: EpochMs): string =>
  JSON.stringify({ entity, action, timestamp: new Date(at).toISOString().replace('Z', '+00:00'), data })

/**
 * The headers of one attempt. Signed is `deliveryId.timestamp.body` with HMAC-SHA256, `v1,` and base64 before the receiver's eyes;
 * the timestamp (seconds) is that of the attempt, so that a receiver that refuses old ones takes a late retry.
 * Source: mlflow 3.17.2, webhooks/delivery.py, after the Standard Webhooks specification.
 */
export function signedHeaders(
  delivery: { deliveryId: string; body: string; secret: string | undefined },
  now: EpochMs,
): Record<string, string> {
  const { deliveryId, body, secret } = delivery
  const timestamp = String(Math.floor(now / 1000))
  const headers = {
    'Content-Type': 'application/json',
    'X-MLflow-Delivery-Id': deliveryId,
    'X-MLflow-Timestamp': timestamp,
  }
  if (!secret) return headers
  const signature = createHmac('sha256', secret).update(`${deliveryId}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'X-MLflow-Signature': `v1,${signature}` }
}
