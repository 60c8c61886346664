import { pythonText } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/decide/limits.ts'
import { actionsOf, type UrlPolicy, type WebhookEvent } from '../webhook.ts'

/** What MLflow refuses, in its words (utils/validation.py, entities/webhook.py). All throw BadRequest. */

/** Letters, digits, `.`, `_` and `-`, a letter or digit at both ends, at most 63 characters. */
export function checkWebhookName(name: string): void {
  if (name.length <= 63 && /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i.test(name)) return
  throw invalid(
    `Webhook name ${pythonText(name)} is invalid. It must start and end with a letter or digit, be less than 63 characters long, ` +
      'and contain only letters, digits, dots (.), underscores (_), and hyphens (-).',
  )
}

/** The form of the address. Where its name leads is looked up when something is sent: a name may lead elsewhere by then. */
export function checkWebhookUrl(url: string, { schemes }: Pick<UrlPolicy, 'schemes'>): URL {
  if (url.trim() === '') throw invalid(`Webhook URL cannot be empty or just whitespace: ${pythonText(url)}`)
  const scheme = /^\s*([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  if (!schemes.includes(scheme))
    throw invalid(`Invalid webhook URL scheme: '${scheme}'. Allowed schemes are: ${schemes.join(', ')}.`)
  if (!/^\s*[a-z][a-z0-9+.-]*:\/\/[^/?#]/i.test(url) || !URL.canParse(url))
    throw invalid(`Webhook URL must include a hostname: ${pythonText(url)}`)
  if (/[\0-\x20\x7f]/.test(url) || url.length > 2000)
    throw invalid(`Webhook URL must be at most 2000 characters without spaces: ${pythonText(url.slice(0, 200))}`)
  return new URL(url)
}

export function checkWebhookEvents(events: readonly WebhookEvent[]): void {
  if (events.length === 0) throw invalid('Webhook events must be a non-empty list of WebhookEvent objects: [].')
  for (const { entity, action } of events) {
    const allowed: readonly string[] = actionsOf[entity]
    if (allowed.includes(action)) continue
    const listed = [...allowed].sort().map((word) => `'${word}'`)
    throw invalid(`Invalid action '${action}' for entity '${entity}'. Valid actions are: [${listed.join(', ')}]`)
  }
}
