import {
  type Execution,
  type ExecutionNode,
  type ExecutionsService,
  factsOf,
  isExecutionOver,
} from '../executions/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { type CommitId, newId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import { type EnvironmentLocks, packageVersions } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { ModelVersionManifest, PromotionsService } from '../promotions/index.ts'
import { type Controls, type Move, nextPass, type PassFacts } from './decide/next-pass.ts'
import { stepsOfModel } from './decide/steps-of-model.ts'
import { tellReproduction } from './decide/tell-reproduction.ts'
import type { ModelAsker } from './model-asker.ts'
import { PassReader } from './pass-reader.ts'
import { type Predictions, passRoles, type Reproduction } from './reproduction.ts'
import type { ReproductionsStore } from './reproductions-store.ts'

type Parts = {
  store: ReproductionsStore
  clock: Clock
  executions: Pick<ExecutionsService, 'get' | 'start'>
  promotions: Pick<PromotionsService, 'manifestOf'>
  locks: Pick<EnvironmentLocks, 'byDigest'>
  models: Pick<ModelAsker, 'ask' | 'packages' | 'clearUp'>
  /** A reproduction was asked for: the loop looks at once. */
  wake: () => void
} & ConstructorParameters<typeof PassReader>[0]

export type ReproductionRequest = {
  digest: Digest
  runs: 1 | 2
  tolerance: number
  /** Another commit than the version's own: what would that make? */
  commit?: CommitId
}

/** Makes versions again from their record, compares, and keeps the verdict with the version. */
export class ReproductionsService {
  readonly #parts: Parts
  readonly #reader: PassReader

  constructor(parts: Parts) {
    this.#parts = parts
    this.#reader = new PassReader(parts)
  }

  async request({ digest, runs, tolerance, commit }: ReproductionRequest, actor: Actor): Promise<Reproduction> {
    const manifest = await this.#parts.promotions.manifestOf(digest)
    const version = await this.#parts.store.versionOf(digest)
    if (version === undefined)
      throw new AppError('NotFound', `No version has the digest ${digest}.`, '`modelwright versions` lists them.')
    await this.#recordOf(manifest)
    const now = this.#parts.clock.now()
    const reproduction: Reproduction = {
      ...{ id: newId(now), project: manifest.project, model: manifest.model, version, digest },
      ...{ recorded: manifest.execution, commit: commit ?? manifest.commit, fromRecord: commit === undefined },
      ...{ runs, tolerance, state: 'running', passes: {}, requestedBy: actor.name, createdAt: now },
    }
    await this.#parts.store.add(reproduction)
    this.#parts.wake()
    return reproduction
  }

  get(id: string): Promise<Reproduction> {
    return this.#parts.store.get(id)
  }

  list(filter: { project: string; digest?: string; before?: string; limit: number }): Promise<Reproduction[]> {
    return this.#parts.store.list(filter)
  }

  /** One look at every open reproduction; killed at any line, the next look goes on from there. */
  async tick(): Promise<{ failures: { reproduction: string; error: unknown }[] }> {
    const failures: { reproduction: string; error: unknown }[] = []
    for (const reproduction of await this.#parts.store.running()) {
      try {
        await this.#advance(reproduction)
      } catch (error) {
        if (isAppError(error) && error.culprit === 'yours') await this.#fail(reproduction, error)
        else failures.push({ reproduction: reproduction.id, error })
      }
    }
    return { failures }
  }

