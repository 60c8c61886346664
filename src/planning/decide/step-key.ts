import { type Digest, digestOfJson } from '../../kernel/digest.ts'
import { AppError } from '../../kernel/errors.ts'
import { nearestWord } from '../../kernel/nearest-word.ts'
import { renderCommand } from '../../projects/decide/render-command.ts'
import { depSeesOut } from '../../projects/decide/repository-path.ts'
import type { Dep, JsonScalar, ProjectFile, Step } from '../../projects/index.ts'
import type { KeyParts, NodeOutcome, PlanContext, PlanNode, SourceFile } from '../plan.ts'
import { canonicalCommand } from './canonical-command.ts'
import { environmentNode } from './graph.ts'
import type { PathIndex } from './path-index.ts'
import { pipelineIndex } from './pipeline-index.ts'

export type KeyFacts = {
  context: PlanContext
  node: PlanNode
  /** Every file of the commit by path; digests only where already known. */
  source: (path: string) => SourceFile | undefined
  /** All paths of the commit. */
  paths: PathIndex
  outcomes: ReadonlyMap<string, NodeOutcome>
  /** The values of declared environment variables, as digests. */
  variables: Record<string, Digest | 'unset'>
  /** Files of the commit that the step's Python code imports and its deps do not name → the file that imports them. */
  imported: ReadonlyMap<string, string>
  /** Files of which the step names some parameters → what it finds in their place. */
  paramFiles: ReadonlyMap<string, Digest>
  /** Folders of editable projects, on Python's path. */
  packageFolders: readonly string[]
  /** This machine's operating system and processor. */
  platform: string
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
  const { seesData } = pipelineIndex(context.file)
  const trees = new Set<string>()
  const files: Record<string, string> = {}
  const checks: Record<string, Digest> = {}
  for (const dep of step.deps) {
    if (dep.kind === 'path') Object.assign(files, pathInputs(dep.path, step, facts, trees))
    else if (dep.kind === 'data') {
      const data = context.data[dep.name]!
      files[data.path] = data.digest
      checks[dep.name] = digestOfJson(context.file.data[dep.name]!.checks)
    } else files[`model:${dep.name}`] = modelInput(dep.name, facts)
  }
  const imported = [...facts.imported].filter(([path]) => !Object.hasOwn(files, path))
  for (const [path] of imported) files[path] = contentOf(facts.source(path)!)
  for (const [path, digest] of facts.paramFiles) files[path] = digest
  const environment = outcomes.get(environmentNode)
  return {
    command: commandOf(step, params),
    files,
    trees: Object.keys(files).filter((path) => trees.has(path)),
    params,
    seed: step.seed,
    environment: environment && 'environment' in environment ? environment.environment : 'none',
    variables: facts.variables,
    outs: step.outs,
    ...(step.model && node.kind === 'step' ? { model: step.model } : {}),
    metrics: step.metrics,
    checks,
    ...(step.always ? { once: `${context.executionId} ${node.id}` } : {}),
    ...(step.platform ? { platform: facts.platform } : {}),
    ...(step.isolated ? {} : { checkout: context.commit }),
    ...(context.sample !== undefined && seesData.has(step.name) ? { sample: context.sample } : {}),
    ...(facts.packageFolders.length > 0 ? { pythonPath: [...facts.packageFolders] } : {}),
    told: {
      template: canonicalCommand(step.run),
      imported: Object.fromEntries(imported),
      ...(facts.paramFiles.size > 0 ? { narrowed: [...facts.paramFiles.keys()] } : {}),
    },
  }
}

/** What sh is given: the step's line with its parameters filled in. */
export const commandOf = (step: Step, params: Readonly<Record<string, JsonScalar>>): string =>
  canonicalCommand(renderCommand(step, params))

/** The digest of a node's parts as canonical JSON, without what is there for people alone: equal parts, equal key. */
export const keyOf = ({ told: _, ...parts }: KeyParts): Digest => digestOfJson(parts)

const contentOf = (file: SourceFile): string => (file.executable ? `${file.digest} executable` : file.digest)

/** Files of the commit and outputs of other steps that a path dep names; which of them are outputs is noted in `trees`. */
function pathInputs(dep: string, step: Step, facts: KeyFacts, trees: Set<string>): Record<string, string> {
  const found: Record<string, string> = {}
  for (const path of facts.paths.named(dep)) found[path] = contentOf(facts.source(path)!)
  let joinsNothing = false
  for (const writer of pipelineIndex(facts.context.file).outs.seenBy(dep)) {
    const outcome = writer === step.name ? undefined : facts.outcomes.get(writer)
    // An empty list is a list: what joins it finds nothing, and that is no mistake.
    if (outcome && 'joined' in outcome) joinsNothing = true
    if (!outcome || !('result' in outcome)) continue
    for (const [out, tree] of Object.entries(outcome.result.outs)) {
      if (!depSeesOut(dep, out)) continue
      found[out] = tree
      trees.add(out)
    }
  }
  if (Object.keys(found).length === 0 && !joinsNothing)
    throw missingDependency(dep, step, facts.context.file, facts.paths)
  return found
}

/**
 * Before anything runs: each path that a step depends on, its notebook too, must be in the commit or among what another step writes.
 * @throws AppError DependencyMissing naming the step, the path and the nearest one.
 */
export function refuseMissingDependencies(file: ProjectFile, paths: PathIndex): void {
  const { outs } = pipelineIndex(file)
  for (const step of Object.values(file.steps)) {
    const named = step.deps.flatMap((dep) => (dep.kind === 'path' ? [dep.path] : []))
    for (const path of step.notebook === undefined ? named : [step.notebook, ...named]) {
      if (paths.named(path).length > 0) continue
      const written = outs.seenBy(path).some((name) => name !== step.name)
      if (!written) throw missingDependency(path, step, file, paths)
    }
  }
}

function missingDependency(dep: string, step: Step, file: ProjectFile, { paths }: PathIndex): AppError {
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
  const producer = pipelineIndex(facts.context.file).loggers.get(name)
  const outcome = producer === undefined ? undefined : facts.outcomes.get(producer)
  if (outcome && 'result' in outcome && outcome.result.model) return outcome.result.model.tree
  throw new AppError(
    'DependencyMissing',
    `Step "${facts.node.step}" takes model:${name}, but no step of the pipeline logs it.`,
    `Write model: ${name} on the step that logs it.`,
  )
}

/** The files of the commit that a step's deps name. */
export function declaredPaths(deps: readonly Dep[], paths: PathIndex): string[] {
  return deps.flatMap((dep) => (dep.kind === 'path' ? paths.named(dep.path) : []))
}
