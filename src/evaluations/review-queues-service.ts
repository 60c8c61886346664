import { type Db, transact } from '../db/index.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { pythonList } from '../kernel/python-text.ts'
import type { Clock } from '../ports/clock.ts'
import type { TracesService } from '../traces/index.ts'
import { type ExperimentId, type Found, invalid, type TrackingService } from '../tracking/index.ts'
import {
  checkedCompleter,
  checkedIds,
  checkedItemIds,
  checkedOwner,
  checkedQueue,
  checkedQueueName,
  checkedUsers,
  normalUser,
} from './decide/review-queue-rules.ts'
import { labelSchemaStore } from './label-schema-store.ts'
import { type QueueList, reviewQueueStore } from './review-queue-store.ts'
import type { NewReviewQueue, ReviewItem, ReviewQueue, ReviewQueueChange, ReviewStatus } from './review-queues.ts'

/** Who is asked to look at which traces of an experiment, and how far that is. */
export class ReviewQueuesService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #tracking: TrackingService
  readonly #traces: TracesService

  constructor(parts: { db: Db; clock: Clock; tracking: TrackingService; traces: TracesService }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#tracking = parts.tracking
    this.#traces = parts.traces
  }

  async create(asked: NewReviewQueue): Promise<ReviewQueue> {
    const queue = checkedQueue(asked)
    await this.#presentExperiment(queue.experimentId)
    await this.#knownSchemas(queue.experimentId, queue.schemaIds)
    return transact(this.#db, async (tx) =>
      reviewQueueStore.byId(tx, await reviewQueueStore.create(tx, queue, this.#clock.now())),
    )
  }

  /** The user's own queue, made where there is none. Throws AlreadyExists where another kind of queue has the name. */
  async ofUser(experimentId: ExperimentId, user: string): Promise<ReviewQueue> {
    const name = normalUser(user)
    try {
      return await this.create({ experimentId, name, type: 'user', users: [], schemaIds: [], createdBy: name })
    } catch (error) {
      if (!isAppError(error, 'AlreadyExists')) throw error
    }
    const queue = await reviewQueueStore.byName(this.#db, experimentId, name)
    if (queue.type === 'user') return queue
    throw new AppError(
      'AlreadyExists',
      `A non-user queue named '${name}' already exists; cannot get-or-create a user queue with that name.`,
      'Rename that queue.',
    )
  }

  /** Throws NotFound. */
  queue(queueId: string): Promise<ReviewQueue> {
    return reviewQueueStore.byId(this.#db, queueId)
  }

  /** Throws NotFound. */
  async named(experimentId: ExperimentId, name: string): Promise<ReviewQueue> {
    await this.#presentExperiment(experimentId)
    return reviewQueueStore.byName(this.#db, experimentId, name)
  }

  async list(list: QueueList): Promise<Found<ReviewQueue>> {
    await this.#presentExperiment(list.experimentId)
    return reviewQueueStore.list(this.#db, {
      ...list,
      user: list.user === undefined ? undefined : normalUser(list.user),
    })
  }

  /** The questions are fixed once there is something to review. Throws NotFound, BadRequest, AlreadyExists. */
  async update(queueId: string, asked: ReviewQueueChange): Promise<ReviewQueue> {
    const { experimentId, type } = await this.queue(queueId)
    if (type === 'user')
      throw invalid("A user queue's name, assigned user, schemas, and owner are fixed and cannot be updated.")
    const change = {
      createdBy: asked.createdBy === undefined ? undefined : checkedOwner(asked.createdBy),
      name: asked.name === undefined ? undefined : checkedQueueName(asked.name),
      users: asked.users && checkedUsers(asked.users),
      schemaIds: asked.schemaIds && checkedIds('schema_id', asked.schemaIds),
    }
    if (Object.values(change).every((value) => value === undefined)) return this.queue(queueId)
    await this.#knownSchemas(experimentId, change.schemaIds ?? [])
    return transact(this.#db, async (tx) => {
      const known = await reviewQueueStore.byId(tx, queueId)
      if (change.schemaIds && (await reviewQueueStore.hasItems(tx, queueId)))
        throw invalid(
          "A review queue's questions are locked once items are assigned to it. Remove the items before changing its questions.",
        )
      await reviewQueueStore.update(tx, known, change, this.#clock.now())
      return reviewQueueStore.byId(tx, queueId)
    })
  }

  /** One that is not there is deleted already. */
  delete(queueId: string): Promise<void> {
    return transact(this.#db, (tx) => reviewQueueStore.delete(tx, queueId))
  }

  /** Throws NotFound for the queue, and for traces that are not in its experiment. */
  async addItems(queueId: string, itemIds: readonly string[]): Promise<ReviewItem[]> {
    const ids = checkedItemIds(itemIds)
    const { experimentId } = await this.queue(queueId)
    const present = new Set((await this.#traces.infos(ids, [experimentId])).map((trace) => trace.traceId as string))
    const missing = ids.filter((id) => !present.has(id))
    if (missing.length > 0)
      throw notFound(
        `Cannot attach trace(s) ${pythonList(missing)} to review queue '${queueId}': they do not exist in experiment '${experimentId}'.`,
      )
    return transact(this.#db, async (tx) => {
      await reviewQueueStore.byId(tx, queueId)
      return reviewQueueStore.addItems(tx, queueId, ids, this.#clock.now())
    })
  }

  async removeItems(queueId: string, itemIds: readonly string[]): Promise<void> {
    const ids = checkedItemIds(itemIds)
    await transact(this.#db, async (tx) => {
      await reviewQueueStore.byId(tx, queueId)
      await reviewQueueStore.removeItems(tx, queueId, ids)
    })
  }

  async items(
    queueId: string,
    page: { status?: ReviewStatus; limit: number; pageToken?: string },
  ): Promise<Found<ReviewItem>> {
    await this.queue(queueId)
    return reviewQueueStore.items(this.#db, queueId, page)
  }

  /** Setting what is set already changes nothing, so that nobody takes another's work for theirs. */
  async setStatus(
    queueId: string,
    itemId: string,
    { status, completedBy }: { status: ReviewStatus; completedBy: string | undefined },
  ): Promise<ReviewItem> {
    const by = checkedCompleter(status, completedBy)
    return transact(this.#db, async (tx) => {
      await reviewQueueStore.byId(tx, queueId)
      const item = await reviewQueueStore.item(tx, queueId, itemId.trim())
      if (item.status === status) return item
      await reviewQueueStore.setStatus(tx, item, { status, completedBy: by, now: this.#clock.now() })
      return reviewQueueStore.item(tx, queueId, item.itemId)
    })
  }

  async #presentExperiment(experimentId: ExperimentId): Promise<void> {
    const { lifecycle } = await this.#tracking.experiment(experimentId)
    if (lifecycle !== 'active') throw notFound(`No Experiment with id=${experimentId} exists`)
  }

  async #knownSchemas(experimentId: ExperimentId, schemaIds: readonly string[]): Promise<void> {
    const missing: string[] = []
    for (const schemaId of schemaIds) {
      const schema = await labelSchemaStore.findById(this.#db, schemaId)
      if (schema?.experimentId !== experimentId) missing.push(schemaId)
    }
    if (missing.length > 0)
      throw invalid(`Label schema id(s) ${pythonList(missing)} not found for experiment '${experimentId}'.`)
  }
}

const notFound = (message: string): AppError => new AppError('NotFound', message, 'List what there is, and ask again.')
