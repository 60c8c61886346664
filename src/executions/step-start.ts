import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { RunId } from '../kernel/ids.ts'
import type { KeyParts, PlanContext } from '../planning/index.ts'
import type { Environment } from '../ports/environments.ts'
import type { Step } from '../projects/index.ts'
import type { AttemptSecrets } from './attempt-secrets.ts'
import { givesSecrets } from './decide/gives-secrets.ts'
import { cacheVariables, stepEnvironment } from './decide/step-environment.ts'
import { controlsOf, type ExecutionNode } from './execution.ts'
import type { GpuDevices } from './gpu-devices.ts'
import type { RunsDecision, StepRunnerParts, Work } from './step-work.ts'
import { visiblePaths } from './visible-paths.ts'
import {
  type AttemptFolders,
  layOut,
  layOutCheckout,
  modelFolder,
  putCheckpoints,
  takeCheckpoints,
} from './workspace.ts'

type Held = {
  secrets: AttemptSecrets
  gpus: GpuDevices
  folders: (executionId: string, node: Pick<ExecutionNode, 'id' | 'attempt'>) => AttemptFolders
}

/** Everything between an announcement and a command that runs: its folders, what it is given, what it may see and use. */
export class StepStarter {
  readonly #parts: StepRunnerParts
  readonly #held: Held
  /** Between a step's announcement and its start. */
  readonly #tokens = new Map<RunId, string>()

  constructor(parts: StepRunnerParts, held: Held) {
    this.#parts = parts
    this.#held = held
  }

  /** The token that was issued when the step was announced. */
  expect(runId: RunId, token: string): void {
    this.#tokens.set(runId, token)
  }

