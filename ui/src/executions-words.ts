import type { Execution, ExecutionNode } from './data/queries.ts'

/** Why a pass began, in the words of the push's output. */
export function triggerText(trigger: Execution['trigger']): string {
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
  }
}

/** The small line in a step's box where it has no duration of its own. */
export function nodeNote(node: ExecutionNode): string {
  if (node.state === 'reused') return 'reused'
  if (node.state === 'skipped') return 'skipped'
  if (node.state === 'cancelled') return 'cancelled'
  const { decision } = node
  if (decision?.outcome === 'decided later') return `decided after ${(decision.after ?? node.after).join(', ')}`
  if (node.after.length > 0) return `after ${node.after.join(', ')}`
  return 'queued'
}

export const isOver = (execution: Pick<Execution, 'endedAt'>): boolean => execution.endedAt !== undefined

export type Progress = { done: number; of: number; reused: number; failed: ExecutionNode[] }

export function progressOf(nodes: readonly ExecutionNode[]): Progress {
  const open = new Set(['waiting', 'starting', 'running'])
  return {
    done: nodes.filter(({ state }) => !open.has(state)).length,
    of: nodes.length,
    reused: nodes.filter(({ state }) => state === 'reused').length,
    failed: nodes.filter(({ state }) => state === 'failed'),
  }
}
