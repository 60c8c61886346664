import { type Selectable, type SqlBool, sql } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { EvaluationTables } from '../db/tables/evaluations.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import {
  afterSql,
  type ExperimentId,
  experimentNumber,
  type Found,
  nextPage,
  orderSql,
  readPageToken,
} from '../tracking/index.ts'
import type {
  NewReviewQueue,
  ReviewItem,
  ReviewQueue,
  ReviewQueueChange,
  ReviewQueueType,
  ReviewStatus,
} from './review-queues.ts'

type QueueRow = Selectable<EvaluationTables['review_queues']>
type ItemRow = Selectable<EvaluationTables['review_queue_items']>
type Page = { limit: number; pageToken?: string }

export type QueueList = Page & { experimentId: ExperimentId; user?: string; itemId?: string }

/** Review queues, their people and questions, and the traces in them. */
export const reviewQueueStore = {
  /** Throws AlreadyExists for a taken name, whatever its case. */
  async create(tx: Tx, queue: NewReviewQueue, now: EpochMs): Promise<string> {
    if (await this.findByName(tx, queue.experimentId, queue.name)) throw taken(queue.name)
    const queueId = `rq-${newHexId(now)}`
    await tx
      .insertInto('review_queues')
      .values({
        queue_id: queueId,
        experiment_id: experimentNumber(queue.experimentId),
        name: queue.name,
        name_key: queue.name.toLowerCase(),
        type: queue.type,
        created_by: queue.createdBy ?? null,
        created_at: now,
        updated_at: now,
      })
      .execute()
    await setUsers(tx, queueId, queue.users)
    await setSchemas(tx, queueId, queue.schemaIds)
    return queueId
  },

  /** Throws NotFound. */
  async byId(db: Db, queueId: string): Promise<ReviewQueue> {
    const row = await db.selectFrom('review_queues').selectAll().where('queue_id', '=', queueId).executeTakeFirst()
    if (!row) throw notFound(`Review queue with id '${queueId}' not found.`)
    return (await complete(db, [row]))[0]!
  },

  async findByName(db: Db, experimentId: ExperimentId, name: string): Promise<ReviewQueue | undefined> {
    const row = await db
      .selectFrom('review_queues')
      .selectAll()
      .where('experiment_id', '=', experimentNumber(experimentId))
      .where('name_key', '=', name.toLowerCase())
      .executeTakeFirst()
    return row && (await complete(db, [row]))[0]
  },

  /** Throws NotFound. */
  async byName(db: Db, experimentId: ExperimentId, name: string): Promise<ReviewQueue> {
    const queue = await this.findByName(db, experimentId, name)
    if (!queue) throw notFound(`Review queue with name '${name}' not found for experiment '${experimentId}'.`)
    return queue
  },

  /** Newest first; of those of a user, or with an item, where asked. */
  async list(db: Db, { experimentId, user, itemId, limit, pageToken }: QueueList): Promise<Found<ReviewQueue>> {
    const question = { of: 'review queues', in: experimentId, user: user ?? null, item: itemId ?? null }
    const order = newestFirst('q.queue_id', 'q.created_at')
    const after = readPageToken(question, pageToken, order.length)
    let query = db
      .selectFrom('review_queues as q')
      .selectAll()
      .select(order.map((column, index) => sql<string | number>`${column.expression}`.as(`s${index}`)))
      .where('q.experiment_id', '=', experimentNumber(experimentId))
      .orderBy(orderSql(order))
      .limit(limit + 1)
    if (user !== undefined)
      query = query.where(
        sql<SqlBool>`exists (select 1 from review_queue_users u where u.queue_id = q.queue_id and u.user_id = ${user})`,
      )
    if (itemId !== undefined)
      query = query.where(
        sql<SqlBool>`exists (select 1 from review_queue_items i where i.queue_id = q.queue_id and i.item_id = ${itemId})`,
      )
    if (after) query = query.where(afterSql(order, after))
    const rows = await query.execute()
    return { items: await complete(db, rows.slice(0, limit)), ...nextPage(question, rows, limit, order.length) }
  },

  /** Throws AlreadyExists for a taken name. */
  async update(tx: Tx, known: ReviewQueue, change: ReviewQueueChange, now: EpochMs): Promise<void> {
    const name = change.name ?? known.name
    const namesake = await this.findByName(tx, known.experimentId, name)
    if (namesake && namesake.queueId !== known.queueId) throw taken(name)
    await tx
      .updateTable('review_queues')
      .set({
        name,
        name_key: name.toLowerCase(),
        created_by: change.createdBy ?? known.createdBy ?? null,
        updated_at: now,
      })
      .where('queue_id', '=', known.queueId)
      .execute()
    if (change.users) await setUsers(tx, known.queueId, change.users)
    if (change.schemaIds) await setSchemas(tx, known.queueId, change.schemaIds)
  },

  async delete(tx: Tx, queueId: string): Promise<void> {
    for (const table of ['review_queue_items', 'review_queue_schemas', 'review_queue_users', 'review_queues'] as const)
      await tx.deleteFrom(table).where('queue_id', '=', queueId).execute()
  },

  /** What is in it already stays as it is. */
  async addItems(tx: Tx, queueId: string, itemIds: readonly string[], now: EpochMs): Promise<ReviewItem[]> {
    const added = {
      queue_id: queueId,
      status: 'pending',
      completed_by: null,
      completed_at: null,
      created_at: now,
      updated_at: now,
    }
    const items = new Map<string, ReviewItem>()
    for (let i = 0; i < itemIds.length; i += 500) {
      const some = itemIds.slice(i, i + 500)
      await tx
        .insertInto('review_queue_items')
        .values(some.map((item_id) => ({ ...added, item_id })))
        .onConflict((c) => c.columns(['queue_id', 'item_id']).doNothing())
        .execute()
      const rows = await tx
        .selectFrom('review_queue_items')
        .selectAll()
        .where('queue_id', '=', queueId)
        .where('item_id', 'in', some)
        .execute()
      for (const row of rows) items.set(row.item_id, itemFrom(row))
    }
    return itemIds.map((itemId) => items.get(itemId)!)
  },

  async removeItems(tx: Tx, queueId: string, itemIds: readonly string[]): Promise<void> {
    for (let i = 0; i < itemIds.length; i += 500)
      await tx
        .deleteFrom('review_queue_items')
        .where('queue_id', '=', queueId)
        .where('item_id', 'in', itemIds.slice(i, i + 500))
        .execute()
  },

  async hasItems(db: Db, queueId: string): Promise<boolean> {
    const row = await db
      .selectFrom('review_queue_items as i')
      .select('i.item_id')
      .where('i.queue_id', '=', queueId)
      .where(isThere)
      .limit(1)
      .executeTakeFirst()
    return row !== undefined
  },

  /** Throws NotFound. */
  async item(db: Db, queueId: string, itemId: string): Promise<ReviewItem> {
    const row = await db
      .selectFrom('review_queue_items')
      .selectAll()
      .where('queue_id', '=', queueId)
      .where('item_id', '=', itemId)
      .executeTakeFirst()
    if (!row) throw notFound(`Item '${itemId}' is not attached to review queue '${queueId}'.`)
    return itemFrom(row)
  },

  /** Newest first. */
  async items(db: Db, queueId: string, page: Page & { status?: ReviewStatus }): Promise<Found<ReviewItem>> {
    const question = { of: 'review items', in: queueId, status: page.status ?? null }
    const order = newestFirst('i.item_id', 'i.created_at')
    const after = readPageToken(question, page.pageToken, order.length)
    let query = db
      .selectFrom('review_queue_items as i')
      .selectAll()
      .select(order.map((column, index) => sql<string | number>`${column.expression}`.as(`s${index}`)))
      .where('i.queue_id', '=', queueId)
      .where(isThere)
      .orderBy(orderSql(order))
      .limit(page.limit + 1)
    if (page.status !== undefined) query = query.where('i.status', '=', page.status)
    if (after) query = query.where(afterSql(order, after))
    const rows = await query.execute()
    return { items: rows.slice(0, page.limit).map(itemFrom), ...nextPage(question, rows, page.limit, order.length) }
  },

  async setStatus(
    tx: Tx,
    item: ReviewItem,
    { status, completedBy, now }: { status: ReviewStatus; completedBy: string | undefined; now: EpochMs },
  ): Promise<void> {
    await tx
      .updateTable('review_queue_items')
      .set({
        status,
        completed_by: completedBy ?? null,
        completed_at: status === 'pending' ? null : now,
        updated_at: now,
      })
      .where('queue_id', '=', item.queueId)
      .where('item_id', '=', item.itemId)
      .execute()
  },
}

