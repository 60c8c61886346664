import { type ExecutionNode, type ExecutionState, endedWell, isOver } from '../execution.ts'

export type Moves = {
  /** Nodes whose fate can be decided now: all before them ended well. In the plan's order. */
  decide: string[]
  /** Nodes that can never run: something before them did not end well. */
  skip: { node: string; because: string }[]
  /** Nodes to end because the execution is being cancelled. */
  cancel: string[]
  /** Set when nothing is left to do. */
  finish?: { state: Extract<ExecutionState, 'succeeded' | 'failed' | 'cancelled'>; reason: string }
}

/**
 * What to do next in an execution, from the states of its nodes alone.
 * A champion's evaluation that fails does not fail the execution: the gate then lacks the champion's value and says so.
 */
export function nextMoves(state: ExecutionState, nodes: readonly ExecutionNode[]): Moves {
  if (state === 'cancelling') return cancelling(nodes)
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const moves: Moves = { decide: [], skip: [], cancel: [] }
  for (const node of nodes) {
    if (node.state !== 'waiting') continue
    const before = node.after.map((id) => byId.get(id)!)
    const broken = before.find((n) => isOver(n.state) && !endedWell(n.state))
    if (broken)
      moves.skip.push({
        node: node.id,
        because: `"${broken.id}" ${broken.state === 'failed' ? 'failed' : `was ${broken.state}`}`,
      })
    else if (before.every((n) => endedWell(n.state))) moves.decide.push(node.id)
  }
  if (moves.skip.length === 0 && nodes.every((node) => isOver(node.state))) moves.finish = ending(nodes)
  return moves
}

function cancelling(nodes: readonly ExecutionNode[]): Moves {
  const open = nodes.filter((node) => !isOver(node.state)).map((node) => node.id)
  if (open.length > 0) return { decide: [], skip: [], cancel: open }
  return { decide: [], skip: [], cancel: [], finish: { state: 'cancelled', reason: 'cancelled' } }
}

function ending(nodes: readonly ExecutionNode[]): NonNullable<Moves['finish']> {
  const failed = nodes.filter((node) => node.kind !== 'champion evaluation' && node.state === 'failed')
  if (failed.length > 0) return { state: 'failed', reason: `${failed.map((node) => node.id).join(', ')} failed` }
  if (nodes.some((node) => node.state === 'cancelled')) return { state: 'cancelled', reason: 'cancelled' }
  if (nodes.length === 0) return { state: 'succeeded', reason: 'the file declares no steps' }
  const ran = nodes.filter((node) => node.state === 'succeeded').length
  return { state: 'succeeded', reason: ran === 0 ? 'everything was reused' : `${ran} of ${nodes.length} ran` }
}
