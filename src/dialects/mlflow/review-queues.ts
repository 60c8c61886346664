import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ReviewItem, ReviewQueue, ReviewStatus } from '../../evaluations/index.ts'
import { invalid } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { flag, integer, oneOf, readMessage, required, seeDocs, text, texts } from './message.ts'
import { type MlflowParts, mount } from './parts.ts'

const root = '/3.0/mlflow/review-queues'

export function mountReviewQueues(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountQueues(app, parts)
  mountChanges(app, parts, access)
  mountItems(app, parts, access)
}

const queueType = oneOf({ 0: 'REVIEW_QUEUE_TYPE_UNSPECIFIED', 1: 'USER', 2: 'CUSTOM' } as const)
const itemType = oneOf({ 0: 'REVIEW_ITEM_TYPE_UNSPECIFIED', 1: 'TRACE' } as const)
const statusWord = oneOf({ 0: 'REVIEW_STATUS_UNSPECIFIED', 1: 'PENDING', 2: 'COMPLETE', 3: 'DECLINED' } as const)
const statuses = { PENDING: 'pending', COMPLETE: 'complete', DECLINED: 'declined' } as const

function mountQueues(app: FastifyInstance, { reviewQueues }: MlflowParts): void {
  const inExperiment = { experiment_id: required(text) }

  mount(app, 'POST', `${root}/create`, async (request) => {
    const asked = readMessage(request, {
      ...inExperiment,
      name: required(text),
      queue_type: queueType,
      users: texts,
      schema_ids: texts,
    })
    if (asked.queue_type !== 'USER' && asked.queue_type !== 'CUSTOM')
      throw invalid('`queue_type` must be one of USER or CUSTOM; got proto enum value 0.')
    const queue = await reviewQueues.create({
      experimentId: asked.experiment_id,
      name: asked.name,
      type: asked.queue_type === 'USER' ? 'user' : 'custom',
      users: asked.users ?? [],
      schemaIds: asked.schema_ids ?? [],
      createdBy: whoAsks(request),
    })
    return { review_queue: queueWire(queue) }
  })

  mount(app, 'POST', `${root}/get-or-create-user`, async (request) => {
    const { experiment_id, user } = readMessage(request, { ...inExperiment, user: required(text) })
    return { review_queue: queueWire(await reviewQueues.ofUser(experiment_id, user)) }
  })

  mount(app, 'GET', `${root}/get`, async (request) => {
    const { queue_id } = readMessage(request, { queue_id: required(text) })
    return { review_queue: queueWire(await reviewQueues.queue(queue_id)) }
  })

  mount(app, 'GET', `${root}/get-by-name`, async (request) => {
    const { experiment_id, name } = readMessage(request, { ...inExperiment, name: required(text) })
    return { review_queue: queueWire(await reviewQueues.named(experiment_id, name)) }
  })

  mount(app, 'GET', `${root}/list`, async (request) => {
    const list = readMessage(request, {
      ...inExperiment,
      user: text,
      item_id: text,
      max_results: integer,
      page_token: text,
    })
    const { items, nextPageToken } = await reviewQueues.list({
      experimentId: list.experiment_id,
      user: list.user,
      itemId: list.item_id,
      limit: listLimit(list.max_results),
      pageToken: list.page_token,
    })
    return { review_queues: items.map(queueWire), next_page_token: nextPageToken ?? '' }
  })
}

function mountChanges(app: FastifyInstance, { reviewQueues }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', `${root}/update`, async (request) => {
    const change = readMessage(request, {
      queue_id: required(text),
      update_users: flag,
      users: texts,
      update_schema_ids: flag,
      schema_ids: texts,
      name: text,
      new_owner: text,
    })
    access.toShared(request.actor, `change review queue ${change.queue_id}`)
    const queue = await reviewQueues.update(change.queue_id, {
      users: change.update_users ? (change.users ?? []) : undefined,
      schemaIds: change.update_schema_ids ? (change.schema_ids ?? []) : undefined,
      name: change.name,
      createdBy: change.new_owner,
    })
    return { review_queue: queueWire(queue) }
  })

  mount(app, 'POST', `${root}/delete`, async (request) => {
    const { queue_id } = readMessage(request, { queue_id: required(text) })
    access.toShared(request.actor, `delete review queue ${queue_id}`)
    await reviewQueues.delete(queue_id)
    return {}
  })
}

