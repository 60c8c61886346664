import type { ExecutionNode } from '../data/queries.ts'

/** Steps that stand side by side: all after the same, all before the same. Shown as one box until it is opened. */
export type Stack = { id: string; name: string; members: ExecutionNode[]; after: string[] }
export type Drawn = { id: string; after: string[]; node: ExecutionNode } | { id: string; after: string[]; stack: Stack }

/** So many side by side are still read at a glance. */
const sideBySide = 6

/** What to draw of the steps: large groups of alike steps as one stack, unless the viewer opened it. */
export function folded(nodes: readonly ExecutionNode[], opened: ReadonlySet<string>): Drawn[] {
  const stackOf = new Map<string, Stack>()
  const stacks = stacksIn(nodes).filter(({ id }) => !opened.has(id))
  for (const stack of stacks) for (const { id } of stack.members) stackOf.set(id, stack)
  const drawnAs = (ids: readonly string[]) => [...new Set(ids.map((id) => stackOf.get(id)?.id ?? id))]
  return [
    ...nodes.filter(({ id }) => !stackOf.has(id)).map((node) => ({ id: node.id, after: drawnAs(node.after), node })),
    ...stacks.map((stack) => ({ id: stack.id, after: drawnAs(stack.after), stack })),
  ]
}

function stacksIn(nodes: readonly ExecutionNode[]): Stack[] {
  const before = new Map<string, string[]>()
  for (const { id, after } of nodes) for (const from of after) before.set(from, [...(before.get(from) ?? []), id])
  const groups = new Map<string, ExecutionNode[]>()
  for (const node of nodes) {
    const key = JSON.stringify([node.kind, [...node.after].sort(), [...(before.get(node.id) ?? [])].sort()])
    groups.set(key, [...(groups.get(key) ?? []), node])
  }
  return [...groups.values()]
    .filter((members) => members.length > sideBySide)
    .map((members) => ({
      id: `stack ${members[0]!.id}`,
      name: commonStart(members.map(({ id }) => id)),
      members,
      after: members[0]!.after,
    }))
}

function commonStart(names: readonly string[]): string {
  let start = names[0] ?? ''
  for (const name of names) while (!name.startsWith(start)) start = start.slice(0, -1)
  return start ? `${start.replace(/[-_.@]$/, '')}…` : 'steps'
}
