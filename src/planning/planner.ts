import type { ArtifactService } from '../artifacts/index.ts'
import { type Digest, digestOf, digestOfJson } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { Clock } from '../ports/clock.ts'
import type { EnvironmentLock, EnvironmentRequest, Environments } from '../ports/environments.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Quarantine } from '../ports/repository.ts'
import type { JsonScalar, ProjectFile, ProjectsService } from '../projects/index.ts'
import { graphOf } from './decide/graph.ts'
import { keyOf, keyPartsOf, neededPaths, refuseMissingDependencies } from './decide/step-key.ts'
import { whyItRuns } from './decide/why-it-runs.ts'
import type {
  Champion,
  DataInput,
  NodeDecision,
  NodeOutcome,
  Plan,
  PlanContext,
  PlanNode,
  PlannedNode,
  StepResult,
} from './plan.ts'
import type { PlanStore } from './plan-store.ts'
import type { CommitFiles, SourceReader } from './source-reader.ts'

type Parts = {
  projects: ProjectsService
  artifacts: ArtifactService
  objects: ObjectStore
  environments: Environments
  sources: SourceReader
  store: PlanStore
  clock: Clock
  /** The registered version with that manifest, as a champion. */
  championByDigest: (digest: Digest) => Promise<Champion | undefined>
  /** The server's own environment variables that steps may declare. */
  variable: (name: string) => string | undefined
}

export type PlanRequest = {
  project: string
  commit: CommitId
  executionId: string
  set?: Record<string, JsonScalar>
  only?: string
  quarantine?: Quarantine
}

/** Commit + what is known → which steps run, which are reused, which are decided later, and why. */
export class Planner {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Fixes what an execution is made from: file, parameters, datasets, champions. */
  async contextFor(request: PlanRequest): Promise<PlanContext> {
    const { project, commit, quarantine } = request
    const { file } = await this.#parts.projects.fileAt(project, commit, quarantine)
    if (file.project !== project)
      throw new AppError(
        'ConfigInvalid',
        `modelwright.yaml says project: ${file.project}, but this is the remote of "${project}".`,
        `Write project: ${project}, or push to the remote of ${file.project}.`,
      )
    const set = request.set ?? {}
    refuseUnknownParams(file, set)
    refuseUnknownStep(file, request.only)
    const files = await this.#parts.sources.filesOf(project, commit, quarantine)
    refuseMissingDependencies(file, files.paths)
    return {
      project,
      commit,
      file,
      set,
      data: await this.#dataOf(project, file, files),
      champions: await this.#championsOf(project, file),
      executionId: request.executionId,
    }
  }

  async plan(request: PlanRequest): Promise<{ plan: Plan; context: PlanContext }> {
    const context = await this.contextFor(request)
    const outcomes = new Map<string, NodeOutcome>()
    const nodes: PlannedNode[] = []
    for (const node of graphOf(context.file, {
      ...(request.only ? { only: request.only } : {}),
      champions: Object.keys(context.champions),
    })) {
      const decision = await this.decide(context, node, outcomes, request.quarantine)
      nodes.push({ ...node, decision })
      const outcome = outcomeIn(decision)
      if (outcome) outcomes.set(node.id, outcome)
    }
    return { plan: { project: context.project, commit: context.commit, nodes }, context }
  }

  /** One node, from the outcomes of those before it; asked again each time one of them has ended. */
  async decide(
    context: PlanContext,
    node: PlanNode,
    outcomes: ReadonlyMap<string, NodeOutcome>,
    quarantine?: Quarantine,
  ): Promise<NodeDecision> {
    if (node.kind === 'environment') return this.#decideEnvironment(context, quarantine)
    const open = node.after.filter((id) => !outcomes.has(id))
    if (open.length > 0) return { outcome: 'decided later', after: open, reasons: [`waits for ${open.join(', ')}`] }
    const files = await this.#parts.sources.filesOf(context.project, context.commit, quarantine)
    const step = context.file.steps[node.step]!
    await files.load(neededPaths(step.deps, files.paths))
    const parts = keyPartsOf({
      context,
      node,
      outcomes,
      paths: files.paths,
      source: files.source,
      variables: this.#variables(step.env),
    })
    const key = keyOf(parts)
    const result = await this.#parts.store.result(key)
    if (result && (await this.#isWhole(result)))
      return { outcome: 'reused', key, parts, result, reasons: ['nothing that it takes has changed'] }
    const earlier = await this.#parts.store.newestParts(context.project, node.id)
    return { outcome: 'runs', key, parts, reasons: whyItRuns(parts, earlier) }
  }

  /** The lock of the project's environment at that commit, if it was resolved before. */
  async environmentRequest(
    context: Pick<PlanContext, 'project' | 'commit' | 'file'>,
    quarantine?: Quarantine,
  ): Promise<EnvironmentRequest | undefined> {
    const python = context.file.python
    if (!python) return undefined
    const files = await this.#parts.sources.filesOf(context.project, context.commit, quarantine)
    const requirements = await files.read(python.requirements)
    if (requirements === undefined)
      throw new AppError(
        'DependencyMissing',
        `python.requirements names "${python.requirements}", but the commit holds no such file.`,
        'Commit it, or name another file.',
      )
    return {
      ...(python.version ? { pythonVersion: python.version } : {}),
      requirements: new TextDecoder().decode(requirements),
    }
  }

  async knownLock(request: EnvironmentRequest): Promise<EnvironmentLock | undefined> {
    return this.#parts.store.environmentLock(digestOfJson(request))
  }

  async rememberLock(request: EnvironmentRequest, lock: EnvironmentLock): Promise<EnvironmentLock> {
    return this.#parts.store.rememberLock(digestOfJson(request), lock, this.#parts.clock.now())
  }

  async lockByDigest(digest: Digest): Promise<EnvironmentLock | undefined> {
    return this.#parts.store.lockByDigest(digest)
  }

  async #decideEnvironment(context: PlanContext, quarantine?: Quarantine): Promise<NodeDecision> {
    const request = (await this.environmentRequest(context, quarantine))!
    const lock = await this.knownLock(request)
    if (!lock)
      return { outcome: 'runs', key: digestOfJson(request), reasons: ['these requirements were never locked here'] }
    const stands = await this.#parts.environments.find(lock.digest)
    if (stands) return { outcome: 'reused', key: lock.digest, reasons: [`Python ${lock.pythonVersion}, locked`] }
    return { outcome: 'runs', key: lock.digest, reasons: ['locked, but not built here'] }
  }

  #variables(names: readonly string[]): Record<string, Digest | 'unset'> {
    return Object.fromEntries(
      names.map((name) => {
        const value = this.#parts.variable(name)
        return [name, value === undefined ? 'unset' : digestOf(value)]
      }),
    )
  }