  async #advance(reproduction: Reproduction): Promise<void> {
    const manifest = await this.#parts.promotions.manifestOf(reproduction.digest)
    const record = await this.#recordOf(manifest)
    const facts = await this.#factsOf(reproduction, record)
    const move = nextPass(facts)
    switch (move.move) {
      case 'wait':
        return
      case 'start':
        return this.#startPass(reproduction, manifest, record, move)
      case 'ask models':
        return this.#askModels(reproduction, manifest, record, move.models)
      case 'list packages':
        return this.#listPackages(reproduction, move.lock)
      case 'judge':
        return this.#judge(reproduction, move.comparison)
      case 'give up':
        throw new AppError(
          'StepFailed',
          `${nameOf(reproduction)} could not be made again: ${move.why}`,
          `Read the log of the pass: modelwright logs ${reproduction.passes['second rebuild'] ?? reproduction.passes.rebuild}`,
        )
    }
  }

  async #startPass(
    reproduction: Reproduction,
    manifest: ModelVersionManifest,
    { execution: record, nodes }: Making,
    { role, step, controls }: Extract<Move, { move: 'start' }>,
  ): Promise<void> {
    const { id, project, model, version, commit, requestedBy, fromRecord } = reproduction
    const only = step === undefined ? record.only : stepOf(nodes, step)
    // Where inputs are those of the other commit, its first pass has fixed them for the ones that follow.
    const like = fromRecord ? record : await this.#rebuildOf(reproduction)
    const { execution } = await this.#parts.executions.start({
      ...{ project, commit, deployable: false, requestedBy, cause: `reproduction:${id}:${role}` },
      trigger: {
        ...{ kind: 'reproduction', actor: requestedBy, model, version, of: factsOf(record.trigger) },
        ...controlsOf(controls),
      },
      set: record.fixed.set,
      ...(only ? { only } : {}),
      fresh: step === undefined ? 'all' : [only!],
      ...(like
        ? {
            pinned: {
              data: like.fixed.data,
              environment: fromRecord ? manifest.environmentLock : await this.#lockOf(like),
            },
          }
        : {}),
      ...(record.fixed.sample === undefined ? {} : { sample: record.fixed.sample }),
    })
    await this.#parts.store.passStarted(id, role, execution.id)
  }

  async #rebuildOf({ passes }: Reproduction): Promise<Execution | undefined> {
    return passes.rebuild && (await this.#parts.executions.get(passes.rebuild)).execution
  }

  async #lockOf({ id }: Execution): Promise<Digest | 'none'> {
    const { nodes } = await this.#parts.executions.get(id)
    const decision = nodes.find(({ kind }) => kind === 'environment')?.decision
    return decision && 'key' in decision ? decision.key : 'none'
  }

  async #askModels(
    reproduction: Reproduction,
    manifest: ModelVersionManifest,
    { nodes }: Making,
    models: readonly string[],
  ): Promise<void> {
    const { id, passes, tolerance } = reproduction
    const rebuilt = await this.#parts.executions.get(passes.rebuild!)
    const answers: Record<string, Predictions> = {}
    for (const model of models) {
      const [was, is] = [treeOf(nodes, model), treeOf(rebuilt.nodes, model)]
      if (!was || !is) answers[model] = { compared: false, reason: 'one of the two passes logged no such model' }
      else {
        const { project, environmentLock: lock } = manifest
        const question = { project, model, recorded: was, rebuilt: is, lock, tolerance }
        const answer = await this.#parts.models.ask(id, question)
        if (answer) answers[model] = answer
      }
    }
    if (models.every((model) => answers[model])) await this.#parts.store.modelsAsked(id, answers)
  }

  async #listPackages({ id, project }: Reproduction, lock: Digest): Promise<void> {
    const installed = await this.#parts.models.packages(id, { lock, project })
    if (installed) await this.#parts.store.packagesListed(id, installed)
  }

  async #judge(reproduction: Reproduction, comparison: NonNullable<Reproduction['comparison']>): Promise<void> {
    const sentence = tellReproduction(nameOf(reproduction), comparison)
    await this.#parts.store.judged(reproduction, comparison, sentence, this.#parts.clock.now())
    await this.#clearUp(reproduction)
  }

  async #fail(reproduction: Reproduction, error: AppError): Promise<void> {
    await this.#parts.store.failed(reproduction, error.toJSON(), this.#parts.clock.now())
    await this.#clearUp(reproduction)
  }

  async #clearUp({ id, recorded, passes }: Reproduction): Promise<void> {
    this.#reader.forget([recorded, ...Object.values(passes)])
    await this.#parts.models.clearUp(id)
  }

  async #recordOf({ execution: id, model }: ModelVersionManifest): Promise<Making> {
    const found = await this.#parts.executions.get(id).catch((cause: unknown) => {
      if (!isAppError(cause, 'NotFound')) throw cause
      throw new AppError(
        'NotFound',
        `The execution ${id} that made ${model} is not recorded here any more, so there is nothing to compare with.`,
        'Make versions again on the server that made them.',
        { cause },
      )
    })
    if (isExecutionOver(found.execution.state)) return found
    throw new AppError(
      'Conflict',
      `The execution ${id} that made ${model} is still ${found.execution.state}.`,
      'Wait until it is over.',
    )
  }

  async #factsOf(reproduction: Reproduction, { execution, nodes }: Making): Promise<PassFacts> {
    const { passes } = reproduction
    const { model } = reproduction
    const asked = { model, relevant: stepsOfModel(nodes, model), gone: await this.#reader.gone(execution.id) }
    const known: PassFacts['passes'] = {}
    for (const role of passRoles) {
      const pass = passes[role]
      if (pass) known[role] = await this.#reader.pass(pass, asked)
    }
    const recorded = await this.#reader.steps(execution.id, asked)
    const locks = new Set<string>()
    for (const steps of [
      recorded,
      ...Object.values(known).map((pass) => (pass.state === 'succeeded' ? pass.steps : [])),
    ])
      for (const { key } of steps) if (key && key.environment !== 'none') locks.add(key.environment)
    return {
      reproduction,
      recorded,
      recordedAt: Object.fromEntries(nodes.map((node) => [node.id, node.startedAt ?? execution.createdAt])),
      passes: known,
      packages: await this.#packagesOf([...locks] as Digest[]),
      ...(reproduction.predictions ? { predictions: reproduction.predictions } : {}),
      ...(reproduction.installed ? { installed: reproduction.installed } : {}),
    }
  }

  async #packagesOf(locks: readonly Digest[]): Promise<PassFacts['packages']> {
    const packages: Record<string, Record<string, string>> = {}
    for (const digest of locks) {
      const lock = await this.#parts.locks.byDigest(digest)
      if (lock) packages[digest] = packageVersions(lock)
    }
    return packages
  }
}

/** What a version's making left behind. */
type Making = { execution: Execution; nodes: ExecutionNode[] }

const nameOf = ({ model, version }: Reproduction): string => `${model} version ${version}`

/** A fanned-out node is one of several of its step. */
const stepOf = (nodes: readonly ExecutionNode[], id: string): string => nodes.find((node) => node.id === id)?.step ?? id

const treeOf = (nodes: readonly ExecutionNode[], model: string): Digest | undefined =>
  nodes.find((node) => node.kind === 'step' && node.result?.model?.name === model)?.result?.model?.tree

const controlsOf = (controls: Controls | undefined): { controls?: string } =>
  controls ? { controls: JSON.stringify(controls) } : {}
