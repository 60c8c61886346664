import type { Dep, Step } from '../project-file.ts'
import { OutIndex } from './out-index.ts'

/**
 * For each step the names of the steps that it waits for, in the file's order: whose outputs or models it reads, who writes the list
 * of its `foreach:`, and whose metrics its `when:` asks for.
 */
export function upstreamSteps(
  steps: Readonly<Record<string, Step>>,
  makers: Makers = makersOf(Object.values(steps)),
): Map<string, string[]> {
  const all = Object.values(steps)
  const place = new Map(all.map((step, index) => [step.name, index]))
  const inOrder = (names: Iterable<string>) => [...new Set(names)].sort((a, b) => place.get(a)! - place.get(b)!)
  return new Map(
    all.map((step) => [
      step.name,
      inOrder([...readsOf(step).flatMap((dep) => makers(dep)), ...asksFor(step).filter((name) => place.has(name))]),
    ]),
  )
}

/** What a step reads beside what its author listed: the list of its `foreach:`. */
const readsOf = (step: Step): Dep[] =>
  step.foreach ? [...step.deps, { kind: 'path', path: step.foreach.list }] : step.deps

const asksFor = (step: Step): string[] => step.when.flatMap((one) => (one.kind === 'metric' ? [one.step] : []))

export type Makers = (dep: Dep) => readonly string[]

/** Who makes what a dep names. */
export function makersOf(steps: readonly Step[]): Makers {
  const outs = new OutIndex<string>()
  const models = new Map<string, string[]>()
  for (const step of steps) {
    for (const out of step.outs) outs.add(out, step.name)
    if (step.model) models.set(step.model, [...(models.get(step.model) ?? []), step.name])
  }
  return (dep) => {
    if (dep.kind === 'data') return []
    return dep.kind === 'model' ? (models.get(dep.name) ?? []) : outs.seenBy(dep.path)
  }
}

/** One cycle of the graph as names in order, the first one repeated at the end; undefined where there is none. */
export function findCycle(upstream: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const stuck = waitingForEachOther(upstream)
  const [first] = stuck
  if (first === undefined) return undefined
  // Whoever is stuck waits for somebody who is stuck: following that leads into a cycle.
  const trail = new Map<string, number>()
  let name = first
  while (!trail.has(name)) {
    trail.set(name, trail.size)
    name = upstream.get(name)!.find((before) => stuck.has(before))!
  }
  return [...[...trail.keys()].slice(trail.get(name)), name].reverse()
}

/** What is left when everything that can go first has gone (Kahn); no recursion, because a chain may be long. */
function waitingForEachOther(upstream: ReadonlyMap<string, readonly string[]>): Set<string> {
  const stuck = new Set(upstream.keys())
  const waitsFor = new Map([...upstream].map(([name, before]) => [name, before.length]))
  const downstream = new Map<string, string[]>()
  for (const [name, before] of upstream)
    for (const b of before) {
      const after = downstream.get(b)
      if (after) after.push(name)
      else downstream.set(b, [name])
    }
  const ready = [...stuck].filter((name) => waitsFor.get(name) === 0)
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    stuck.delete(name)
    for (const next of downstream.get(name) ?? []) {
      waitsFor.set(next, waitsFor.get(next)! - 1)
      if (waitsFor.get(next) === 0) ready.push(next)
    }
  }
  return stuck
}
