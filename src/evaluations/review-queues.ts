import type { EpochMs } from '../kernel/time.ts'
import type { ExperimentId } from '../tracking/index.ts'

/** A person's own queue, in which all questions of the experiment are asked, or one made for a task with chosen questions. */
export type ReviewQueueType = 'user' | 'custom'
export type ReviewStatus = 'pending' | 'complete' | 'declined'

/** Traces of an experiment that people are asked to look at. */
export type ReviewQueue = {
  queueId: string
  experimentId: ExperimentId
  name: string
  type: ReviewQueueType
  createdBy: string | undefined
  createdAt: EpochMs
  updatedAt: EpochMs
  users: string[]
  schemaIds: string[]
}

/** A trace in a queue: whoever of the queue's people comes first is done with it for all of them. */
export type ReviewItem = {
  queueId: string
  itemId: string
  status: ReviewStatus
  completedBy: string | undefined
  completedAt: EpochMs | undefined
  createdAt: EpochMs
  updatedAt: EpochMs
}

export type NewReviewQueue = Pick<ReviewQueue, 'experimentId' | 'name' | 'type' | 'users' | 'schemaIds' | 'createdBy'>
export type ReviewQueueChange = Partial<Pick<ReviewQueue, 'name' | 'users' | 'schemaIds' | 'createdBy'>>