  async start(work: Work, folders: AttemptFolders): Promise<void> {
    const { node, context, cancelled } = work
    const step = context.file.steps[node.step]!
    const { key, environment } = await this.#facts(work)
    const secrets = await this.#secretsFor(work, step)
    await this.#layOut(work, folders, key)
    for (const dep of step.deps) if (dep.kind === 'data') await this.#checkData(context, dep.name, folders)
    const token = await this.#tokenFor(node.runId!)
    if (cancelled.aborted)
      throw new AppError(
        'Conflict',
        `"${node.id}" was cancelled before it started.`,
        'Start the execution again when you want it.',
      )
    await this.#held.secrets.keep(folders.dir, secrets)
    const env = this.#environment(work, folders, key, { environment, token, secrets })
    await this.#parts.executor.start({
      dir: folders.dir,
      cwd: folders.workspace,
      command: key.command,
      env,
      veil: {
        visible: this.#visible(step, folders, env, environment),
        // Shared with every other step of the same lock: what one wrote there would be in nobody's key.
        readOnly: [this.#parts.bootstrapPath, ...(environment ? [dirname(environment.binPath)] : [])],
        seesAll: !step.isolated,
      },
      ...limitsOf(step),
    })
  }

  /** @throws AppError SecretMissing; Forbidden where somebody from outside asks. */
  async #secretsFor({ execution }: Work, step: Step): Promise<Record<string, string>> {
    if (step.secrets.length === 0) return {}
    if (givesSecrets(execution.trigger))
      return this.#parts.secrets.valuesFor(execution.project, step.secrets, step.name)
    throw new AppError(
      'Forbidden',
      `Step "${step.name}" asks for secrets (${step.secrets.join(', ')}), which what comes from outside is not given.`,
      'Let somebody who may push here push the commit.',
    )
  }

  async #layOut({ execution, context, node }: Work, folders: AttemptFolders, key: KeyParts): Promise<void> {
    const { checkpoints, isolated } = context.file.steps[node.step]!
    const earlier = Array.from({ length: node.attempt - 1 }, (_, back) => node.attempt - 1 - back)
    const attempts = [folders, ...earlier.map((attempt) => this.#held.folders(execution.id, { id: node.id, attempt }))]
    if (checkpoints) await takeCheckpoints(checkpoints, attempts)
    try {
      await layOut(this.#parts, folders, key, async () => {
        if (!isolated) await layOutCheckout(this.#parts.repositories, execution, folders)
      })
    } catch (error) {
      throw isAppError(error, 'ObjectCorrupt') || isAppError(error, 'NotFound')
        ? await this.#altered(execution.id, key, error)
        : error
    }
    if (checkpoints) await putCheckpoints(checkpoints, folders)
    await Promise.all(
      Object.values(this.#cachesOf(context.file.steps[node.step]!)).map((folder) => mkdir(folder, { recursive: true })),
    )
  }

  /**
   * What a step wrote and a loss of power tore has its size, so its plan counted on it. Now that this is known it counts no longer: what
   * carries the execution on makes it again.
   */
  async #altered(executionId: string, key: KeyParts, cause: AppError): Promise<AppError> {
    for (const path of key.trees) {
      const altered = await this.#parts.artifacts.forgetAltered(key.files[path]!.split(' ')[0] as Digest)
      if (altered.length > 0)
        return new AppError(
          'DependencyMissing',
          `What was kept as "${altered[0] || path}" has been altered on the disk since; it was given to nobody and is made again.`,
          `modelwright resume ${executionId}`,
          { cause },
        )
    }
    return new AppError(
      'DependencyMissing',
      `A file that the step takes cannot be given to it: ${cause.message}`,
      'Bring it back: push or import it again, or take it from a backup of the data folder.',
      { cause },
    )
  }

  #visible(
    step: Step,
    folders: AttemptFolders,
    variables: Record<string, string>,
    environment: Environment | undefined,
  ): string[] {
    return visiblePaths({
      folders,
      bootstrapPath: this.#parts.bootstrapPath,
      variables,
      caches: Object.values(this.#cachesOf(step)),
      ...(environment ? { binPath: environment.binPath } : {}),
    })
  }

  #cachesOf({ caches }: Step): Record<string, string> {
    return Object.fromEntries(caches.map((name) => [cacheVariables[name], join(this.#parts.cachesDir, name)]))
  }

  /** The one of the announcement; after a crash in between, which nobody knows any more, another one. */
  async #tokenFor(runId: RunId): Promise<string> {
    const issued = this.#tokens.get(runId)
    this.#tokens.delete(runId)
    if (issued) return issued
    return transact(this.#parts.db, async (tx) => {
      await this.#parts.access.withdrawStepTokens(tx, runId)
      return this.#parts.access.issueStepToken(tx, runId)
    })
  }

  async #checkData(context: PlanContext, dataset: string, folders: AttemptFolders): Promise<void> {
    const data = context.data[dataset]!
    await this.#parts.checkData({ context, dataset, path: join(folders.workspace, data.path), digest: data.digest })
  }

  async #facts(work: Work): Promise<{ key: KeyParts; environment: Environment | undefined }> {
    const key = (work.node.decision as RunsDecision).parts!
    if (key.environment === 'none') return { key, environment: undefined }
    const lock = (await this.#parts.planner.locks.byDigest(key.environment))!
    return {
      key,
      environment: await this.#parts.environments.ensure(
        lock,
        () => {},
        AbortSignal.any([work.cancelled, work.shutdown]),
      ),
    }
  }

  #environment(
    work: Work,
    folders: AttemptFolders,
    key: KeyParts,
    {
      environment,
      token,
      secrets,
    }: { environment: Environment | undefined; token: string; secrets: Record<string, string> },
  ): Record<string, string> {
    const { context, node } = work
    const step = context.file.steps[node.step]!
    const data = step.deps.flatMap((dep) =>
      dep.kind === 'data' ? [[dep.name, join(folders.workspace, context.data[dep.name]!.path)]] : [],
    )
    const models = step.deps.flatMap((dep) =>
      dep.kind === 'model' ? [[dep.name, join(folders.workspace, modelFolder(dep.name))]] : [],
    )
    const variables = step.env.flatMap((name) => {
      const value = this.#parts.variable(name)
      return value === undefined ? [] : [[name, value]]
    })
    return stepEnvironment({
      workspace: folders.workspace,
      home: folders.home,
      temporary: folders.temporary,
      trackingUri: this.#parts.trackingUri(),
      runId: node.runId!,
      token,
      seed: key.seed,
      params: key.params,
      data: Object.fromEntries(data),
      models: Object.fromEntries(models),
      ...(environment ? { python: { binPath: environment.binPath } } : {}),
      bootstrapPath: this.#parts.bootstrapPath,
      ...(key.pythonPath ? { packageFolders: key.pythonPath.map((folder) => join(folders.workspace, folder)) } : {}),
      systemPath: this.#parts.systemPath,
      ...(step.score === undefined ? {} : { program: this.#parts.program }),
      variables: Object.fromEntries(variables),
      secrets,
      caches: this.#cachesOf(step),
      gpus: this.#held.gpus.take(folders.dir, step.resources.gpu, step.name),
      ...(limitsOf(step).limits?.cpus ? { processors: step.resources.cpu } : {}),
      // A notebook's outputs are left there too.
      ...(step.isolated || step.notebook ? { readsPath: join(folders.notes, 'reads') } : {}),
      ...controlsOf(work.execution),
      machine: this.#parts.machine.environment,
    })
  }
}

/** One processor is what a step has without asking: no limit then. */
function limitsOf({ resources: { cpu, memoryBytes } }: Step): { limits?: { memoryBytes?: number; cpus?: number } } {
  if (cpu === 1 && memoryBytes === undefined) return {}
  return { limits: { ...(cpu === 1 ? {} : { cpus: cpu }), ...(memoryBytes === undefined ? {} : { memoryBytes }) } }
}
