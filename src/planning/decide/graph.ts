import type { BoundsExpr } from '../../kernel/bound.ts'
import { upstreamSteps } from '../../projects/decide/step-graph.ts'
import type { ProjectFile } from '../../projects/index.ts'
import type { PlanNode } from '../plan.ts'
import { pipelineIndex } from './pipeline-index.ts'

export const environmentNode = 'environment'

const dataPrefix = 'data:'
/** The node in which a dataset is fetched from its address. No step has a colon in its name. */
export const dataNode = (dataset: string): string => dataPrefix + dataset
export const datasetOf = ({ id }: Pick<PlanNode, 'id'>): string => id.slice(dataPrefix.length)

/** The node in which a step runs once more, for the champion. */
export const championNode = (step: string): string => `${step}@champion`

/**
 * The nodes of a project file in an order in which each comes after those that it waits for. With `only`, that step and what it
 * needs. `champions`: names of models for which there is a champion to compare with; `awaited`: datasets that are fetched first.
 */
export function graphOf(
  file: ProjectFile,
  options: { only?: string; champions: readonly string[]; awaited?: readonly string[] },
): PlanNode[] {
  const { upstream } = pipelineIndex(file)
  const wanted = options.only ? withUpstream(stepsNamed(file, options.only), upstream) : new Set(upstream.keys())
  const environment = file.python ? [environmentNode] : []
  const nodes: PlanNode[] = file.python
    ? [{ id: environmentNode, kind: 'environment', step: environmentNode, after: [] }]
    : []
  const awaited = new Set(options.awaited ?? [])
  for (const dataset of awaited) {
    const id = dataNode(dataset)
    if ([...wanted].some((step) => dataOf(file, step).includes(dataset)))
      nodes.push({ id, kind: 'data', step: id, after: [] })
  }
  for (const step of inOrder(upstream)) {
    if (!wanted.has(step)) continue
    const fetched = dataOf(file, step)
      .filter((dataset) => awaited.has(dataset))
      .map(dataNode)
    const before = [...fetched, ...(upstream.get(step) ?? [])]
    const kind = file.steps[step]?.foreach ? 'fan-out' : 'step'
    nodes.push({ id: step, kind, step, after: [...environment, ...before] })
    const model = championFor(file, step, options.champions)
    if (model === undefined) continue
    // The champion needs the candidate's rows, but not the candidate.
    const rows = before.filter((name) => file.steps[name]?.model !== model || sharesOuts(file, name, step))
    nodes.push({ id: championNode(step), kind: 'champion evaluation', step, after: [...environment, ...rows] })
  }
  return nodes
}

const dataOf = (file: ProjectFile, step: string): string[] =>
  (file.steps[step]?.deps ?? []).flatMap((dep) => (dep.kind === 'data' ? [dep.name] : []))

/** The model whose champion the step must evaluate: it takes the model, and a gate compares one of the step's metrics. */
function championFor(file: ProjectFile, step: string, champions: readonly string[]): string | undefined {
  for (const dep of file.steps[step]?.deps ?? []) {
    if (dep.kind !== 'model' || !champions.includes(dep.name)) continue
    const objectives = file.models[dep.name]?.gate?.objectives ?? []
    const compares = objectives.some((o) => o.step === step && [o.pass, o.warn].some((b) => b && namesChampion(b)))
    if (compares) return dep.name
  }
  return undefined
}

function namesChampion(bounds: BoundsExpr): boolean {
  if ('all' in bounds) return bounds.all.some(namesChampion)
  if ('any' in bounds) return bounds.any.some(namesChampion)
  return bounds.target.kind === 'champion'
}

const sharesOuts = (file: ProjectFile, producer: string, step: string): boolean => {
  const without = { ...file.steps[step]!, deps: file.steps[step]!.deps.filter((dep) => dep.kind === 'path') }
  return (upstreamSteps({ [producer]: file.steps[producer]!, [step]: without }).get(step) ?? []).includes(producer)
}

/** A step, or all that a matrix makes of it. */
export const stepsNamed = ({ steps }: Pick<ProjectFile, 'steps'>, name: string): string[] =>
  Object.hasOwn(steps, name) ? [name] : Object.keys(steps).filter((step) => steps[step]?.matrix?.of === name)

function withUpstream(steps: readonly string[], upstream: ReadonlyMap<string, readonly string[]>): Set<string> {
  const wanted = new Set<string>()
  const waiting = [...steps]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (wanted.has(name)) continue
    wanted.add(name)
    waiting.push(...(upstream.get(name) ?? []))
  }
  return wanted
}

/** Topological, and among equals in the file's order. The file is known to have no cycle; no recursion, because a chain may be long. */
function inOrder(upstream: ReadonlyMap<string, readonly string[]>): string[] {
  const placed = new Set<string>()
  const trail = [...upstream.keys()].reverse()
  for (let name = trail.at(-1); name !== undefined; name = trail.at(-1)) {
    const open = (upstream.get(name) ?? []).filter((before) => !placed.has(before))
    trail.push(...open.reverse())
    if (open.length > 0) continue
    placed.add(name)
    trail.pop()
  }
  return [...placed]
}
