import { describe, expect, it } from 'vitest'
import type { WebhookEvent } from '../webhook.ts'
import { checkWebhookEvents, checkWebhookName, checkWebhookUrl } from './check-webhook.ts'

const https = { schemes: ['https'] }

describe('a webhook', () => {
  it.each(['w', 'A.b_c-9', '0', 'x'.repeat(63)])('may be called %j', (name) => {
    expect(() => checkWebhookName(name)).not.toThrow()
  })

  it.each(['', '-w', 'w.', 'a b', 'é', 'a/b', 'w\n', 'x'.repeat(64)])('may not be called %j', (name) => {
    expect(() => checkWebhookName(name)).toThrow('It must start and end with a letter or digit')
  })

  it.each(['https://example.com', 'HTTPS://example.com/a?b=c', 'https://user:pw@example.com:8443/x'])(
    'may lead to %s',
    (url) => {
      expect(() => checkWebhookUrl(url, https)).not.toThrow()
    },
  )

  it.each([
    ['   ', 'cannot be empty or just whitespace'],
    ['http://example.com', "Invalid webhook URL scheme: 'http'. Allowed schemes are: https."],
    ['file:///etc/passwd', "Invalid webhook URL scheme: 'file'"],
    ['example.com', "Invalid webhook URL scheme: ''"],
    ['https://', "Webhook URL must include a hostname: 'https://'"],
    ['https:///x', 'must include a hostname'],
    ['https:example.com', 'must include a hostname'],
    ['https://a b/', 'Webhook URL'],
    ['https://a/\nHost: b', 'without spaces'],
    [`https://a/${'x'.repeat(2000)}`, 'at most 2000'],
  ])('may not lead to %j', (url, message) => {
    expect(() => checkWebhookUrl(url, https)).toThrow(message)
  })

  it('wants to hear of what MLflow tells and of nothing else', () => {
    expect(() => checkWebhookEvents([{ entity: 'prompt_alias', action: 'deleted' }])).not.toThrow()
    expect(() => checkWebhookEvents([])).toThrow('must be a non-empty list')
    const event: WebhookEvent = { entity: 'model_version_tag', action: 'created' }
    expect(() => checkWebhookEvents([event])).toThrow(
      "Invalid action 'created' for entity 'model_version_tag'. Valid actions are: ['deleted', 'set']",
    )
  })
})
