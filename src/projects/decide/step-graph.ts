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
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (name: string): string[] | undefined => {
    const seen = trail.indexOf(name)
    if (seen >= 0) return [...trail.slice(seen), name].reverse()
    if (done.has(name)) return undefined
    trail.push(name)
    for (const before of upstream.get(name) ?? []) {
      const cycle = visit(before)
      if (cycle) return cycle
    }
    trail.pop()
    done.add(name)
    return undefined
  }
  for (const name of upstream.keys()) {
    const cycle = visit(name)
    if (cycle) return cycle
  }
  return undefined
}
