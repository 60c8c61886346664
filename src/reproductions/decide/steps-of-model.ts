import type { ExecutionNode } from '../../executions/index.ts'

type Made = Pick<ExecutionNode, 'id' | 'kind' | 'after' | 'item' | 'result'>
type Edges = ReadonlyMap<string, readonly string[]>

/**
 * The nodes of an execution that say whether a model was made again: what made it, all that this needs, and what came of it with all that
 * that needs. What hangs on another model as well, which it does not itself come from, says nothing about it. Undefined where no step
 * logged the model.
 */
export function stepsOfModel(nodes: readonly Made[], model: string): ReadonlySet<string> | undefined {
  const maker = nodes.find(({ kind, result }) => kind === 'step' && result?.model?.name === model)
  if (!maker) return undefined
  const before = edgesOf(nodes)
  const after = turned(before)
  const origins = reached([maker.id], before)
  const others = nodes.filter(({ id, result }) => result?.model && result.model.name !== model && !origins.has(id))
  const foreign = reached(
    others.map(({ id }) => id),
    after,
  )
  const led = [...reached([maker.id], after)].filter((id) => !foreign.has(id))
  return reached([maker.id, ...led], before)
}

/** What each node waits for; a fan-out waits for its items. */
function edgesOf(nodes: readonly Made[]): Edges {
  const items = new Map<string, string[]>()
  for (const { id, item } of nodes) {
    if (item === undefined) continue
    const list = id.slice(0, id.indexOf('@'))
    const known = items.get(list)
    if (known) known.push(id)
    else items.set(list, [id])
  }
  return new Map(
    nodes.map(({ id, kind, after }) => [id, kind === 'fan-out' ? [...after, ...(items.get(id) ?? [])] : after]),
  )
}

function turned(edges: Edges): Edges {
  const back = new Map<string, string[]>()
  for (const [id, others] of edges)
    for (const other of others) {
      const known = back.get(other)
      if (known) known.push(id)
      else back.set(other, [id])
    }
  return back
}

/** The nodes themselves among them. */
function reached(from: readonly string[], edges: Edges): Set<string> {
  const found = new Set(from)
  for (const id of found) for (const next of edges.get(id) ?? []) found.add(next)
  return found
}
