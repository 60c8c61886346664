import type { ArtifactService } from '../artifacts/index.ts'
import { type Digest, digestOf, digestOfJson } from '../kernel/digest.ts'
import { AppError, bug, isAppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { Share } from '../kernel/units.ts'
import type { Clock } from '../ports/clock.ts'
import type { EnvironmentLock, EnvironmentRequest, Environments } from '../ports/environments.ts'
import type { ObjectStore, StoredObject } from '../ports/object-store.ts'
import type { Quarantine } from '../ports/repository.ts'
import {
  type DataSource,
  declaredName,
  type JsonScalar,
  narrowedParams,
  type ProjectFile,
  type ProjectsService,
  type Step,
} from '../projects/index.ts'
import type { AddressReader } from './address-reader.ts'
import { decisionWithoutKey } from './decide/conditions.ts'
import { datasetOf, graphOf, stepsNamed } from './decide/graph.ts'
import { keyChanges, type Locks } from './decide/key-changes.ts'
import { commandOf, declaredPaths, keyOf, keyPartsOf, paramsOf, refuseMissingDependencies } from './decide/step-key.ts'
import { whyItRuns } from './decide/why-it-runs.ts'
import { ModuleFinder } from './module-finder.ts'
import type {
  Champion,
  DataInput,
  Explanation,
  KeyParts,
  NodeDecision,
  NodeOutcome,
  Plan,
  PlanContext,
  PlanNode,
  PlannedNode,
  ResultOrigin,
  StepResult,
} from './plan.ts'
import type { KeptResult, PlanStore } from './plan-store.ts'
import { environmentRequestOf } from './read-requirements.ts'
import { sampleRows } from './row-sampler.ts'
import type { CommitFiles, SourceReader } from './source-reader.ts'

type Parts = {
  projects: ProjectsService
  artifacts: ArtifactService
  objects: ObjectStore
  environments: Environments
  sources: SourceReader
  addresses: Pick<AddressReader, 'glance' | 'fetch'>
  store: PlanStore
  clock: Clock
  /** The registered version with that manifest, as a champion. */
  championByDigest: (digest: Digest) => Promise<Champion | undefined>
  /** The server's own environment variables that steps may declare. */
  variable: (name: string) => string | undefined
  /** Operating system and processor, as the keys of steps with `platform: true` have it. */
  platform: string
}

export type PlanRequest = {
  project: string
  commit: CommitId
  executionId: string
  set?: Record<string, JsonScalar>
  only?: string
  quarantine?: Quarantine
  facts: PlanContext['facts']
  fresh?: PlanContext['fresh']
  sample?: PlanContext['sample']
  /** The inputs of an earlier execution, instead of what they are now. */
  pinned?: Pinned
}

/** What a reproduction takes from the record: datasets by digest and the lock. */
export type Pinned = { data: Record<string, DataInput>; environment: Digest | 'none' }

const resultsCompared = 10
const stepsComparedWell = 50
const lookedAtOnce = 32
const treesKept = 20_000
const filesKeptOfTree = 100
const unchanged = 'nothing that it takes has changed'

type Keyed = { node: PlanNode; parts: KeyParts; key: Digest }

type Deciding = {
  outcomes: ReadonlyMap<string, NodeOutcome>
  known: ReadonlyMap<Digest, KeptResult>
  /** Of the commit. Read once a plan: a quarantined commit's are not kept. */
  files: CommitFiles
}

/** An earlier key of a step, and what made its result. */
export type Compared = { parts: KeyParts; origin: ResultOrigin }

/** Commit + what is known → which steps run, which are reused, which are decided later, and why. */
export class Planner {
  readonly #parts: Parts
  readonly #modules = new ModuleFinder()
  readonly #trees = new Map<Digest, { size: number; files: readonly FileInTree[] }>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Fixes what an execution is made from: file, parameters, datasets, champions. */
  async contextFor(request: PlanRequest): Promise<PlanContext> {
    return (await this.#prepare(request)).context
  }

  async #prepare(request: PlanRequest): Promise<{ context: PlanContext; files: CommitFiles }> {
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
    for (const step of request.fresh === 'all' ? [] : (request.fresh ?? [])) refuseUnknownStep(file, step)
    const files = await this.#parts.sources.filesOf(project, commit, quarantine)
    refuseMissingDependencies(file, files.paths)
    const context: PlanContext = {
      project,
      commit,
      file,
      set,
      ...(request.pinned ? { data: request.pinned.data } : await this.#dataOf(request, file, files)),
      champions: request.pinned ? {} : await this.#championsOf(project, file),
      executionId: request.executionId,
      facts: request.facts,
      ...(request.fresh ? { fresh: request.fresh } : {}),
      ...sampleOf(request, file),
      ...(request.pinned && request.pinned.environment !== 'none' ? { environment: request.pinned.environment } : {}),
    }
    return { context, files }
  }

  async plan(request: PlanRequest): Promise<{ plan: Plan; context: PlanContext }> {
    const { context, files } = await this.#prepare(request)
    const outcomes = new Map<string, NodeOutcome>()
    const decisions = new Map<string, NodeDecision>()
    const nodes = nodesOf(context, request.only)
    const steps = nodes.map(({ id }) => id)
    const known =
      nodes.length > stepsComparedWell ? await this.#parts.store.newestByKey(request.project, steps) : new Map()
    for (const wave of wavesOf(nodes)) {
      const open = wave.filter((node) => {
        const skipped = node.after.find((id) => decisions.get(id)?.outcome === 'skipped')
        if (skipped) decisions.set(node.id, { outcome: 'skipped', reasons: [`"${skipped}" is skipped`] })
        return skipped === undefined
      })
      const decided = await this.#decideAll(context, open, { outcomes, known, files }, request.quarantine)
      for (const [index, node] of open.entries()) {
        const decision = decided[index]!
        decisions.set(node.id, decision)
        const outcome = outcomeIn(decision)
        if (outcome) outcomes.set(node.id, outcome)
      }
    }
    const planned: PlannedNode[] = nodes.map((node) => ({ ...node, decision: decisions.get(node.id)! }))
    return { plan: { project: context.project, commit: context.commit, nodes: planned }, context }
  }

  /** Why a step runs or is reused, compared with its nearest earlier result or with what `against` names; starts nothing. */
  async explain(request: PlanRequest & { only: string }, against?: Compared): Promise<Explanation> {
    const { plan, context } = await this.plan(request)
    const found = plan.nodes.find(({ id }) => id === request.only)
    if (!found) throw namesSeveral(request.only, stepsNamed(context.file, request.only))
    const { decision, ...node } = found
    const upstream = plan.nodes.filter((node) => node.id !== request.only && node.decision.outcome !== 'reused')
    const parts = 'parts' in decision ? decision.parts : undefined
    const nearest = parts && decision.outcome === 'runs' ? await this.#nearestOf(context, [{ node, parts }]) : undefined
    const compared = against ?? nearest?.get(node.id)
    const lock = parts && parts.environment !== 'none' ? await this.lockByDigest(parts.environment) : undefined
    const changes =
      parts && compared ? keyChanges(parts, compared.parts, await this.locksOf(parts, compared.parts)) : []
    const origin = compared ? compared.origin : decision.outcome === 'reused' ? decision.origin : undefined
    return {
      step: request.only,
      commit: context.commit,
      decision,
      ...(origin ? { against: origin } : {}),
      changes,
      ...(lock ? { lock } : {}),
      upstream: upstream.map(({ id, decision: { outcome, reasons } }) => ({ id, outcome, reasons })),
    }
  }

  /**
   * What each step's change is told against: of its newest results the one that differs least, so that on a branch it is the one where
   * the branch began. For many steps at once it is the newest.
   */
  async #nearestOf(
    { project }: PlanContext,
    keyed: readonly Pick<Keyed, 'node' | 'parts'>[],
  ): Promise<ReadonlyMap<string, Compared>> {
    const { store } = this.#parts
    if (keyed.length > stepsComparedWell)
      return store.newestOfEach(
        project,
        keyed.map(({ node }) => node.id),
      )
    const nearest = new Map<string, Compared>()
    for (const { node, parts } of keyed) {
      let fewest = Number.POSITIVE_INFINITY
      for (const one of await store.newest(project, node.id, resultsCompared)) {
        const differences = keyChanges(parts, one.parts).length
        if (differences >= fewest) continue
        fewest = differences
        nearest.set(node.id, one)
      }
    }
    return nearest
  }

  /** One node, from the outcomes of those before it; asked again each time one of them has ended. */
  async decide(
    context: PlanContext,
    node: PlanNode,
    outcomes: ReadonlyMap<string, NodeOutcome>,
    quarantine?: Quarantine,
  ): Promise<NodeDecision> {
    const files = await this.#parts.sources.filesOf(context.project, context.commit, quarantine)
    const [decision] = await this.#decideAll(context, [node], { outcomes, known: new Map(), files }, quarantine)
    return decision!
  }

  /** The same for nodes that do not wait for each other, in their order. */
  async decideMany(
    context: PlanContext,
    nodes: readonly PlanNode[],
    outcomes: ReadonlyMap<string, NodeOutcome>,
  ): Promise<NodeDecision[]> {
    const files = await this.#parts.sources.filesOf(context.project, context.commit)
    return this.#decideAll(context, nodes, { outcomes, known: new Map(), files })
  }

  /** Nodes that do not wait for each other, with few questions to the database for many of them. */
  async #decideAll(
    context: PlanContext,
    nodes: readonly PlanNode[],
    { outcomes, known, files }: Deciding,
    quarantine?: Quarantine,
  ): Promise<NodeDecision[]> {
    const decisions = new Map<string, NodeDecision>()
    const keyed: Keyed[] = []
    for (const node of nodes) {
      const open = node.after.filter((id) => !outcomes.has(id))
      const keyless = decisionWithoutKey(context, node, outcomes)
      if (keyless) decisions.set(node.id, keyless)
      else if (node.kind === 'environment') decisions.set(node.id, await this.#decideEnvironment(context, quarantine))
      else if (node.kind === 'data') decisions.set(node.id, decideData(context, node))
      else if (open.length > 0)
        decisions.set(node.id, { outcome: 'decided later', after: open, reasons: [`waits for ${open.join(', ')}`] })
      else {
        const parts = await this.#partsOf(context, node, outcomes, files)
        keyed.push({ node, parts, key: keyOf(parts) })
      }
    }
    for (const [id, decision] of await this.#reusedOrNot(context, keyed, known)) decisions.set(id, decision)
    return nodes.map((node) => decisions.get(node.id)!)
  }

  async #reusedOrNot(
    context: PlanContext,
    keyed: readonly Keyed[],
    known: ReadonlyMap<Digest, KeptResult>,
  ): Promise<Map<string, NodeDecision>> {
    const decisions = new Map<string, NodeDecision>()
    const stale = keyed.filter(({ node }) => !isFresh(context, node))
    const asked = stale.flatMap(({ key }) => (known.has(key) ? [] : [key]))
    const found = asked.length > 0 ? await this.#parts.store.results(asked) : new Map<Digest, KeptResult>()
    const kept = (key: Digest) => known.get(key) ?? found.get(key)
    const whole = await eachWith(lookedAtOnce, stale, async ({ key }) => {
      const candidate = kept(key)
      return candidate !== undefined && (await this.#isWhole(candidate.result))
    })
    for (const [index, { node, key, parts }] of stale.entries())
      if (whole[index])
        decisions.set(node.id, {
          outcome: 'reused',
          key,
          parts,
          ...kept(key)!,
          reasons: [unchanged, ...unveiled(parts)],
        })
    const running = keyed.filter(({ node }) => !decisions.has(node.id))
    const nearest = await this.#nearestOf(
      context,
      running.filter(({ node }) => !isFresh(context, node)),
    )
    for (const { node, key, parts } of running) {
      const earlier = nearest.get(node.id)
      const reasons = isFresh(context, node)
        ? ['asked to run anew']
        : whyItRuns(parts, earlier?.parts, await this.locksOf(parts, earlier?.parts))
      const origin = earlier ? { origin: earlier.origin } : {}
      decisions.set(node.id, { outcome: 'runs', key, parts, ...origin, reasons: [...reasons, ...unveiled(parts)] })
    }
    return decisions
  }

  /** The locks that two keys name where they differ: what a change of packages is told from. */
  async locksOf(now: KeyParts, before: KeyParts | undefined): Promise<Locks> {
    if (!before || now.environment === before.environment) return {}
    const [lock, earlier] = await Promise.all(
      [now.environment, before.environment].map(async (digest) =>
        digest === 'none' ? undefined : this.lockByDigest(digest),
      ),
    )
    return { ...(lock ? { now: lock } : {}), ...(earlier ? { before: earlier } : {}) }
  }

  async #partsOf(
    context: PlanContext,
    node: PlanNode,
    outcomes: ReadonlyMap<string, NodeOutcome>,
    files: CommitFiles,
  ): Promise<KeyParts> {
    const step = context.file.steps[node.step]!
    const declared = declaredPaths(step.deps, files.paths)
    await files.load(declared)
    const packageFolders = await this.#modules.packageFolders(files, context.file.python)
    const params = paramsOf(step, context.set)
    const command = commandOf(step, params)
    return keyPartsOf({
      context,
      node,
      outcomes,
      paths: files.paths,
      source: files.source,
      variables: this.#variables(step.env),
      imported: await this.#modules.importsOf(files, { command, declared, packageFolders }),
      paramFiles: await this.#narrowedParams(step, params, files),
      packageFolders,
      platform: this.#parts.platform,
    })
  }

  /** What the step finds in the place of each file of which it names some parameters. */
  async #narrowedParams(
    { paramFiles = [] }: Step,
    params: Readonly<Record<string, JsonScalar>>,
    files: CommitFiles,
  ): Promise<Map<string, Digest>> {
    const narrowed = new Map<string, Digest>()
    for (const file of paramFiles) {
      const text = new TextDecoder().decode(await files.read(file.path))
      narrowed.set(file.path, (await this.#parts.objects.put(narrowedParams(file, text, params))).digest)
    }
    return narrowed
  }

  /** The lock of the project's environment at that commit, if it was resolved before. */
  async environmentRequest(
    context: Pick<PlanContext, 'project' | 'commit' | 'file'>,
    quarantine?: Quarantine,
  ): Promise<EnvironmentRequest | undefined> {
    const python = context.file.python
    if (!python) return undefined
    const files = await this.#parts.sources.filesOf(context.project, context.commit, quarantine)
    return environmentRequestOf(files, python)
  }

  async knownLock(
    request: EnvironmentRequest,
    { environment }: Pick<PlanContext, 'environment'>,
  ): Promise<EnvironmentLock | undefined> {
    if (environment) return this.lockByDigest(environment)
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
    const lock = await this.knownLock(request, context)
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
  /** By sizes: what a loss of power took of a file is seen before somebody reads it, and then is made again. */
  async #isWhole(result: StepResult): Promise<boolean> {
    const { objects } = this.#parts
    for (const tree of [...Object.values(result.outs), ...(result.model ? [result.model.tree] : [])]) {
      const files = await this.#filesIn(tree)
      for (const { digest, size } of files ?? []) if ((await objects.sizeIfKept(digest)) !== size) return false
      if (!files) return false
    }
    return true
  }

  /** What a tree names never changes; whether it is still there is asked each time. Undefined where it is not, or altered. */
  async #filesIn(tree: Digest): Promise<readonly FileInTree[] | undefined> {
    const size = await this.#parts.objects.sizeIfKept(tree)
    const known = this.#trees.get(tree)
    if (known) return known.size === size ? known.files : undefined
    const read = size === undefined ? undefined : await this.#parts.artifacts.tree(tree).catch(undefinedIfAltered)
    if (!read || size === undefined) return undefined
    const files = [...new Map(read.files.map((file) => [file.digest, file])).values()]
    if (this.#trees.size >= treesKept) this.#trees.clear()
    if (files.length <= filesKeptOfTree) this.#trees.set(tree, { size, files })
    return files
  }

  async #dataOf(
    request: PlanRequest,
    file: ProjectFile,
    files: CommitFiles,
  ): Promise<Pick<PlanContext, 'data' | 'awaited'>> {
    const { project, facts } = request
    const { sample } = sampleOf(request, file)
    const { inputs, awaited } = await this.#dataAtAddresses(project, file, facts)
    for (const [dataset, source] of Object.entries(file.data)) {
      if (source.address !== undefined) continue
      await files.load([source.path])
      const found = files.source(source.path)
      if (!found) {
        const near = nearestWord(source.path, files.paths.paths)
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
    for (const [dataset, input] of Object.entries(inputs))
      inputs[dataset] = await this.#partOf(input, file.data[dataset]!, sample)
    return { data: inputs, ...(Object.keys(awaited).length > 0 ? { awaited } : {}) }
  }

  /** All at once: a person may wait for the plan. */
  async #dataAtAddresses(project: string, file: ProjectFile, { trigger }: PlanContext['facts']) {
    const inputs: Record<string, DataInput> = {}
    const awaited: Record<string, string> = {}
    await Promise.all(
      Object.entries(file.data).map(async ([dataset, source]) => {
        if (!isElsewhere(source)) return
        const seen = await this.#parts.addresses.glance({ project, dataset, source, trigger })
        if ('later' in seen) awaited[dataset] = seen.later
        else inputs[dataset] = inputOf(dataset, source, seen)
      }),
    )
    return { inputs, awaited }
  }

  /** What an awaited dataset is now, once it has been fetched. */
  async fetchData(
    { project, file, facts: { trigger }, sample }: PlanContext,
    node: PlanNode,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<DataInput> {
    const dataset = datasetOf(node)
    const source = file.data[dataset]!
    if (!isElsewhere(source)) throw bug(`data.${dataset} was awaited, but lies in the commit`)
    const place = { project, dataset, source, trigger }
    const whole = inputOf(dataset, source, await this.#parts.addresses.fetch(place, onLine, signal))
    return this.#partOf(whole, source, sample)
  }

  async #partOf(input: DataInput, { key }: DataSource, share: Share | undefined): Promise<DataInput> {
    return share === undefined ? input : sampleRows(this.#parts, { input, share, key })
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

/** Branches that are tried out look at a part of the rows, where the file says so. */
function sampleOf({ sample, facts }: PlanRequest, file: ProjectFile): Pick<PlanContext, 'sample'> {
  const share = sample ?? (facts.branch !== undefined && facts.branch !== file.branch ? file.sample : undefined)
  return share === undefined || share === 1 ? {} : { sample: share }
}

/** The nodes of an execution or a plan. */
export const nodesOf = (
  { file, champions, awaited }: Pick<PlanContext, 'file' | 'champions' | 'awaited'>,
  only: string | undefined,
): PlanNode[] =>
  graphOf(file, {
    ...(only ? { only } : {}),
    champions: Object.keys(champions),
    awaited: Object.keys(awaited ?? {}),
  })

const isElsewhere = (source: DataSource): source is DataSource & { address: string } => source.address !== undefined

const inputOf = (
  dataset: string,
  { path, address }: DataSource & { address: string },
  { digest, size }: StoredObject,
): DataInput => ({ dataset, path, digest, size, address })

function decideData({ file, awaited }: PlanContext, node: PlanNode): NodeDecision {
  const dataset = datasetOf(node)
  return {
    outcome: 'runs',
    key: digestOfJson({ address: file.data[dataset]!.address! }),
    reasons: [awaited?.[dataset] ?? 'it is fetched first'],
  }
}

/** Whoever reads a plan sees which steps the cache cannot vouch for. */
type FileInTree = { digest: Digest; size: number }

function undefinedIfAltered(error: unknown): undefined {
  if (!isAppError(error, 'ObjectCorrupt') && !isAppError(error, 'NotFound')) throw error
}

const unveiled = (parts: KeyParts): string[] => (parts.checkout ? ['not isolated: it sees the whole checkout'] : [])

/** A declared name covers all that a matrix or a list makes of it. */
const isFresh = ({ fresh }: PlanContext, { step }: PlanNode): boolean =>
  fresh === 'all' || (fresh ?? []).includes(step) || (fresh ?? []).includes(declaredName(step))

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
  if (step === undefined || stepsNamed(file, step).length > 0) return
  const names = [...new Set(Object.values(file.steps).map(({ name, matrix }) => matrix?.of ?? name))]
  const near = nearestWord(step, names)
  throw new AppError(
    'NotFound',
    `There is no step "${step}"; there are: ${names.join(', ')}.`,
    near ? `Did you mean "${near}"?` : 'Name one of them.',
  )
}

const namesSeveral = (name: string, steps: readonly string[]): AppError =>
  new AppError(
    'BadRequest',
    `"${name}" is ${steps.length} steps: ${steps.slice(0, 10).join(', ')}.`,
    'Name one of them.',
  )

/** Nodes in waves: each waits only for nodes of earlier ones. `nodes` stand in an order in which each comes after those. */
function wavesOf(nodes: readonly PlanNode[]): PlanNode[][] {
  const waves: PlanNode[][] = []
  const waveOf = new Map<string, number>()
  for (const node of nodes) {
    let wave = 0
    for (const id of node.after) wave = Math.max(wave, (waveOf.get(id) ?? -1) + 1)
    waveOf.set(node.id, wave)
    const peers = waves[wave]
    if (peers) peers.push(node)
    else waves[wave] = [node]
  }
  return waves
}

/** Like map, with so many under way at once. */
async function eachWith<T, R>(atOnce: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let i = 0; i < items.length; i += atOnce)
    results.push(...(await Promise.all(items.slice(i, i + atOnce).map(work))))
  return results
}