  /** A hit whose bytes are gone is no hit. */
  async #isWhole(result: StepResult): Promise<boolean> {
    const trees = [...Object.values(result.outs), ...(result.model ? [result.model.tree] : [])]
    for (const tree of trees) {
      if (!(await this.#parts.objects.has(tree))) return false
      const { files } = await this.#parts.artifacts.tree(tree)
      for (const file of files) if (!(await this.#parts.objects.has(file.digest))) return false
    }
    return true
  }

  async #dataOf(project: string, file: ProjectFile, files: CommitFiles): Promise<Record<string, DataInput>> {
    const inputs: Record<string, DataInput> = {}
    for (const [dataset, source] of Object.entries(file.data)) {
      await files.load([source.path])
      const found = files.source(source.path)
      if (!found) {
        const near = nearestWord(source.path, files.paths)
        throw new AppError(
          'DependencyMissing',
          `data.${dataset}.path names "${source.path}", but the commit holds no such file.`,
          near ? `Did you mean "${near}"?` : 'Commit it (is it in .gitignore?), or name another file.',
        )
      }
      const { digest, size } = source.plus
        ? await this.#parts.sources.withLabelledRows({ project, dataset, source, base: found })
        : found
      inputs[dataset] = { dataset, path: source.path, digest, size }
    }
    return inputs
  }

  async #championsOf(project: string, file: ProjectFile): Promise<Record<string, Champion>> {
    const champions: Record<string, Champion> = {}
    const deployments = await this.#desiredDeployments(project, file)
    for (const model of Object.keys(file.models)) {
      const digest = championDigest(model, deployments)
      const champion = digest && (await this.#parts.championByDigest(digest))
      if (champion) champions[model] = champion
    }
    return champions
  }

  /** What the authoritative branch says now; before its first push, what the commit itself says. */
  async #desiredDeployments(project: string, file: ProjectFile): Promise<ProjectFile['deployments']> {
    const head = await this.#parts.projects.desiredHead(project)
    if (!head) return file.deployments
    const at = await this.#parts.projects.fileAt(project, head).catch(() => undefined)
    return at?.file.deployments ?? file.deployments
  }
}

/** Production's version where there is an environment of that name, else that of the first environment with the model. */
function championDigest(model: string, deployments: ProjectFile['deployments']): Digest | undefined {
  const production = deployments.production
  if (production?.model === model && production.digest) return production.digest
  return Object.values(deployments).find((deployment) => deployment.model === model && deployment.digest)?.digest
}

/** What a decision already tells to those who wait. */
function outcomeIn(decision: NodeDecision): NodeOutcome | undefined {
  if (decision.outcome !== 'reused') return undefined
  return decision.result ? { result: decision.result } : { environment: decision.key }
}

function refuseUnknownParams(file: ProjectFile, set: Readonly<Record<string, JsonScalar>>): void {
  const declared = [...new Set(Object.values(file.steps).flatMap((step) => Object.keys(step.params)))]
  for (const name of Object.keys(set)) {
    if (declared.includes(name)) continue
    const near = nearestWord(name, declared)
    throw new AppError(
      'BadRequest',
      `No step has a parameter "${name}"; there are: ${declared.join(', ') || 'none'}.`,
      near ? `Did you mean "${near}"?` : 'Declare it under params: of a step.',
    )
  }
}

function refuseUnknownStep(file: ProjectFile, step: string | undefined): void {
  if (step === undefined || Object.hasOwn(file.steps, step)) return
  const near = nearestWord(step, Object.keys(file.steps))
  throw new AppError(
    'NotFound',
    `There is no step "${step}"; there are: ${Object.keys(file.steps).join(', ')}.`,
    near ? `Did you mean "${near}"?` : 'Name one of them.',
  )
}
