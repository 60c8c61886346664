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
    case 'reproduction':
      return `reproduction of ${text('model') ?? ''} ${String(trigger.version ?? '')}`.trim()
    case 'schedule':
      return `schedule ${text('schedule') ?? ''}`.trim()
    default:
      return String(trigger.kind)
  }
}

/** A push is called by its commit's subject; what began by itself did so for another reason than the commit that it ran. */
export function executionTitle({ trigger, subject }: Pick<ExecutionDetail, 'trigger' | 'subject'>): string {
  if (trigger.kind === 'push' || trigger.kind === 'run') return subject
  if (trigger.kind === 'reproduction') return triggerText(trigger)
  return `Retraining: ${triggerText(trigger)}`
}

/** The small line in a step's box where it has no duration of its own; `open` are the steps that have not ended. */
export function nodeNote(node: ExecutionNode, open: ReadonlySet<string>): string {
  if (node.state === 'reused') return 'reused'
  if (node.state === 'skipped') return 'skipped'
  if (node.state === 'cancelled') return 'cancelled'
  if (node.group) return groupNote(node.group)
  // Whether a step runs or is reused follows from what those before it make: until they ended, nobody can know.
  const waitsFor = node.after.filter((id) => open.has(id))
  return waitsFor.length > 0 ? `decided after ${waitsFor.join(', ')}` : 'queued'
}

const openStates: ReadonlySet<ExecutionNode['state']> = new Set(['waiting', 'starting', 'running'])

export const openSteps = (nodes: readonly ExecutionNode[]): Set<string> =>
  new Set(nodes.filter(({ state }) => openStates.has(state)).map(({ id }) => id))

export type Progress = { done: number; of: number; reused: number; failed: ExecutionNode[] }

/** A node that stands for many counts as many; those of its nodes that are shown besides are among them. */
export function progressOf(nodes: readonly ExecutionNode[]): Progress {
  const many = new Set(nodes.filter(({ group }) => group).map(({ id }) => id))
  const progress: Progress = { done: 0, of: 0, reused: 0, failed: [] }
  for (const node of nodes) {
    if (node.state === 'failed' && node.kind !== 'matrix') progress.failed.push(node)
    if (isOfGroup(node, many)) continue
    const states = node.group?.states ?? { [node.state]: 1 }
    for (const [state, n] of Object.entries(states)) {
      progress.of += n
      if (!openStates.has(state as ExecutionNode['state'])) progress.done += n
      if (state === 'reused') progress.reused += n
    }
  }
  return progress
}

/** `train@xgb` where `train` is shown for all of its kind. */
export const isOfGroup = ({ id, kind }: Pick<ExecutionNode, 'id' | 'kind'>, groups: ReadonlySet<string>): boolean =>
  kind === 'step' && id.includes('@') && groups.has(id.split('@', 1)[0]!)

/** `998 of 1,000 ended, 2 failed` */
export function groupNote({ of, states }: NonNullable<ExecutionNode['group']>): string {
  const open = [...openStates].reduce((sum, state) => sum + (states[state] ?? 0), 0)
  const failed = states.failed ? `, ${states.failed} failed` : ''
  return `${of - open} of ${of} ended${failed}`
}
