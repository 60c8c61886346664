import { OutIndex } from '../../projects/decide/out-index.ts'
import { upstreamSteps } from '../../projects/decide/step-graph.ts'
import type { ProjectFile } from '../../projects/index.ts'

/** What is asked of a whole pipeline for each of its steps, worked out once per file. */
export type PipelineIndex = {
  /** Answers with the steps that write what a dep names. */
  outs: OutIndex<string>
  upstream: ReadonlyMap<string, readonly string[]>
  /** Model → the step that logs it. */
  loggers: ReadonlyMap<string, string>
  /** Steps that see data, themselves or through others. */
  seesData: ReadonlySet<string>
}

const known = new WeakMap<ProjectFile['steps'], PipelineIndex>()

export function pipelineIndex({ steps }: Pick<ProjectFile, 'steps'>): PipelineIndex {
  const found = known.get(steps)
  if (found) return found
  const outs = new OutIndex<string>()
  for (const step of Object.values(steps)) for (const out of step.outs) outs.add(out, step.name)
  const upstream = upstreamSteps(steps)
  const loggers = new Map<string, string>()
  for (const { name, model } of Object.values(steps)) if (model) loggers.set(model, name)
  const index = { outs, upstream, loggers, seesData: seeingData(steps, upstream) }
  known.set(steps, index)
  return index
}

function seeingData(
  steps: ProjectFile['steps'],
  upstream: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const downstream = new Map<string, string[]>()
  for (const [name, before] of upstream)
    for (const one of before) {
      const after = downstream.get(one)
      if (after) after.push(name)
      else downstream.set(one, [name])
    }
  const waiting = Object.values(steps)
    .filter((step) => step.deps.some((dep) => dep.kind === 'data'))
    .map(({ name }) => name)
  const seen = new Set<string>()
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    for (const after of downstream.get(name) ?? []) waiting.push(after)
  }
  return seen
}