function mountItems(app: FastifyInstance, { reviewQueues }: MlflowParts, access: MlflowAccess): void {
  const inQueue = { queue_id: required(text) }

  mount(app, 'POST', `${root}/items/add`, async (request) => {
    const { queue_id, item_ids } = readMessage(request, { ...inQueue, item_type: itemType, item_ids: texts })
    return { items: (await reviewQueues.addItems(queue_id, item_ids ?? [])).map(itemWire) }
  })

  mount(app, 'POST', `${root}/items/remove`, async (request) => {
    const { queue_id, item_ids } = readMessage(request, { ...inQueue, item_ids: texts })
    access.toShared(request.actor, `take items from review queue ${queue_id}`)
    await reviewQueues.removeItems(queue_id, item_ids ?? [])
    return {}
  })

  mount(app, 'GET', `${root}/items/list`, async (request) => {
    const list = readMessage(request, { ...inQueue, status: statusWord, max_results: integer, page_token: text })
    const { items, nextPageToken } = await reviewQueues.items(list.queue_id, {
      status: statusFrom(list.status),
      limit: listLimit(list.max_results),
      pageToken: list.page_token,
    })
    return { items: items.map(itemWire), next_page_token: nextPageToken ?? '' }
  })

  mount(app, 'POST', `${root}/items/set-status`, async (request) => {
    const asked = readMessage(request, { ...inQueue, item_id: required(text), status: statusWord, completed_by: text })
    const status = statusFrom(asked.status)
    if (status === undefined)
      throw invalid('`status` must be one of PENDING, COMPLETE, or DECLINED; got proto enum value 0.')
    access.toShared(request.actor, `review item ${asked.item_id}`)
    // Who is known signs with their own name, whatever they say.
    const user = whoAsks(request)
    const completedBy = user === undefined ? asked.completed_by : status === 'pending' ? undefined : user
    return { item: itemWire(await reviewQueues.setStatus(asked.queue_id, asked.item_id, { status, completedBy })) }
  })
}

/** Where nobody has to say who they are, a queue has no owner. */
const whoAsks = ({ actor }: FastifyRequest): string | undefined => (actor.userId === undefined ? undefined : actor.name)

function listLimit(asked: number | undefined): number {
  const limit = asked ?? 1000
  if (limit < 1 || limit > 50_000) throw invalid(`max_results must be between 1 and 50000.${seeDocs}`)
  return limit
}

const statusFrom = (word: string | undefined): ReviewStatus | undefined =>
  word !== undefined && Object.hasOwn(statuses, word) ? statuses[word as keyof typeof statuses] : undefined

const queueWire = (queue: ReviewQueue) => ({
  queue_id: queue.queueId,
  experiment_id: queue.experimentId,
  name: queue.name,
  queue_type: queue.type === 'user' ? 'USER' : 'CUSTOM',
  ...(queue.createdBy === undefined ? {} : { created_by: queue.createdBy }),
  creation_time_ms: queue.createdAt,
  last_update_time_ms: queue.updatedAt,
  users: queue.users,
  schema_ids: queue.schemaIds,
})

const itemWire = (item: ReviewItem) => ({
  queue_id: item.queueId,
  item_type: 'TRACE',
  item_id: item.itemId,
  status: item.status.toUpperCase(),
  ...(item.completedBy === undefined ? {} : { completed_by: item.completedBy }),
  ...(item.completedAt === undefined ? {} : { completed_time_ms: item.completedAt }),
  creation_time_ms: item.createdAt,
  last_update_time_ms: item.updatedAt,
})
