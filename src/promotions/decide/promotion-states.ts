import { bug } from '../../kernel/errors.ts'
import type { PromotionState } from '../promotion.ts'

export type PromotionEvent =
  /** Its commit is on its own branch. */
  | 'proposal written'
  /** Its commit is on the authoritative branch. */
  | 'committed'
  /** The authoritative branch declares its version by someone else's commit. */
  | 'declared by a person'
  /** What it was compared with is no longer what is declared. */
  | 'champion changed'
  | 'approve'
  | 'reject'
  | 'a newer one came'
  | 'reverted'
  | 'aborted'
  | 'cannot be committed'

/** state × event → state. What is not listed cannot happen: a person's request is refused, anything else is a bug. */
const table: Record<PromotionState, Partial<Record<PromotionEvent, PromotionState>>> = {
  intended: {
    'proposal written': 'proposed',
    committed: 'committed',
    'declared by a person': 'merged',
    // Still due, but now on a branch where a person compares them.
    'champion changed': 'intended',
    approve: 'approved',
    reject: 'rejected',
    'a newer one came': 'superseded',
    'cannot be committed': 'blocked',
  },
  proposed: {
    'declared by a person': 'merged',
    approve: 'approved',
    reject: 'rejected',
    'a newer one came': 'superseded',
  },
  approved: {
    committed: 'committed',
    'declared by a person': 'merged',
    'a newer one came': 'superseded',
    'cannot be committed': 'blocked',
  },
  committed: { reverted: 'barred', aborted: 'barred', 'declared by a person': 'committed' },
  merged: { reverted: 'barred', aborted: 'barred', 'declared by a person': 'merged' },
  barred: {
    approve: 'approved',
    reject: 'rejected',
    'declared by a person': 'merged',
    reverted: 'barred',
    aborted: 'barred',
  },
  blocked: {
    approve: 'approved',
    reject: 'rejected',
    'declared by a person': 'merged',
    'a newer one came': 'superseded',
  },
  superseded: { 'declared by a person': 'merged' },
  rejected: { 'declared by a person': 'merged' },
}

/** Whether the table lists the pair. */
export const canHear = (state: PromotionState, event: PromotionEvent): boolean => table[state][event] !== undefined

/** Throws a bug for a pair that the table does not list; ask `canHear` first where a person asks. */
export function nextPromotionState(state: PromotionState, event: PromotionEvent): PromotionState {
  const next = table[state][event]
  if (!next) throw bug(`A promotion that is ${state} met "${event}".`)
  return next
}

/** Its commit is still to be made. */
export const isDue = (state: PromotionState): boolean => state === 'intended' || state === 'approved'

/** It can still come to the branch by itself or by a yes. */
export const isOpen = (state: PromotionState): boolean => isDue(state) || state === 'proposed'