/** A trace that was deleted is in no queue any more. */
const isThere = sql<SqlBool>`exists (select 1 from traces t where t.trace_id = i.item_id)`

const newestFirst = (id: string, createdAt: string) => [
  { expression: sql.ref(createdAt), descending: true },
  { expression: sql.ref(id), descending: false },
]

async function setUsers(tx: Tx, queueId: string, users: readonly string[]): Promise<void> {
  await tx.deleteFrom('review_queue_users').where('queue_id', '=', queueId).execute()
  if (users.length === 0) return
  await tx
    .insertInto('review_queue_users')
    .values(users.map((user_id) => ({ queue_id: queueId, user_id })))
    .execute()
}

async function setSchemas(tx: Tx, queueId: string, schemaIds: readonly string[]): Promise<void> {
  await tx.deleteFrom('review_queue_schemas').where('queue_id', '=', queueId).execute()
  for (let i = 0; i < schemaIds.length; i += 1000)
    await tx
      .insertInto('review_queue_schemas')
      .values(schemaIds.slice(i, i + 1000).map((schema_id) => ({ queue_id: queueId, schema_id })))
      .execute()
}

async function complete(db: Db, rows: readonly QueueRow[]): Promise<ReviewQueue[]> {
  const users = new Map<string, string[]>()
  const schemas = new Map<string, string[]>()
  for (let i = 0; i < rows.length; i += 1000) {
    const ids = rows.slice(i, i + 1000).map((row) => row.queue_id)
    const people = db.selectFrom('review_queue_users').selectAll().where('queue_id', 'in', ids).orderBy('user_id')
    for (const row of await people.execute()) users.set(row.queue_id, [...(users.get(row.queue_id) ?? []), row.user_id])
    const asked = db.selectFrom('review_queue_schemas').selectAll().where('queue_id', 'in', ids).orderBy('schema_id')
    for (const row of await asked.execute())
      schemas.set(row.queue_id, [...(schemas.get(row.queue_id) ?? []), row.schema_id])
  }
  return rows.map((row) => ({
    queueId: row.queue_id,
    experimentId: String(row.experiment_id),
    name: row.name,
    type: row.type as ReviewQueueType,
    createdBy: row.created_by ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    users: users.get(row.queue_id) ?? [],
    schemaIds: schemas.get(row.queue_id) ?? [],
  }))
}

const itemFrom = (row: ItemRow): ReviewItem => ({
  queueId: row.queue_id,
  itemId: row.item_id,
  status: row.status as ReviewStatus,
  completedBy: row.completed_by ?? undefined,
  completedAt: row.completed_at ?? undefined,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

const notFound = (message: string): AppError =>
  new AppError('NotFound', message, 'List the review queues of the experiment to see which there are.')

const taken = (name: string): AppError =>
  new AppError(
    'AlreadyExists',
    `Review queue with name '${name}' already exists (names are case-insensitive).`,
    'Choose another name.',
  )
