import type { ExecutionDetail, ExecutionNode } from './data/queries.ts'

/** Why a pass began, in the words of the push's output. */
export function triggerText(trigger: Readonly<Record<string, unknown>>): string {
  const text = (name: string) => (typeof trigger[name] === 'string' ? trigger[name] : undefined)
  switch (trigger.kind) {
    case 'push':
      return `push to ${text('branch') ?? 'a branch'}`
    case 'run':
      return 'modelwright run'
    case 'person':
      return text('note') ? `started by hand: ${text('note')}` : 'started by hand'
    case 'drift': {
      const features = Array.isArray(trigger.features) ? trigger.features : []
      return `drift in ${text('environment') ?? 'production'}${features.length > 0 ? `: ${features.slice(0, 3).join(', ')}` : ''}`
    }
    case 'metric':
      return `${text('metric') ?? 'a metric'} in ${text('environment') ?? 'production'}`
    case 'schedule':
      return `schedule ${text('schedule') ?? ''}`.trim()
    default:
      return String(trigger.kind)
  }
}

/** A push is called by its commit's subject; what began by itself did so for another reason than the commit that it ran. */
export function executionTitle({ trigger, subject }: Pick<ExecutionDetail, 'trigger' | 'subject'>): string {
  if (trigger.kind === 'push' || trigger.kind === 'run') return subject
  return `Retraining: ${triggerText(trigger)}`
}

/** The small line in a step's box where it has no duration of its own; `open` are the steps that have not ended. */
export function nodeNote(node: ExecutionNode, open: ReadonlySet<string>): string {
  if (node.state === 'reused') return 'reused'
  if (node.state === 'skipped') return 'skipped'
  if (node.state === 'cancelled') return 'cancelled'
  // Whether a step runs or is reused follows from what those before it make: until they ended, nobody can know.
  const waitsFor = node.after.filter((id) => open.has(id))
  return waitsFor.length > 0 ? `decided after ${waitsFor.join(', ')}` : 'queued'
}

const openStates: ReadonlySet<ExecutionNode['state']> = new Set(['waiting', 'starting', 'running'])

export const openSteps = (nodes: readonly ExecutionNode[]): Set<string> =>
  new Set(nodes.filter(({ state }) => openStates.has(state)).map(({ id }) => id))

export type Progress = { done: number; of: number; reused: number; failed: ExecutionNode[] }

export function progressOf(nodes: readonly ExecutionNode[]): Progress {
  return {
    done: nodes.filter(({ state }) => !openStates.has(state)).length,
    of: nodes.length,
    reused: nodes.filter(({ state }) => state === 'reused').length,
    failed: nodes.filter(({ state }) => state === 'failed'),
  }
}
