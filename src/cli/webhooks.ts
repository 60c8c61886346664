import type { OutputOf } from '../kernel/route.ts'
import type { ShownState } from '../lineage/shown-states-contract.ts'
import { listDeliveries, listWebhooks } from '../webhooks/webhooks-contract.ts'
import type { CliContext } from './context.ts'
import { limitOf } from './runs.ts'
import { stateText } from './state-text.ts'
import { table } from './table.ts'
import { timeAgo } from './words.ts'

type Delivery = OutputOf<typeof listDeliveries>['items'][number]

const stateOf: Record<Delivery['state'], ShownState> = { waiting: 'waiting', delivered: 'passed', failed: 'failed' }

/** `modelwright webhooks [ID]`: who is told of changes in the registry; with an id what was sent there, and what failed why. */
export async function webhooks(
  context: CliContext,
  webhookId: string | undefined,
  options: { limit: string },
): Promise<number> {
  const { io, now } = context
  const limit = limitOf(options.limit)
  const client = await context.client()
  const items = webhookId
    ? (await client(listDeliveries, { params: { webhookId }, query: { limit } })).items
    : (await client(listWebhooks, { query: { limit } })).items
  if (io.json) io.out(`${JSON.stringify({ items })}\n`)
  else if (items.length === 0) io.out(webhookId ? 'Nothing was sent there yet.\n' : 'There is no webhook.\n')
  else for (const line of linesOf(items, now(), io.color)) io.out(`${line}\n`)
  return 0
}

type Webhook = OutputOf<typeof listWebhooks>['items'][number]

function linesOf(items: readonly (Webhook | Delivery)[], now: number, color: CliContext['io']['color']): string[] {
  const rows = items.map((item) =>
    'deliveryId' in item
      ? [
          stateText(color, stateOf[item.state], item.state),
          `${item.entity}.${item.action}`,
          String(item.attempts),
          timeAgo(item.createdAt, now),
          item.error ?? '',
        ]
      : [
          item.webhookId,
          item.name,
          item.status.toLowerCase(),
          item.url,
          item.events.map(({ entity, action }) => `${entity}.${action}`).join(', '),
        ],
  )
  const deliveries = items.some((item) => 'deliveryId' in item)
  return table(
    deliveries
      ? ['STATE', 'EVENT', { head: 'ATTEMPTS', align: 'right' }, 'SINCE', 'WHY']
      : ['ID', 'NAME', 'STATUS', 'URL', 'EVENTS'],
    rows,
  )
}
