import type { ArtifactService } from '../artifacts/index.ts'
import { type Digest, digestOf, digestOfJson } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import { nearestWord } from '../kernel/nearest-word.ts'
import type { Clock } from '../ports/clock.ts'
import type { Environments } from '../ports/environments.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Quarantine } from '../ports/repository.ts'
import {
  declaredName,
  type JsonScalar,
  narrowedParams,
  type ProjectFile,
  type ProjectsService,
  type Step,
} from '../projects/index.ts'
import type { AddressReader } from './address-reader.ts'
import { DataInputs, sampleOf } from './data-inputs.ts'
import { decisionWithoutKey } from './decide/conditions.ts'
import { datasetOf, graphOf, stepsNamed } from './decide/graph.ts'
import { keyChanges } from './decide/key-changes.ts'
import { commandOf, declaredPaths, keyOf, keyPartsOf, paramsOf, refuseMissingDependencies } from './decide/step-key.ts'
import { whyItRuns } from './decide/why-it-runs.ts'
import { EnvironmentLocks } from './environment-locks.ts'
import { KeptOutputs } from './kept-outputs.ts'
import { ModuleFinder } from './module-finder.ts'
import {
  type Champion,
  type DataInput,
  type Explanation,
  type KeyChange,
  type KeyParts,
  type NodeDecision,
  type NodeOutcome,
  notIsolated,
  type Plan,
  type PlanContext,
  type PlanNode,
  type PlannedNode,
  type ResultOrigin,
} from './plan.ts'
import type { KeptResult, PlanStore } from './plan-store.ts'
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
  readonly #outputs: KeptOutputs
  readonly #data: DataInputs
  readonly locks: EnvironmentLocks

  constructor(parts: Parts) {
    this.#parts = parts
    this.#outputs = new KeptOutputs(parts)
    this.#data = new DataInputs(parts)
    this.locks = new EnvironmentLocks(parts)
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
    const { pinned, facts } = request
    const sample = sampleOf(request, file)
    const context: PlanContext = {
      project,
      commit,
      file,
      set,
      ...(pinned ? { data: pinned.data } : await this.#data.of({ project, file, facts, ...sample }, files)),
      champions: pinned ? {} : await this.#championsOf(project, file),
      executionId: request.executionId,
      facts,
      ...(request.fresh ? { fresh: request.fresh } : {}),
      ...sample,
      ...(pinned && pinned.environment !== 'none' ? { environment: pinned.environment } : {}),
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
    const lock = parts && parts.environment !== 'none' ? await this.locks.byDigest(parts.environment) : undefined
    const changes = parts && compared ? await this.changesBetween(parts, compared.parts) : []
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

  async changesBetween(now: KeyParts, before: KeyParts): Promise<KeyChange[]> {
    return keyChanges(now, before, await this.locks.between(now, before))
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

  /** What an awaited dataset is now, once it has been fetched. */
  fetchData(...asked: Parameters<DataInputs['fetch']>): Promise<DataInput> {
    return this.#data.fetch(...asked)
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
      return candidate !== undefined && (await this.#outputs.areWhole(candidate.result))
    })
    for (const [index, { node, key, parts }] of stale.entries())
      if (whole[index])
        decisions.set(node.id, {
          outcome: 'reused',
          key,
          parts,
          ...kept(key)!,
          reasons: [unchanged, ...unisolated(parts)],
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
        : whyItRuns(parts, earlier?.parts, await this.locks.between(parts, earlier?.parts))
      const origin = earlier ? { origin: earlier.origin } : {}
      decisions.set(node.id, { outcome: 'runs', key, parts, ...origin, reasons: [...reasons, ...unisolated(parts)] })
    }
    return decisions
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

  async #decideEnvironment(context: PlanContext, quarantine?: Quarantine): Promise<NodeDecision> {
    const request = (await this.locks.requestOf(context, quarantine))!
    const lock = await this.locks.known(request, context)
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

function decideData({ file, awaited }: PlanContext, node: PlanNode): NodeDecision {
  const dataset = datasetOf(node)
  return {
    outcome: 'runs',
    key: digestOfJson({ address: file.data[dataset]!.address! }),
    reasons: [awaited?.[dataset] ?? 'it is fetched first'],
  }
}

/** Whoever reads a plan sees which steps the cache cannot vouch for. */
const unisolated = (parts: KeyParts): string[] => (parts.checkout ? [notIsolated] : [])

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
