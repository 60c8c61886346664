import { bug } from '../../kernel/errors.ts'
import type { RolloutState } from '../rollout.ts'

export type RolloutOutcome =
  | 'wait'
  /** The first step of the canary. */
  | 'begin'
  | 'advance'
  /** All traffic. */
  | 'finish'
  | 'ask a person'
  | 'roll back'
  /** The bar and the proposed revert are written. */
  | 'stall'
  /** Git wants the old version again. */
  | 'abandon'
  /** Git wants yet another version. */
  | 'restart'

/** state × outcome → state. What is not listed cannot happen. */
const table: Record<RolloutState, Partial<Record<RolloutOutcome, RolloutState>>> = {
  preparing: {
    wait: 'preparing',
    begin: 'step',
    finish: 'done',
    'roll back': 'rolling back',
    abandon: 'rolled back',
    restart: 'superseded',
  },
  step: {
    wait: 'step',
    advance: 'step',
    finish: 'done',
    'ask a person': 'waiting',
    'roll back': 'rolling back',
    abandon: 'rolled back',
    restart: 'superseded',
  },
  waiting: {
    wait: 'waiting',
    advance: 'step',
    finish: 'done',
    'roll back': 'rolling back',
    abandon: 'rolled back',
    restart: 'superseded',
  },
  'rolling back': { stall: 'stalled' },
  done: {},
  stalled: {},
  'rolled back': {},
  superseded: {},
}

/** Throws a bug for a pair that the table does not list. */
export function nextRolloutState(state: RolloutState, outcome: RolloutOutcome): RolloutState {
  const next = table[state][outcome]
  if (!next) throw bug(`A rollout that is ${state} met "${outcome}".`)
  return next
}

/** Whether the table lists the pair. */
export const canFollow = (state: RolloutState, outcome: RolloutOutcome): boolean => table[state][outcome] !== undefined

/** Under way: at most one rollout of an environment is in one of these. */
export const activeStates: RolloutState[] = ['preparing', 'step', 'waiting', 'rolling back']
