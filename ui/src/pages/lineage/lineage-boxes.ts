import type { Lineage, LineageThing } from '../../data/queries.ts'

/** One thing, or several of a kind that stand between the same others. */
export type LineageBox = { id: string; after: string[] } & ({ thing: LineageThing } | { stack: LineageThing[] })

/** So many of a kind side by side are still read at a glance. */
const sideBySide = 4

/** What to draw: alike things as one box unless it was opened, and lines that never lead in a circle. */
export function boxesOf(
  { things, lines }: Pick<Lineage, 'things' | 'lines'>,
  opened: ReadonlySet<string>,
): LineageBox[] {
  const straight = withoutCircles(
    things.map(({ id }) => id),
    lines,
  )
  const stacks = stacksIn(things, straight).filter(({ id }) => !opened.has(id))
  const boxOf = new Map(stacks.flatMap(({ id, members }) => members.map((member) => [member.id, id] as const)))
  const boxId = (id: string) => boxOf.get(id) ?? id
  const after = new Map<string, Set<string>>()
  for (const { from, to } of straight) {
    const known = after.get(boxId(to)) ?? new Set()
    after.set(boxId(to), known.add(boxId(from)))
  }
  const box = (id: string) => ({ id, after: [...(after.get(id) ?? [])] })
  return [
    ...things.filter(({ id }) => !boxOf.has(id)).map((thing) => ({ ...box(thing.id), thing })),
    ...stacks.map(({ id, members }) => ({ ...box(id), stack: members })),
  ]
}

type Lines = Lineage['lines']

function stacksIn(things: readonly LineageThing[], lines: Lines): { id: string; members: LineageThing[] }[] {
  const around = new Map<string, string[]>()
  const note = (id: string, text: string) => around.set(id, [...(around.get(id) ?? []), text])
  for (const { from, to } of lines) {
    note(from, `> ${to}`)
    note(to, `< ${from}`)
  }
  const groups = new Map<string, LineageThing[]>()
  for (const thing of things) {
    if (thing.asked) continue
    const key = JSON.stringify([thing.kind, (around.get(thing.id) ?? []).sort()])
    groups.set(key, [...(groups.get(key) ?? []), thing])
  }
  return [...groups.values()]
    .filter((members) => members.length > sideBySide)
    .map((members) => ({ id: `stack ${members[0]!.id}`, members }))
}

/** A line that would close a circle is left out: a drawing from left to right has no place for it. */
function withoutCircles(ids: readonly string[], lines: Lines): Lines {
  const next = new Map<string, string[]>()
  for (const { from, to } of lines) next.set(from, [...(next.get(from) ?? []), to])
  const state = new Map<string, 'open' | 'done'>()
  const left = new Set<string>()
  const visit = (id: string): void => {
    state.set(id, 'open')
    for (const to of next.get(id) ?? []) {
      if (state.get(to) === 'open') left.add(`${id}\n${to}`)
      else if (!state.has(to)) visit(to)
    }
    state.set(id, 'done')
  }
  for (const id of ids) if (!state.has(id)) visit(id)
  return lines.filter(({ from, to }) => !left.has(`${from}\n${to}`))
}

/** How a thing is asked for, on this page and in a terminal. */
export function askedAs({ kind, name, ref }: LineageThing): string {
  const digits = ref.replace(/^sha256:/, '').slice(0, 12)
  switch (kind) {
    case 'data':
      return `${name.replace(/^data /, '')}@${digits}`
    case 'file':
      return `${name}@${digits}`
    case 'version':
      return name.replace(/ v(\d+)$/, '@$1')
    case 'deployment':
      return `deployment:${name.slice(0, name.indexOf(':'))}`
    case 'environment':
      return `lock:${digits}`
    case 'commit':
      return `commit:${ref.slice(0, 12)}`
    default:
      return ref
  }
}
