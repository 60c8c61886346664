import { describe, expect, it } from 'vitest'
import type { NewReviewQueue } from '../review-queues.ts'
import { checkedCompleter, checkedItemIds, checkedQueue } from './review-queue-rules.ts'

const queue = (given: Partial<NewReviewQueue>): NewReviewQueue => ({
  experimentId: '0',
  name: 'task',
  type: 'custom',
  users: [],
  schemaIds: [],
  createdBy: undefined,
  ...given,
})

describe('a review queue', () => {
  it('is kept trimmed, with each person and question once', () => {
    expect(
      checkedQueue(queue({ name: ' My Task ', users: ['Ann', ' ann ', 'bob'], schemaIds: ['ls-1', 'ls-1 '] })),
    ).toEqual(queue({ name: 'My Task', users: ['ann', 'bob'], schemaIds: ['ls-1'] }))
  })

  it('of a user has just that user', () => {
    expect(checkedQueue(queue({ type: 'user', name: ' Ann ' }))).toMatchObject({ name: 'ann', users: ['ann'] })
    expect(checkedQueue(queue({ type: 'user', name: 'default' }))).toMatchObject({ name: 'default' })
  })

  it.each<[Partial<NewReviewQueue>, string]>([
    [{ name: '  ' }, '`name` must be a non-empty string'],
    [{ name: 'x'.repeat(251) }, 'at most 250 characters; got 251'],
    [{ name: 'DeFault' }, '`DeFault` is a reserved queue name'],
    [{ users: [''] }, '`user` must be a non-empty string'],
    [{ users: Array.from({ length: 11 }, (_, n) => `u${n}`) }, 'at most 10 assigned users; got 11'],
    [{ schemaIds: ['x'.repeat(37)] }, '`schema_id` must be at most 36'],
    [{ type: 'user', name: 'ann', users: ['bob'] }, "got name='ann' and users=['bob']"],
    [{ type: 'user', name: 'ann', schemaIds: ['ls-1'] }, 'cannot have explicitly-attached schemas'],
  ])('%j is refused: %s', (given, words) => {
    expect(() => checkedQueue(queue(given))).toThrow(words)
  })

  it('takes items by their ids, each once', () => {
    expect(checkedItemIds([' tr-1', 'tr-1', 'tr-2'])).toEqual(['tr-1', 'tr-2'])
    expect(() => checkedItemIds([])).toThrow('non-empty list')
    expect(() => checkedItemIds(['x'.repeat(51)])).toThrow('at most 50')
  })

  it('knows who is done with an item, and nobody of one that is open', () => {
    expect(checkedCompleter('complete', ' Ann ')).toBe('ann')
    expect(checkedCompleter('pending', undefined)).toBeUndefined()
    expect(() => checkedCompleter('pending', 'ann')).toThrow('must not be set')
    for (const nobody of [undefined, ' ']) expect(() => checkedCompleter('declined', nobody)).toThrow('is required')
  })
})
