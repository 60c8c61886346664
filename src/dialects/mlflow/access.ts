import type { FastifyRequest } from 'fastify'
import {
  type AccessService,
  type Action,
  type Deed,
  insist,
  type Resource,
  type ResourceType,
  type Visible,
} from '../../access/index.ts'
import type { EvaluationsService, ReviewQueuesService } from '../../evaluations/index.ts'
import { AppError, isAppError } from '../../kernel/errors.ts'
import type { Actor } from '../../kernel/route.ts'
import type { RegistryService } from '../../registry/index.ts'
import { artifactFolderOf, type TrackingService } from '../../tracking/index.ts'
import type { MlflowParts } from './parts.ts'

const promptTag = 'mlflow.prompt.is_prompt'
const runsKept = 50_000
const askManager = 'Ask who may manage it, or an admin, for a permission.'

/** The part of the dialect's parts that says whose things are. */
export type AccessParts = Pick<MlflowParts, 'access' | 'tracking' | 'registry' | 'evaluations' | 'reviewQueues'>

/**
 * Who may do what with MLflow's things: everything belongs to an experiment, a registered model (or prompt) or a scorer, and what
 * a user may do with it is decided there (access/decide/may.ts). A step's token stands for its own run: it may write that run,
 * runs that it created, and models logged by one of those; it may create experiments and registered models and versions; reading
 * is free to it. What is not there is the service's to tell.
 */
export class MlflowAccess {
  readonly #access: AccessService
  readonly #tracking: TrackingService
  readonly #registry: RegistryService
  readonly #evaluations: EvaluationsService
  readonly #reviewQueues: ReviewQueuesService
  /** A run stays in its experiment. */
  readonly #experimentOfRun = new Map<string, string>()

  constructor({ access, tracking, registry, evaluations, reviewQueues }: AccessParts) {
    this.#access = access
    this.#tracking = tracking
    this.#registry = registry
    this.#evaluations = evaluations
    this.#reviewQueues = reviewQueues
  }

  async toExperiment(actor: Actor, experimentId: string, action: Action): Promise<void> {
    if (mayAll(actor)) return
    await this.#insist(actor, { action, on: { type: 'experiment', id: experimentId } })
  }

  /** New runs and the like; steps may make them anywhere. */
  async toCreate(actor: Actor, experimentId: string): Promise<void> {
    if (actor.kind !== 'step') await this.toExperiment(actor, experimentId, 'update')
  }

  async toRun(actor: Actor, runId: string, action: Action = 'update'): Promise<void> {
    if (mayAll(actor)) return
    if (actor.kind === 'step') return this.#stepToRun(actor, runId, action)
    const experimentId = await this.#experimentIdOf(runId)
    if (experimentId !== undefined) await this.toExperiment(actor, experimentId, action)
  }

  async toLoggedModel(actor: Actor, modelId: string, action: Action = 'update'): Promise<void> {
    if (mayAll(actor) || (actor.kind === 'step' && action === 'read')) return
    const model = await this.#tracking.loggedModel(modelId, { deletedToo: true })
    if (actor.kind !== 'step') return this.toExperiment(actor, model.experimentId, action)
    if (model.sourceRunId === undefined) throw refused(actor, `write model ${modelId}, which no run logged`)
    await this.toRun(actor, model.sourceRunId, action)
  }

  /** Undefined where there is none of that name. */
  async modelType(name: string): Promise<'registered_model' | 'prompt' | undefined> {
    try {
      const { tags } = await this.#registry.model(name)
      return tags[promptTag]?.toLowerCase() === 'true' ? 'prompt' : 'registered_model'
    } catch (error) {
      if (isAppError(error) && error.culprit === 'yours') return undefined
      throw error
    }
  }

  /** A registered model or prompt and its versions. */
  async toModel(actor: Actor, name: string, action: Action): Promise<void> {
    if (mayAll(actor) || actor.kind === 'step' || name === '') return
    const type = await this.modelType(name)
    if (type !== undefined) await this.#insist(actor, { action, on: { type, id: name } })
  }

  async toScorer(actor: Actor, experimentId: string, name: string, action: Action): Promise<void> {
    if (mayAll(actor) || actor.kind === 'step') return
    await this.#insist(actor, { action, on: scorerResource(experimentId, name) })
  }

