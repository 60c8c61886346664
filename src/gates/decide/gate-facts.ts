import type { ExecutionNode } from '../../executions/index.ts'
import { championNode } from '../../planning/decide/graph.ts'
import type { Champion } from '../../planning/index.ts'
import type { GateDeclaration } from '../../projects/index.ts'
import type { GateFacts } from '../gate.ts'

/**
 * The numbers that a gate is judged by, from the nodes of an execution: the candidate's as its steps measured them, the champion's
 * from its evaluation on the same rows. What is missing is told with its reason.
 */
export function gateFacts(
  gate: GateDeclaration,
  nodes: readonly ExecutionNode[],
  champion: Champion | undefined,
): GateFacts {
  const candidate = valuesOf(gate, nodes, (step) => step)
  if (!champion) return { candidate: candidate.values, champion: undefined, missing: { candidate: candidate.missing } }
  const champions = valuesOf(gate, nodes, championNode)
  return {
    candidate: candidate.values,
    champion: champions.values,
    missing: { candidate: candidate.missing, champion: champions.missing },
  }
}

function valuesOf(gate: GateDeclaration, nodes: readonly ExecutionNode[], nodeOf: (step: string) => string) {
  const values: Record<string, number | undefined> = {}
  const missing: Record<string, string> = {}
  for (const { metric, step, name } of gate.objectives) {
    const node = nodes.find((candidate) => candidate.id === nodeOf(step))
    values[metric] = node?.result?.metrics[name]
    if (values[metric] === undefined) missing[metric] = whyMissing(node, nodeOf(step), name)
  }
  return { values, missing }
}

function whyMissing(node: ExecutionNode | undefined, id: string, metric: string): string {
  if (!node) return `there was no "${id}"`
  if (node.state !== 'succeeded' && node.state !== 'reused')
    return `"${id}" ${node.state === 'failed' ? 'failed' : `was ${node.state}`}: ${node.error?.message ?? node.decision?.reasons.join('; ') ?? 'no reason recorded'}`
  const logged = Object.keys(node.result?.metrics ?? {})
  return `"${id}" did not log "${metric}"; it logged: ${logged.join(', ') || 'nothing'}`
}
