import type { Dep, Step } from '../project-file.ts'
import { depSeesOut } from './repository-path.ts'

/** For each step the names of the steps whose outputs or models it reads, in the file's order. */
export function upstreamSteps(steps: Readonly<Record<string, Step>>): Map<string, string[]> {
  const all = Object.values(steps)
  return new Map(
    all.map((step) => [
      step.name,
      all.filter((other) => step.deps.some((dep) => makes(other, dep))).map((other) => other.name),
    ]),
  )
}

const makes = (step: Step, dep: Dep): boolean => {
  if (dep.kind === 'model') return step.model === dep.name
  return dep.kind === 'path' && step.outs.some((out) => depSeesOut(dep.path, out))
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
  for (const [name, before] of upstream) for (const b of before) downstream.set(b, [...(downstream.get(b) ?? []), name])
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
