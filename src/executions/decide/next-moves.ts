import type { EpochMs } from '../../kernel/time.ts'
import { declaredName } from '../../projects/decide/expand-matrix.ts'
import { type ExecutionNode, type ExecutionState, endedWell, isOver, type NodeState } from '../execution.ts'

export type Moves = {
  /** Nodes whose fate can be decided now: all before them ended well, and no pause after a failure holds them. In the plan's order. */
  decide: string[]
  /** Nodes that can never run: something before them did not end well. `condition`: because a `when:` did not hold. */
  skip: { node: string; because: string; condition: boolean }[]
  /** Fan-outs whose items have all ended. */
  join: { node: string; state: Extract<NodeState, 'succeeded' | 'failed' | 'cancelled'>; because: string }[]
  /** Nodes to end because the execution is being cancelled. */
  cancel: string[]
  /** Set when nothing is left to do. */
  finish?: { state: Extract<ExecutionState, 'succeeded' | 'failed' | 'cancelled'>; reason: string }
}

/**
 * What to do next in an execution, from the states of its nodes alone.
 * A champion's evaluation that fails does not fail the execution: the gate then lacks the champion's value and says so.
 */
export function nextMoves(state: ExecutionState, nodes: readonly ExecutionNode[], now: EpochMs): Moves {
  if (state === 'cancelling') return cancelling(nodes)
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const moves: Moves = { ...noMoves(), join: joins(nodes) }
  let over = true
  for (const node of nodes) {
    over &&= isOver(node.state)
    if (node.state !== 'waiting') continue
    const { broken, open } = before(node, byId)
    if (broken) moves.skip.push({ node: node.id, ...whySkipped(broken) })
    else if (!open && (node.notBefore ?? 0) <= now) moves.decide.push(node.id)
  }
  if (over) moves.finish = ending(nodes)
  return moves
}

const noMoves = (): Moves => ({ decide: [], skip: [], join: [], cancel: [] })

function before(node: ExecutionNode, byId: ReadonlyMap<string, ExecutionNode>) {
  let open = false
  for (const id of node.after) {
    const { state } = byId.get(id)!
    if (isOver(state) && !endedWell(state)) return { broken: byId.get(id)!, open }
    open ||= !isOver(state)
  }
  return { open }
}

/** A condition that did not hold is no failure, neither of the step nor of what needs it. */
function whySkipped(broken: ExecutionNode): { because: string; condition: boolean } {
  const condition = broken.state === 'skipped' && broken.error === undefined
  return { because: `"${broken.id}" ${broken.state === 'failed' ? 'failed' : `was ${broken.state}`}`, condition }
}

/** The fan-outs that run, each with its items; it ends when the last of them did. */
function joins(nodes: readonly ExecutionNode[]): Moves['join'] {
  const groups = new Map<string, ExecutionNode[]>()
  for (const node of nodes) if (node.kind === 'fan-out' && node.state === 'running') groups.set(node.id, [])
  if (groups.size === 0) return []
  for (const node of nodes) if (node.item !== undefined) groups.get(declaredName(node.id))?.push(node)
  return [...groups].flatMap(([node, items]): Moves['join'] => {
    if (!items.every(({ state }) => isOver(state))) return []
    const failed = items.filter(({ state }) => state === 'failed')
    if (failed.length > 0)
      return [{ node, state: 'failed', because: `${failed.length} of ${items.length} items failed: ${named(failed)}` }]
    const well = items.filter(({ state }) => endedWell(state)).length
    return well === items.length
      ? [{ node, state: 'succeeded', because: items.length === 0 ? 'the list is empty' : `${items.length} items` }]
      : [{ node, state: 'cancelled', because: `${items.length - well} of ${items.length} items did not run` }]
  })
}

function cancelling(nodes: readonly ExecutionNode[]): Moves {
  const open = nodes.filter((node) => !isOver(node.state)).map((node) => node.id)
  if (open.length > 0) return { ...noMoves(), cancel: open }
  return { ...noMoves(), finish: { state: 'cancelled', reason: 'cancelled' } }
}

function ending(nodes: readonly ExecutionNode[]): NonNullable<Moves['finish']> {
  const failed = nodes.filter(
    ({ kind, state, id }) => kind !== 'champion evaluation' && state === 'failed' && !isToldByItems(kind, id, nodes),
  )
  if (failed.length > 0) return { state: 'failed', reason: `${named(failed)} failed` }
  if (nodes.some((node) => node.state === 'cancelled')) return { state: 'cancelled', reason: 'cancelled' }
  if (nodes.length === 0) return { state: 'succeeded', reason: 'the file declares no steps' }
  const steps = nodes.filter(({ kind }) => kind !== 'fan-out')
  const ran = steps.filter((node) => node.state === 'succeeded').length
  const skipped = steps.filter((node) => node.state === 'skipped').length
  if (ran > 0) return { state: 'succeeded', reason: `${ran} of ${steps.length} ran` }
  if (skipped > 0) return { state: 'succeeded', reason: `nothing ran: ${skipped} of ${steps.length} were skipped` }
  return { state: 'succeeded', reason: 'everything was reused' }
}

/** A fan-out fails because of its items; one that failed by itself has none. */
const isToldByItems = (kind: ExecutionNode['kind'], id: string, nodes: readonly ExecutionNode[]): boolean =>
  kind === 'fan-out' &&
  nodes.some((node) => node.item !== undefined && node.state === 'failed' && declaredName(node.id) === id)

const namesShown = 5

function named(nodes: readonly ExecutionNode[]): string {
  const names = nodes.slice(0, namesShown).map(({ id }) => id)
  return nodes.length <= namesShown ? names.join(', ') : `${names.join(', ')} and ${nodes.length - namesShown} more`
}