  /** Everything that belongs to the whole server: experiments' lives, models' names, others' versions. Steps may not; users are asked by the route's guard. */
  toShared(actor: Actor, what: string): void {
    if (actor.kind === 'step') throw refused(actor, what)
  }

  /** Users, and permissions on all things of a type. */
  async administer(actor: Actor): Promise<void> {
    refuseUnknown(actor)
    insist(await this.#access.permissions.may(actor, { action: 'administer' }), 'Ask an admin.')
  }

  /** Giving and taking permissions on a thing. */
  async manage(actor: Actor, resource: Resource): Promise<void> {
    refuseUnknown(actor)
    await this.#insist(actor, { action: 'manage', on: resource })
  }

  /** A registered version, by the run that it came from. */
  async toVersionOf(actor: Actor, runId: string | undefined, what: string): Promise<void> {
    if (actor.kind !== 'step') return
    if (runId === undefined) throw refused(actor, what)
    await this.toRun(actor, runId)
  }

  /** An artifact belongs to the run or logged model in whose folder it lies, and beside those to the experiment in whose folder. */
  async toArtifact(request: FastifyRequest, path: string, action: Action = 'update'): Promise<void> {
    const { actor } = request
    if (mayAll(actor) || (actor.kind === 'step' && action === 'read')) return
    const segments = path.split('/')
    // Experiments keep their artifacts under their own ids; a location of one's own may lie anywhere, and is then found by its owner.
    if (actor.kind !== 'step' && /^\d+$/.test(segments[0]!)) await this.toExperiment(actor, segments[0]!, action)
    for (const [index, segment] of segments.entries()) {
      if (segments[index + 1] !== 'artifacts') continue
      const under = segments.slice(0, index + 2).join('/')
      if (segments[index - 1] === 'models' && (await this.#isModelFolder(segment, under)))
        return this.toLoggedModel(actor, segment, action)
      const run = await this.#tracking.findRun(segment)
      if (run && artifactFolderOf(run.artifactUri) === under) return this.toRun(actor, segment, action)
    }
    if (actor.kind === 'step') throw refused(actor, `write artifacts at "${path}"`)
    // In nobody's folder: what may be done with an experiment that no permission speaks of.
    if (!/^\d+$/.test(segments[0]!)) await this.toExperiment(actor, segments[0]!, action)
  }

  /** Those of the experiments that the actor may read. */
  async readable(actor: Actor, experimentIds: readonly string[]): Promise<string[]> {
    const visible = await this.visible(actor, 'experiment')
    return visible ? experimentIds.filter((id) => includes(visible, id)) : [...experimentIds]
  }

  /** What a search is limited to; undefined = everything. */
  visible(actor: Actor, type: ResourceType): Promise<Visible | undefined> {
    return this.#access.permissions.visibleTo(actor, type)
  }

  async visibleModels(actor: Actor): Promise<{ models?: Visible; prompts?: Visible } | undefined> {
    const models = await this.visible(actor, 'registered_model')
    return models && { models, prompts: await this.visible(actor, 'prompt') }
  }

  /** The experiments that an evaluation dataset belongs to: it may be used by who may use all of them; without any, by admins. */
  async toDataset(actor: Actor, datasetId: string, action: Action): Promise<void> {
    if (mayAll(actor) || actor.kind === 'step') return
    await this.toAllOf(actor, await this.#evaluations.datasetExperimentIds(datasetId), action)
  }

  async toIssue(actor: Actor, issueId: string, action: Action): Promise<void> {
    if (mayAll(actor) || actor.kind === 'step') return
    await this.toExperiment(actor, (await this.#evaluations.issue(issueId)).experimentId, action)
  }

  async toLabelSchema(actor: Actor, schemaId: string, action: Action): Promise<void> {
    if (mayAll(actor) || actor.kind === 'step') return
    await this.toExperiment(actor, (await this.#evaluations.labelSchema(schemaId)).experimentId, action)
  }

  /**
   * A review queue lies in its experiment. Who manages that may do everything with it; who may edit it owns the queues that they
   * made (`own`, of a person's queue never), and reviews in those that they are asked in (`review`).
   */
  async toReviewQueue(
    actor: Actor,
    queueId: string,
    deed: 'read' | 'update' | 'manage' | 'own' | 'review',
  ): Promise<void> {
    if (mayAll(actor) || actor.kind === 'step') return
    const queue = await this.#reviewQueues.queue(queueId)
    const name = actor.name.trim().toLowerCase()
    const isOwn = queue.createdBy?.trim().toLowerCase() === name && queue.type === 'custom'
    const isAsked = queue.users.includes(name)
    if (deed === 'review' && !isAsked)
      throw new AppError(
        'Forbidden',
        `Permission denied: ${actor.name} is not asked in review queue "${queue.name}".`,
        askManager,
      )
    const action = deed === 'review' ? 'update' : deed === 'own' ? (isOwn ? 'update' : 'manage') : deed
    await this.toExperiment(actor, queue.experimentId, action)
  }

  /** What names no experiment at all is the admins'. */
  async toAllOf(actor: Actor, experimentIds: Iterable<string>, action: Action): Promise<void> {
    const ids = new Set(experimentIds)
    if (ids.size === 0) return this.administer(actor)
    for (const id of ids) await this.toExperiment(actor, id, action)
  }

  async visibleScorers<S extends { experiment_id: number; scorer_name: string }>(
    actor: Actor,
    scorers: S[],
  ): Promise<S[]> {
    const [experiments, visible] = [await this.visible(actor, 'experiment'), await this.visible(actor, 'scorer')]
    return scorers.filter(
      ({ experiment_id, scorer_name }) =>
        (!experiments || includes(experiments, String(experiment_id))) &&
        (!visible || includes(visible, scorerResource(String(experiment_id), scorer_name).id)),
    )
  }

  madeBy(actor: Actor, resource: Resource): Promise<void> {
    return this.#access.permissions.madeBy(actor, resource)
  }

  async renamedModel(from: string, to: string): Promise<void> {
    await this.#access.permissions.renamed(['registered_model', 'prompt'], from, to)
  }

  async deletedModel(name: string): Promise<void> {
    await this.#access.permissions.deleted(['registered_model', 'prompt'], name)
  }

  async deletedScorer(experimentId: string, name: string): Promise<void> {
    await this.#access.permissions.deleted(['scorer'], scorerResource(experimentId, name).id)
  }

  async #stepToRun(actor: Actor, runId: string, action: Action): Promise<void> {
    if (action === 'read' || runId === actor.runId) return
    const run = await this.#tracking.findRun(runId)
    if (run && run.ownerRunId !== actor.runId) throw refused(actor, `write run ${runId}`)
  }

  async #experimentIdOf(runId: string): Promise<string | undefined> {
    const known = this.#experimentOfRun.get(runId)
    if (known !== undefined || runId === '') return known
    const run = await this.#tracking.findRun(runId)
    if (!run) return undefined
    if (this.#experimentOfRun.size >= runsKept) this.#experimentOfRun.clear()
    this.#experimentOfRun.set(runId, run.experimentId)
    return run.experimentId
  }

  async #isModelFolder(modelId: string, folder: string): Promise<boolean> {
    if (!modelId.startsWith('m-')) return false
    const model = await this.#tracking.loggedModel(modelId, { deletedToo: true })
    return artifactFolderOf(model.artifactUri) === folder
  }

  async #insist(actor: Actor, deed: Deed): Promise<void> {
    insist(await this.#access.permissions.may(actor, deed), askManager)
  }
}

/** A scorer's name may hold anything: escaped, it cannot be taken for part of the experiment's. */
export const scorerResource = (experimentId: string, name: string): Resource => ({
  type: 'scorer',
  id: `${experimentId}/${encodeURIComponent(name).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`,
})

/** Nothing is looked up for these: what they log costs nothing more. */
export const mayAll = (actor: Actor): boolean =>
  actor.kind === 'anonymous' || actor.kind === 'owner' || actor.admin === true

const includes = (visible: Visible, id: string): boolean =>
  'only' in visible ? visible.only.includes(id) : !visible.except.includes(id)

/** @throws AppError Unauthenticated where nobody said who they are. */
export function refuseUnknown(actor: Actor): void {
  if (actor.kind === 'anonymous')
    throw new AppError(
      'Unauthenticated',
      'You are not authenticated. Users and permissions are for those who are known.',
      'Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.',
    )
}

const refused = (actor: Actor, what: string): AppError =>
  new AppError(
    'Forbidden',
    `The token of step run ${actor.runId ?? '?'} may not ${what}.`,
    'A step writes its own run, runs that it creates, and the models of those.',
  )
