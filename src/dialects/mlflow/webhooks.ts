import type { FastifyInstance } from 'fastify'
import {
  type TestResult,
  type Webhook,
  type WebhookAction,
  type WebhookEntity,
  type WebhookEvent,
  webhookActions,
  webhookEntities,
  webhookStatuses,
} from '../../webhooks/index.ts'
import type { MlflowAccess } from './access.ts'
import { integer, listOf, nested, oneOf, pathParam, readMessage, required, seeDocs, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { tokenWire } from './wire.ts'

const root = '/2.0/mlflow/webhooks'
const one = `${root}/:webhook_id`

/** Names in capitals, numbers from 1: as the proto has them. */
const byNumber = <T extends string>(words: readonly T[]): Record<number, Uppercase<T>> =>
  Object.fromEntries(words.map((word, index) => [index + 1, word.toUpperCase() as Uppercase<T>]))

const event = {
  entity: oneOf<Uppercase<WebhookEntity>>(byNumber(webhookEntities)),
  action: oneOf<Uppercase<WebhookAction>>(byNumber(webhookActions)),
}
const status = oneOf(byNumber(webhookStatuses))
const described = { description: text, secret: text, status: { ...status, passes: text.passes } }

export function mountWebhooks(app: FastifyInstance, { webhooks }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', root, async (request) => {
    const { events, ...asked } = readMessage(request, {
      name: required(text),
      url: required(text),
      events: required(listOf('events', event)),
      ...described,
    })
    access.toShared(request.actor, 'make webhooks')
    return { webhook: webhookWire(await webhooks.create({ ...asked, events: events.map(eventFrom) })) }
  })

  mount(app, 'GET', root, async (request) => {
    const { max_results, page_token } = readMessage(request, { max_results: integer, page_token: text })
    const limit = max_results || 100
    if (limit < 1 || limit > 1000)
      throw new MlflowError('INVALID_PARAMETER_VALUE', 'max_results must be between 1 and 1000.')
    const { items, nextPageToken } = await webhooks.webhooks({ limit, pageToken: page_token })
    return { webhooks: items.map(webhookWire), ...tokenWire(nextPageToken) }
  })

  mount(app, 'GET', one, async (request) => ({
    webhook: webhookWire(await webhooks.webhook(pathParam(request, 'webhook_id'))),
  }))

  mount(app, 'PATCH', one, async (request) => {
    const change = readMessage(request, { name: text, url: text, events: listOf('events', event), ...described })
    access.toShared(request.actor, 'change webhooks')
    const changed = await webhooks.update(pathParam(request, 'webhook_id'), {
      // An empty name, address or list of events is protobuf's way to say nothing.
      name: change.name || undefined,
      url: change.url || undefined,
      events: change.events?.length ? change.events.map(eventFrom) : undefined,
      description: change.description,
      secret: change.secret,
      status: change.status,
    })
    return { webhook: webhookWire(changed) }
  })

  mount(app, 'DELETE', one, async (request) => {
    access.toShared(request.actor, 'delete webhooks')
    await webhooks.delete(pathParam(request, 'webhook_id'))
    return {}
  })

  mount(app, 'POST', `${one}/test`, async (request) => {
    const asked = readMessage(request, { event: nested('event', event) })
    access.toShared(request.actor, 'test webhooks')
    const result = await webhooks.test(pathParam(request, 'webhook_id'), asked.event && eventFrom(asked.event))
    return { result: resultWire(result) }
  })
}

type EventWire = { entity?: Uppercase<WebhookEntity>; action?: Uppercase<WebhookAction> }

/** A word that MLflow does not have is dropped when the message is read; an event without one is none. */
function eventFrom({ entity, action }: EventWire): WebhookEvent {
  if (entity !== undefined && action !== undefined)
    return { entity: entity.toLowerCase() as WebhookEntity, action: action.toLowerCase() as WebhookAction }
  throw new MlflowError('INVALID_PARAMETER_VALUE', `Each webhook event needs a known entity and action.${seeDocs}`)
}

const webhookWire = (webhook: Webhook) => ({
  webhook_id: webhook.webhookId,
  name: webhook.name,
  ...(webhook.description === undefined ? {} : { description: webhook.description }),
  url: webhook.url,
  events: webhook.events.map(({ entity, action }) => ({ entity: entity.toUpperCase(), action: action.toUpperCase() })),
  status: webhook.status,
  creation_timestamp: webhook.createdAt,
  last_updated_timestamp: webhook.updatedAt,
})

const resultWire = (result: TestResult) => ({
  success: result.success,
  ...(result.responseStatus === undefined ? {} : { response_status: result.responseStatus }),
  ...(result.responseBody === undefined ? {} : { response_body: result.responseBody }),
  ...(result.error === undefined ? {} : { error_message: result.error }),
})
