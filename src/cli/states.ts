import type { getExecution } from '../executions/executions-contract.ts'
import type { verdictShape } from '../gates/gates-contract.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { getPromotion } from '../promotions/promotions-contract.ts'
import type { getDeployment } from '../rollouts/rollouts-contract.ts'
import type { CliIo } from './io.ts'

type Color = 'green' | 'red' | 'yellow' | 'cyan' | 'magenta' | 'dim'

/** One word and one sign for each state, the words of the pages; the colour only repeats what both say. */
const states = {
  queued: { sign: '○', color: 'dim' },
  running: { sign: '◐', color: 'cyan' },
  reused: { sign: '↻', color: 'green' },
  passed: { sign: '✓', color: 'green' },
  warned: { sign: '!', color: 'yellow' },
  failed: { sign: '✗', color: 'red' },
  inconclusive: { sign: '?', color: 'yellow' },
  cancelled: { sign: '⊘', color: 'dim' },
  'waiting for a person': { sign: '◇', color: 'magenta' },
  progressing: { sign: '▸', color: 'cyan' },
  serving: { sign: '●', color: 'green' },
  mismatch: { sign: '≠', color: 'yellow' },
  stalled: { sign: '■', color: 'red' },
} as const satisfies Record<string, { sign: string; color: Color }>

export type State = keyof typeof states

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
} as const satisfies Record<Execution['nodes'][number]['state'], State>

export const executionState = {
  queued: 'queued',
  running: 'running',
  cancelling: 'cancelled',
  succeeded: 'passed',
  failed: 'failed',
  cancelled: 'cancelled',
} as const satisfies Record<Execution['state'], State>

export const verdictState = {
  pass: 'passed',
  warn: 'warned',
  fail: 'failed',
  inconclusive: 'inconclusive',
} as const satisfies Record<(typeof verdictShape)['_output']['outcome'], State>

export const promotionState = {
  intended: 'progressing',
  proposed: 'waiting for a person',
  approved: 'progressing',
  committed: 'passed',
  merged: 'passed',
  superseded: 'cancelled',
  rejected: 'cancelled',
  barred: 'failed',
  blocked: 'stalled',
} as const satisfies Record<OutputOf<typeof getPromotion>['state'], State>

export const deploymentState = {
  'nothing declared': 'queued',
  progressing: 'progressing',
  'waiting for a person': 'waiting for a person',
  serving: 'serving',
  mismatch: 'mismatch',
  stalled: 'stalled',
} as const satisfies Record<Deployment['state'], State>

export const rolloutState = {
  preparing: 'progressing',
  step: 'progressing',
  waiting: 'waiting for a person',
  'rolling back': 'progressing',
  done: 'passed',
  stalled: 'stalled',
  'rolled back': 'failed',
  superseded: 'cancelled',
} as const satisfies Record<Deployment['rollouts'][number]['state'], State>

/** `✓ passed`; another word in its place where that says more. */
export const stateText = (color: CliIo['color'], state: State, word: string = state): string =>
  color[states[state].color](`${states[state].sign} ${word}`)
