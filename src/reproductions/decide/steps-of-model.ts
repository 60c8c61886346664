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
  const items = nodes.flatMap(({ id, item }) => (item === undefined ? [] : [id]))
  const itemsOf = Map.groupBy(items, (id) => id.slice(0, id.indexOf('@')))
  return new Map(
    nodes.map(({ id, kind, after }) => [id, kind === 'fan-out' ? [...after, ...(itemsOf.get(id) ?? [])] : after]),
  )
}

function turned(edges: Edges): Edges {
  const pairs = [...edges].flatMap(([id, others]) => others.map((other) => ({ id, other })))
  return new Map([...Map.groupBy(pairs, ({ other }) => other)].map(([other, of]) => [other, of.map(({ id }) => id)]))
}

/** The nodes themselves among them. */
function reached(from: readonly string[], edges: Edges): Set<string> {
  const found = new Set(from)
  for (const id of found) for (const next of edges.get(id) ?? []) found.add(next)
  return found
}
