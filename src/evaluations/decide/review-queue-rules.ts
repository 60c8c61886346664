import { pythonList, pythonText } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/decide/limits.ts'
import type { NewReviewQueue, ReviewStatus } from '../review-queues.ts'

/** What a review queue may be, in MLflow's words (genai/review_queues/validation.py, 3.17.2). All throw BadRequest. */
const longest = { name: 250, user: 250, schema_id: 36, item_id: 50, new_owner: 250, completed_by: 250 } as const
const mostUsers = 10
const reservedName = 'default'

/** People are told apart whatever the case of their names. */
export const normalUser = (user: string): string => user.trim().toLowerCase()

/** The queue as it is stored: trimmed, without doubles, a user's queue with just that user. */
export function checkedQueue(queue: NewReviewQueue): NewReviewQueue {
  const users = checkedUsers(queue.users)
  const schemaIds = checkedIds('schema_id', queue.schemaIds)
  if (queue.type === 'custom') return { ...queue, name: checkedQueueName(queue.name), users, schemaIds }
  const name = checked('name', normalUser(queue.name))
  if (users.length > 0 && (users.length > 1 || users[0] !== name))
    throw invalid(
      `A user queue must have exactly one assigned user equal to its name; got name=${pythonText(name)} and users=${pythonList(users)}.`,
    )
  if (schemaIds.length > 0)
    throw invalid(
      "A user queue cannot have explicitly-attached schemas; it resolves to all of the experiment's label schemas.",
    )
  return { ...queue, name, users: [name], schemaIds }
}

export function checkedQueueName(name: string): string {
  const trimmed = checked('name', name.trim())
  if (trimmed.toLowerCase() === reservedName)
    throw invalid(`\`${trimmed}\` is a reserved queue name and cannot be used for a custom queue.`)
  return trimmed
}

export function checkedUsers(users: readonly string[]): string[] {
  const normal = [...new Set(users.map((user) => checked('user', normalUser(user))))]
  if (normal.length > mostUsers)
    throw invalid(`A review queue can have at most ${mostUsers} assigned users; got ${normal.length}.`)
  return normal
}

export const checkedIds = (field: 'schema_id' | 'item_id', ids: readonly string[]): string[] => [
  ...new Set(ids.map((id) => checked(field, id.trim()))),
]

export function checkedItemIds(ids: readonly string[]): string[] {
  if (ids.length === 0) throw invalid('`item_ids` must be a non-empty list; got [].')
  return checkedIds('item_id', ids)
}

export const checkedOwner = (owner: string): string => checked('new_owner', owner.trim())

/** Who is done with an item is told when it is done, and only then. */
export function checkedCompleter(status: ReviewStatus, completedBy: string | undefined): string | undefined {
  const user = completedBy === undefined ? undefined : normalUser(completedBy)
  if (status === 'pending') {
    if (user !== undefined) throw invalid('`completed_by` must not be set when reopening an item to `pending`.')
    return undefined
  }
  if (!user) throw invalid(`\`completed_by\` is required when setting status to \`${status}\`.`)
  return checked('completed_by', user)
}

function checked(field: keyof typeof longest, value: string): string {
  if (value === '') throw invalid(`\`${field}\` must be a non-empty string; got ''.`)
  if (value.length > longest[field])
    throw invalid(`\`${field}\` must be at most ${longest[field]} characters; got ${value.length}.`)
  return value
}
