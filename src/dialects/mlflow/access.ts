import type { FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'
import type { Actor } from '../../kernel/route.ts'
import { artifactFolderOf, type TrackingService } from '../../tracking/index.ts'

/**
 * Who may write what. People may do all that MLflow's API can. A step's token stands for its own run: it may write that run,
 * runs that it created, and models logged by one of those; it may create experiments and registered models and versions.
 * Reading is free.
 */
export class MlflowAccess {
  readonly #tracking: TrackingService

  constructor(tracking: TrackingService) {
    this.#tracking = tracking
  }

  async toRun(actor: Actor, runId: string): Promise<void> {
    if (actor.kind !== 'step' || runId === actor.runId) return
    const run = await this.#tracking.findRun(runId)
    // A run that is not there is the service's to tell.
    if (run && run.ownerRunId !== actor.runId) throw refused(actor, `write run ${runId}`)
  }

  async toLoggedModel(actor: Actor, modelId: string): Promise<void> {
    if (actor.kind !== 'step') return
    const model = await this.#tracking.loggedModel(modelId, { deletedToo: true })
    if (model.sourceRunId === undefined) throw refused(actor, `write model ${modelId}, which no run logged`)
    await this.toRun(actor, model.sourceRunId)
  }

  /** Everything that belongs to the whole server: experiments' lives, models' names, others' versions. */
  toShared(actor: Actor, what: string): void {
    if (actor.kind === 'step') throw refused(actor, what)
  }

  /** A registered version, by the run that it came from. */
  async toVersionOf(actor: Actor, runId: string | undefined, what: string): Promise<void> {
    if (actor.kind !== 'step') return
    if (runId === undefined) throw refused(actor, what)
    await this.toRun(actor, runId)
  }

  /** An artifact belongs to the run or logged model in whose folder it lies. */
  async toArtifact(request: FastifyRequest, path: string): Promise<void> {
    const { actor } = request
    if (actor.kind !== 'step') return
    const segments = path.split('/')
    for (const [index, segment] of segments.entries()) {
      if (segments[index + 1] !== 'artifacts') continue
      const under = segments.slice(0, index + 2).join('/')
      if (segments[index - 1] === 'models' && (await this.#isModelFolder(segment, under)))
        return this.toLoggedModel(actor, segment)
      const run = await this.#tracking.findRun(segment)
      if (run && artifactFolderOf(run.artifactUri) === under) return this.toRun(actor, segment)
    }
    throw refused(actor, `write artifacts at "${path}"`)
  }

  async #isModelFolder(modelId: string, folder: string): Promise<boolean> {
    if (!modelId.startsWith('m-')) return false
    const model = await this.#tracking.loggedModel(modelId, { deletedToo: true })
    return artifactFolderOf(model.artifactUri) === folder
  }
}

const refused = (actor: Actor, what: string): AppError =>
  new AppError(
    'Forbidden',
    `The token of step run ${actor.runId ?? '?'} may not ${what}.`,
    'A step writes its own run, runs that it creates, and the models of those.',
  )
