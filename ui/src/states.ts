import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleFadingArrowUp,
  CircleQuestionMark,
  CircleX,
  GitCompareArrows,
  LoaderCircle,
  type LucideIcon,
  OctagonPause,
  Radio,
  Recycle,
  TriangleAlert,
  UserRound,
} from 'lucide-react'
import type { getExecution } from '../../src/executions/executions-contract.ts'
import type { OutputOf } from '../../src/kernel/route.ts'
import type { listPromotions } from '../../src/promotions/promotions-contract.ts'
import type { getDeployment } from '../../src/rollouts/rollouts-contract.ts'
import type { listRuns } from '../../src/tracking/tracking-contract.ts'

/** One word, one icon, one colour token (`--state-…` in styles/tokens.css) for each state, the same in CLI, pages and comments. */
export const states = {
  queued: { word: 'queued', icon: CircleDashed },
  running: { word: 'running', icon: LoaderCircle },
  reused: { word: 'reused', icon: Recycle },
  passed: { word: 'passed', icon: CircleCheck },
  warned: { word: 'warned', icon: TriangleAlert },
  failed: { word: 'failed', icon: CircleX },
  inconclusive: { word: 'inconclusive', icon: CircleQuestionMark },
  cancelled: { word: 'cancelled', icon: Ban },
  waiting: { word: 'waiting for a person', icon: UserRound },
  progressing: { word: 'progressing', icon: CircleFadingArrowUp },
  serving: { word: 'serving', icon: Radio },
  mismatch: { word: 'mismatch', icon: GitCompareArrows },
  stalled: { word: 'stalled', icon: OctagonPause },
} as const satisfies Record<string, { word: string; icon: LucideIcon }>

export type State = keyof typeof states

type NodeState = OutputOf<typeof getExecution>['nodes'][number]['state']
type ExecutionState = OutputOf<typeof getExecution>['state']
type Promotion = OutputOf<typeof listPromotions>['items'][number]
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
} as const satisfies Record<NodeState, State>

export const executionState = {
  queued: 'queued',
  running: 'running',
  cancelling: 'cancelled',
  succeeded: 'passed',
  failed: 'failed',
  cancelled: 'cancelled',
} as const satisfies Record<ExecutionState, State>

export const verdictState = {
  pass: 'passed',
  warn: 'warned',
  fail: 'failed',
  inconclusive: 'inconclusive',
} as const satisfies Record<NonNullable<Promotion['verdictOutcome']>, State>

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
} as const satisfies Record<Promotion['state'], State>

export const deploymentState = {
  'nothing declared': 'queued',
  progressing: 'progressing',
  'waiting for a person': 'waiting',
  serving: 'serving',
  mismatch: 'mismatch',
  stalled: 'stalled',
} as const satisfies Record<Deployment['state'], State>

export const rolloutState = {
  preparing: 'progressing',
  step: 'progressing',
  waiting: 'waiting',
  'rolling back': 'progressing',
  done: 'passed',
  stalled: 'stalled',
  'rolled back': 'failed',
  superseded: 'cancelled',
} as const satisfies Record<Deployment['rollouts'][number]['state'], State>

/** A rollout's own word, where it says more than that it progresses or waits. */
export const rolloutWord = (state: Deployment['rollouts'][number]['state']): string =>
  state === 'step' || state === 'waiting' ? states[rolloutState[state]].word : state

type RunStatus = OutputOf<typeof listRuns>['items'][number]['status']

export const runState = {
  SCHEDULED: 'queued',
  RUNNING: 'running',
  FINISHED: 'passed',
  FAILED: 'failed',
  KILLED: 'cancelled',
} as const satisfies Record<RunStatus, State>
