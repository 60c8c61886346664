import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import type { SecretBox } from '../access/index.ts'
import { type Db, transact } from '../db/index.ts'
import { newId } from '../kernel/ids.ts'
import type { Clock } from '../ports/clock.ts'
import { type Found, invalid, nextPage, readPageToken } from '../tracking/index.ts'
import { checkWebhookEvents, checkWebhookName, checkWebhookUrl } from './decide/check-webhook.ts'
import { bodyOf, signedHeaders } from './decide/signed-request.ts'
import { exampleMessage, type ToldEvent, webhookMessage } from './decide/webhook-message.ts'
import { deliveryStore } from './delivery-store.ts'
import { isPublicAddress } from './public-address.ts'
import { post, refusal } from './send.ts'
import type {
  Attempt,
  Delivery,
  NewWebhook,
  TestResult,
  UrlPolicy,
  Webhook,
  WebhookChange,
  WebhookEvent,
} from './webhook.ts'
import { webhookStore } from './webhook-store.ts'

const allWebhooks = 'webhooks'

/** Who wants to be told of what, and the deliveries that follow from it; `DeliveryEngine` carries them out. */
export class WebhooksService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #secrets: SecretBox
  readonly #policy: UrlPolicy

  constructor(parts: { db: Db; clock: Clock; secrets: SecretBox; policy: UrlPolicy }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#secrets = parts.secrets
    this.#policy = parts.policy
  }

  async create(webhook: NewWebhook): Promise<Webhook> {
    checkWebhookName(webhook.name)
    this.#checkUrl(webhook.url)
    checkWebhookEvents(webhook.events)
    const now = this.#clock.now()
    const webhookId = randomUUID()
    const row = {
      webhook_id: webhookId,
      name: webhook.name,
      url: webhook.url,
      description: webhook.description || null,
      secret: this.#sealed(webhook.secret, webhookId),
      status: webhook.status ?? 'ACTIVE',
      created_at: now,
      updated_at: now,
    }
    return transact(this.#db, (tx) => webhookStore.create(tx, row, webhook.events))
  }

  /** Throws NotFound. */
  webhook(webhookId: string): Promise<Webhook> {
    return webhookStore.get(this.#db, webhookId)
  }

  /** Newest first, paged by key: one that is made meanwhile moves no page. */
  async webhooks(page: { limit: number; pageToken?: string }): Promise<Found<Webhook>> {
    const [createdAt, webhookId] = readPageToken(allWebhooks, page.pageToken, 2) ?? []
    const after = createdAt === undefined ? undefined : { createdAt: Number(createdAt), webhookId: String(webhookId) }
    const found = await webhookStore.list(this.#db, page.limit + 1, after)
    const keys = found.map((webhook) => ({ s0: webhook.createdAt, s1: webhook.webhookId }))
    return { items: found.slice(0, page.limit), ...nextPage(allWebhooks, keys, page.limit, 2) }
  }

  async update(webhookId: string, change: WebhookChange): Promise<Webhook> {
    if (change.name !== undefined) checkWebhookName(change.name)
    if (change.url !== undefined) this.#checkUrl(change.url)
    if (change.events !== undefined) checkWebhookEvents(change.events)
    const { name, url, description, secret, status, events } = change
    return transact(this.#db, async (tx) => {
      await webhookStore.row(tx, webhookId)
      await webhookStore.update(tx, webhookId, {
        updated_at: this.#clock.now(),
        ...(name === undefined ? {} : { name }),
        ...(url === undefined ? {} : { url }),
        ...(status === undefined ? {} : { status }),
        ...(description === undefined ? {} : { description: description || null }),
        ...(secret === undefined ? {} : { secret: this.#sealed(secret, webhookId) }),
      })
      if (events !== undefined) await webhookStore.setEvents(tx, webhookId, events)
      return webhookStore.get(tx, webhookId)
    })
  }

  /** Throws NotFound. */
  delete(webhookId: string): Promise<void> {
    return transact(this.#db, async (tx) => {
      await webhookStore.row(tx, webhookId)
      await webhookStore.delete(tx, webhookId)
    })
  }

  /** Sends an example of the event (of its first one where none is named) at once and tells what came back. */
  async test(webhookId: string, event?: WebhookEvent): Promise<TestResult> {
    if (event) checkWebhookEvents([event])
    const row = await webhookStore.row(this.#db, webhookId)
    const { events } = await this.webhook(webhookId)
    const now = this.#clock.now()
    const body = bodyOf(exampleMessage(event ?? events[0]!), now)
    const headers = signedHeaders({ deliveryId: newId(now), body, secret: this.#opened(row.secret, webhookId) }, now)
    const { allowPrivate } = this.#policy
    return testResult(await post({ url: row.url, headers, body, allowPrivate }, new AbortController().signal))
  }

  /** The registry tells: one delivery for each webhook that wants to hear it. */
  async onEvent(event: ToldEvent): Promise<void> {
    const message = webhookMessage(event)
    if (!message) return
    const webhookIds = await webhookStore.activeFor(this.#db, message, event.at)
    const now = this.#clock.now()
    await transact(this.#db, (tx) =>
      deliveryStore.add(
        tx,
        webhookIds.map((webhookId) => ({
          delivery_id: newId(now),
          webhook_id: webhookId,
          event_id: event.id,
          entity: message.entity,
          action: message.action,
          body: bodyOf(message, event.at),
          created_at: now,
        })),
      ),
    )
  }

  /** Newest first. Throws NotFound where there is no such webhook. */
  async deliveries(webhookId: string, page: { limit: number; pageToken?: string }): Promise<Found<Delivery>> {
    await webhookStore.row(this.#db, webhookId)
    const question = { deliveriesOf: webhookId }
    const [before] = readPageToken(question, page.pageToken, 1) ?? []
    const found = await deliveryStore.list(this.#db, webhookId, page.limit + 1, before as number | undefined)
    const keys = found.map(({ id }) => ({ s0: id }))
    return {
      items: found.slice(0, page.limit).map(({ delivery }) => delivery),
      ...nextPage(question, keys, page.limit, 1),
    }
  }

  /** What needs no lookup to be seen is refused at once; the rest when something is sent. */
  #checkUrl(url: string): void {
    const host = checkWebhookUrl(url, this.#policy).hostname.replace(/^\[|\]$/g, '')
    if (this.#policy.allowPrivate) return
    if (host === 'localhost' || host.endsWith('.localhost')) throw invalid(refusal(host, '127.0.0.1'))
    if (isIP(host) !== 0 && !isPublicAddress(host)) throw invalid(refusal(host, host))
  }

  #sealed(secret: string | undefined, webhookId: string): string | null {
    return secret ? this.#secrets.seal(secret, purposeOf(webhookId)) : null
  }

  #opened(sealed: string | null, webhookId: string): string | undefined {
    return sealed === null ? undefined : this.#secrets.open(sealed, purposeOf(webhookId))
  }
}

/** A sealed secret opens for its own webhook only. */
export const purposeOf = (webhookId: string): string => `webhook ${webhookId}`

function testResult(attempt: Attempt): TestResult {
  if (attempt.kind !== 'answered') return { success: false, error: `Failed to test webhook: ${attempt.reason}` }
  const success = attempt.status >= 200 && attempt.status < 300
  return { success, responseStatus: attempt.status, responseBody: attempt.body }
}
