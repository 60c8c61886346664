import type { EpochMs } from '../../kernel/time.ts'
import { declaredName } from '../../projects/decide/expand-matrix.ts'
import type { ExecutionNode, NodeState } from '../execution.ts'

/** As little of a node as folding needs: there may be ten thousand. */
export type LightNode = Pick<ExecutionNode, 'id' | 'kind' | 'state'> & {
  /** As recorded, JSON: thousands of siblings share one text. */
  after: string
  startedAt?: EpochMs | undefined
  endedAt?: EpochMs | undefined
}

export type Folded = {
  id: string
  state: NodeState
  after: string[]
  /** How many nodes it stands for, and how many of them are in which state. */
  of: number
  states: Partial<Record<NodeState, number>>
  startedAt?: EpochMs
  endedAt?: EpochMs
}

export type Folding = {
  /** Ids of the nodes that are shown by themselves, in the plan's order; of a folded group only what needs a look. */
  shown: string[]
  /** By the declared name of the step, at the place of its first node. */
  groups: Map<string, Folded>
  /** The id under which a node is found: its own, or its group's. */
  shownAs: (id: string) => string
}

/** Up to so many nodes of a matrix or a list are shown one by one. */
const foldedAbove = 20
const failuresShown = 20

/** What a person looks at in an execution of thousands: a matrix or a list as one, and of its nodes those that failed or run. */
export function foldNodes(nodes: readonly LightNode[]): Folding {
  const members = new Map<string, LightNode[]>()
  for (const node of nodes) {
    if (node.kind !== 'step' || !node.id.includes('@')) continue
    const name = declaredName(node.id)
    const group = members.get(name)
    if (group) group.push(node)
    else members.set(name, [node])
  }
  for (const [name, group] of members) if (group.length <= foldedAbove) members.delete(name)
  const shownAs = (id: string): string => {
    const name = declaredName(id)
    return name !== id && members.has(name) && !id.endsWith('@champion') ? name : id
  }
  const groups = new Map([...members].map(([name, group]) => [name, fold(name, group, shownAs)]))
  const visible = new Set([...members.values()].flatMap(worthALook))
  const isShown = ({ id }: LightNode) => shownAs(id) === id || visible.has(id)
  return { shown: nodes.filter(isShown).map(({ id }) => id), groups, shownAs }
}

const isActive = ({ state }: LightNode): boolean => state === 'running' || state === 'starting'

const worthALook = (group: readonly LightNode[]): string[] => [
  ...group
    .filter(({ state }) => state === 'failed')
    .slice(0, failuresShown)
    .map(({ id }) => id),
  ...group
    .filter(isActive)
    .slice(0, failuresShown)
    .map(({ id }) => id),
]

function fold(id: string, group: readonly LightNode[], shownAs: (id: string) => string): Folded {
  const states: Partial<Record<NodeState, number>> = {}
  let [startedAt, endedAt]: (EpochMs | undefined)[] = []
  for (const node of group) {
    states[node.state] = (states[node.state] ?? 0) + 1
    if (node.startedAt !== undefined) startedAt = Math.min(startedAt ?? node.startedAt, node.startedAt)
    if (node.endedAt !== undefined) endedAt = Math.max(endedAt ?? node.endedAt, node.endedAt)
  }
  const state = stateOf(states)
  const after = [...new Set(group.map((node) => node.after))].flatMap((text) => JSON.parse(text) as string[])
  const over = state !== 'running' && state !== 'waiting'
  return {
    id,
    state,
    after: [...new Set(after.map(shownAs))],
    of: group.length,
    states,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(endedAt === undefined || !over ? {} : { endedAt }),
  }
}

/** The state of many as one: what still goes on before what is over, what went wrong before what went well. */
function stateOf(states: Folded['states']): NodeState {
  if (states.running || states.starting) return 'running'
  // Between two of its nodes a group has begun and not ended.
  if (states.waiting) return Object.keys(states).length > 1 ? 'running' : 'waiting'
  for (const state of ['failed', 'cancelled', 'succeeded', 'reused'] as const) if (states[state]) return state
  return 'skipped'
}
