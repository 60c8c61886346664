import { type Digest, digestOfJson } from '../../kernel/digest.ts'
import { AppError } from '../../kernel/errors.ts'
import { nearestWord } from '../../kernel/nearest-word.ts'
import { matchesPattern } from '../../projects/decide/path-pattern.ts'
import { renderCommand } from '../../projects/decide/render-command.ts'
import { depSeesOut, isGlob, isInside } from '../../projects/decide/repository-path.ts'
import type { Dep, JsonScalar, ProjectFile, Step } from '../../projects/index.ts'
import type { KeyParts, NodeOutcome, PlanContext, PlanNode, SourceFile } from '../plan.ts'
import { environmentNode } from './graph.ts'

export type KeyFacts = {
  context: PlanContext
  node: PlanNode
  /** Every file of the commit by path; digests only where already known. */
  source: (path: string) => SourceFile | undefined
  /** All paths of the commit, sorted. */
  paths: readonly string[]
  outcomes: ReadonlyMap<string, NodeOutcome>
  /** The values of declared environment variables, as digests. */
  variables: Record<string, Digest | 'unset'>
}

/** The step's parameters with what was set for this execution. */
export function paramsOf(step: Step, set: Readonly<Record<string, JsonScalar>>): Record<string, JsonScalar> {
  const params = { ...step.params }
  for (const name of Object.keys(params)) if (Object.hasOwn(set, name)) params[name] = set[name]!
  return params
}

/**
 * What a step's key is made of. Every node that it comes after must be among `outcomes`.
 * @throws AppError DependencyMissing where a dep names nothing, neither in the commit nor among outputs.
 */
export function keyPartsOf(facts: KeyFacts): KeyParts {
  const { context, node, outcomes } = facts
  const step = context.file.steps[node.step]!
  const params = paramsOf(step, context.set)
  const files: Record<string, string> = {}
  const checks: Record<string, Digest> = {}
  for (const dep of step.deps) {
    if (dep.kind === 'path') Object.assign(files, pathInputs(dep.path, step, facts))
    else if (dep.kind === 'data') {
      const data = context.data[dep.name]!
      files[data.path] = data.digest
      checks[dep.name] = digestOfJson(context.file.data[dep.name]!.checks)
    } else files[`model:${dep.name}`] = modelInput(dep.name, facts)
  }
  const outs = new Set(Object.values(context.file.steps).flatMap((other) => other.outs))
  const environment = outcomes.get(environmentNode)
  return {
    command: renderCommand(step, params),
    files,
    trees: Object.keys(files).filter((path) => outs.has(path)),
    params,
    seed: step.seed,
    environment: environment && 'environment' in environment ? environment.environment : 'none',
    variables: facts.variables,
    outs: step.outs,
    ...(step.model && node.kind === 'step' ? { model: step.model } : {}),
    metrics: step.metrics,
    checks,
    ...(step.always ? { once: context.executionId } : {}),
  }
}

/** The digest of a node's parts as canonical JSON: equal parts, equal key. */
export const keyOf = (parts: KeyParts): Digest => digestOfJson(parts)

/** Files of the commit and outputs of other steps that a path dep names. */
function pathInputs(dep: string, step: Step, facts: KeyFacts): Record<string, string> {
  const found: Record<string, string> = {}
  for (const path of sourcePaths(dep, facts.paths)) {
    const file = facts.source(path)!
    found[path] = file.executable ? `${file.digest} executable` : file.digest
  }
  for (const other of Object.values(facts.context.file.steps)) {
    if (other.name === step.name) continue
    const outcome = facts.outcomes.get(other.name)
    for (const out of other.outs)
      if (depSeesOut(dep, out) && outcome && 'result' in outcome) found[out] = outcome.result.outs[out]!
  }
  if (Object.keys(found).length === 0) throw missingDependency(dep, step, facts.context.file, facts.paths)
  return found
}

/** The commit's files that a path, folder or glob names. */
export const sourcePaths = (dep: string, paths: readonly string[]): string[] =>
  isGlob(dep) ? paths.filter((path) => matchesPattern(path, dep)) : paths.filter((path) => isInside(path, dep))

/**
 * Before anything runs: each path that a step depends on must be in the commit or among what another step writes.
 * @throws AppError DependencyMissing naming the step, the path and the nearest one.
 */
export function refuseMissingDependencies(file: ProjectFile, paths: readonly string[]): void {
  const steps = Object.values(file.steps)
  for (const step of steps) {
    for (const dep of step.deps) {
      if (dep.kind !== 'path' || sourcePaths(dep.path, paths).length > 0) continue
      const written = steps.some((other) => other !== step && other.outs.some((out) => depSeesOut(dep.path, out)))
      if (!written) throw missingDependency(dep.path, step, file, paths)
    }
  }
}

function missingDependency(dep: string, step: Step, file: ProjectFile, paths: readonly string[]): AppError {
  const near = nearestWord(dep, [...paths, ...Object.values(file.steps).flatMap((other) => other.outs)])
  return new AppError(
    'DependencyMissing',
    `Step "${step.name}" depends on "${dep}", but the commit holds no such file and no step writes it.`,
    near
      ? `Did you mean "${near}"? Otherwise commit the file.`
      : 'Commit the file (is it in .gitignore?), or declare it among the outs of the step that writes it.',
  )
}

function modelInput(name: string, facts: KeyFacts): string {
  if (facts.node.kind === 'champion evaluation') return facts.context.champions[name]!.tree
  const producer = Object.values(facts.context.file.steps).find((step) => step.model === name)
  const outcome = producer && facts.outcomes.get(producer.name)
  if (outcome && 'result' in outcome && outcome.result.model) return outcome.result.model.tree
  throw new AppError(
    'DependencyMissing',
    `Step "${facts.node.step}" takes model:${name}, but no step of the pipeline logs it.`,
    `Write model: ${name} on the step that logs it.`,
  )
}

/** Which paths of the commit a step's key needs the content of. */
export function neededPaths(deps: readonly Dep[], paths: readonly string[]): string[] {
  return deps.flatMap((dep) => (dep.kind === 'path' ? sourcePaths(dep.path, paths) : []))
}
