import type { getExecution } from '../executions/executions-contract.ts'
import type { verdictShape } from '../gates/gates-contract.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { getPromotion } from '../promotions/promotions-contract.ts'
import type { getReproduction } from '../reproductions/reproductions-contract.ts'
import type { getDeployment } from '../rollouts/rollouts-contract.ts'
import type { listRuns } from '../tracking/tracking-contract.ts'

/** What people read of a state: few words for all that can be in one, the same words in CLI and pages. */
export const stateWords = {
  queued: 'queued',
  running: 'running',
  reused: 'reused',
  passed: 'passed',
  warned: 'warned',
  failed: 'failed',
  inconclusive: 'inconclusive',
  cancelled: 'cancelled',
  waiting: 'waiting for a person',
  progressing: 'progressing',
  serving: 'serving',
  mismatch: 'mismatch',
  stalled: 'stalled',
} as const

export type ShownState = keyof typeof stateWords

type Execution = OutputOf<typeof getExecution>
type Deployment = OutputOf<typeof getDeployment>

export const nodeState = {
  waiting: 'queued',
  starting: 'running',
  running: 'running',
  reused: 'reused',
  succeeded: 'passed',
  failed: 'failed',
  skipped: 'cancelled',
  cancelled: 'cancelled',
} as const satisfies Record<Execution['nodes'][number]['state'], ShownState>

export const executionState = {
  queued: 'queued',
  running: 'running',
  cancelling: 'cancelled',
  succeeded: 'passed',
  failed: 'failed',
  cancelled: 'cancelled',
} as const satisfies Record<Execution['state'], ShownState>

export const reproductionState = {
  identical: 'passed',
  'equal within tolerance': 'warned',
  different: 'failed',
} as const satisfies Record<NonNullable<OutputOf<typeof getReproduction>['comparison']>['outcome'], ShownState>

export const verdictState = {
  pass: 'passed',
  warn: 'warned',
  fail: 'failed',
  inconclusive: 'inconclusive',
} as const satisfies Record<(typeof verdictShape)['_output']['outcome'], ShownState>

export const promotionState = {
  intended: 'progressing',
  proposed: 'waiting',
  approved: 'progressing',
  committed: 'passed',
  merged: 'passed',
  superseded: 'cancelled',
  rejected: 'cancelled',
  barred: 'failed',
  blocked: 'stalled',
} as const satisfies Record<OutputOf<typeof getPromotion>['state'], ShownState>

export const deploymentState = {
  'nothing declared': 'queued',
  progressing: 'progressing',
  'waiting for a person': 'waiting',
  serving: 'serving',
  mismatch: 'mismatch',
  stalled: 'stalled',
} as const satisfies Record<Deployment['state'], ShownState>

export const rolloutState = {
  preparing: 'progressing',
  step: 'progressing',
  waiting: 'waiting',
  'rolling back': 'progressing',
  done: 'passed',
  stalled: 'stalled',
  'rolled back': 'failed',
  superseded: 'cancelled',
} as const satisfies Record<Deployment['rollouts'][number]['state'], ShownState>

/** Of a version at the gateway. What sleeps is no trouble: a request loads it. */
export const servedState = {
  loading: 'progressing',
  ready: 'serving',
  failed: 'failed',
  restarting: 'warned',
  asleep: 'queued',
} as const satisfies Record<NonNullable<Deployment['endpoint']>['versions'][number]['state'], ShownState>

export const runState = {
  SCHEDULED: 'queued',
  RUNNING: 'running',
  FINISHED: 'passed',
  FAILED: 'failed',
  KILLED: 'cancelled',
} as const satisfies Record<OutputOf<typeof listRuns>['items'][number]['status'], ShownState>
