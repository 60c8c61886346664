import { Graph, layout } from '@dagrejs/dagre'

export type Box = { id: string; after: readonly string[]; durationMs?: number }
export type Placed = { id: string; x: number; y: number }
export type Line = { from: string; to: string; points: { x: number; y: number }[]; critical: boolean }
export type Layout = { width: number; height: number; boxes: Placed[]; lines: Line[] }

export const boxWidth = 188
export const boxHeight = 56

/** Left to right, in pixels; only lines that say something new are kept. */
export function layOut(boxes: readonly Box[]): Layout {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'LR', nodesep: 14, ranksep: 44, marginx: 16, marginy: 16 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { id } of boxes) graph.setNode(id, { width: boxWidth, height: boxHeight })
  const edges = withoutShortcuts(boxes)
  for (const [from, to] of edges) graph.setEdge(from, to)
  layout(graph)
  const critical = criticalPath(boxes)
  const { width = 0, height = 0 } = graph.graph()
  return {
    width,
    height,
    boxes: boxes.map(({ id }) => {
      const { x, y } = graph.node(id)
      return { id, x: x - boxWidth / 2, y: y - boxHeight / 2 }
    }),
    lines: edges.map(([from, to]) => ({
      from,
      to,
      points: graph.edge(from, to).points ?? [],
      critical: critical.has(from) && critical.has(to),
    })),
  }
}

/** Transitive reduction: a → c is left out where a → b → c says it already. */
export function withoutShortcuts(boxes: readonly Box[]): [string, string][] {
  const before = new Map<string, Set<string>>()
  const known = new Map(boxes.map((box) => [box.id, box]))
  const allBefore = (id: string): Set<string> => {
    const done = before.get(id)
    if (done) return done
    const all = new Set<string>()
    before.set(id, all)
    for (const direct of known.get(id)?.after ?? []) {
      if (!known.has(direct)) continue
      all.add(direct)
      for (const further of allBefore(direct)) all.add(further)
    }
    return all
  }
  return boxes.flatMap(({ id, after }) =>
    after
      .filter((from) => known.has(from) && !after.some((other) => other !== from && allBefore(other).has(from)))
      .map((from): [string, string] => [from, id]),
  )
}

/** The chain of boxes that took longest: what to shorten if the whole shall be quicker. Empty until something took time. */
export function criticalPath(boxes: readonly Box[]): Set<string> {
  const known = new Map(boxes.map((box) => [box.id, box]))
  const ends = new Map<string, { total: number; via?: string }>()
  const endOf = (id: string): { total: number; via?: string } => {
    const done = ends.get(id)
    if (done) return done
    let longest: { total: number; via?: string } = { total: 0 }
    for (const from of known.get(id)?.after ?? []) {
      if (!known.has(from)) continue
      const { total } = endOf(from)
      if (total > longest.total) longest = { total, via: from }
    }
    const end = {
      total: longest.total + (known.get(id)?.durationMs ?? 0),
      ...(longest.via ? { via: longest.via } : {}),
    }
    ends.set(id, end)
    return end
  }
  let last: string | undefined
  let most = 0
  for (const { id } of boxes) {
    const { total } = endOf(id)
    if (total > most) {
      most = total
      last = id
    }
  }
  const path = new Set<string>()
  for (let id = last; id !== undefined; id = ends.get(id)?.via) path.add(id)
  return path
}

/** From the middle of one box's right side to the middle of the other's left, around what lies between. */
export function curve({ from, to, points }: Line, places: ReadonlyMap<string, Placed>): string {
  const [a, b] = [places.get(from), places.get(to)]
  if (!a || !b) return ''
  const start = { x: a.x + boxWidth, y: a.y + boxHeight / 2 }
  const end = { x: b.x, y: b.y + boxHeight / 2 }
  let at = start
  let path = `M${start.x},${start.y}`
  for (const next of [...(points.length > 3 ? points.slice(1, -1) : []), end]) {
    const middle = (at.x + next.x) / 2
    path += ` C${middle},${at.y} ${middle},${next.y} ${next.x},${next.y}`
    at = next
  }
  return path
}
