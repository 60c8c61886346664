import { appendFile, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AccessService } from '../access/index.ts'
import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { newHexId, type RunId } from '../kernel/ids.ts'
import {
  type KeyParts,
  type NodeDecision,
  type PlanContext,
  type Planner,
  type PlanStore,
  paramsOf,
} from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Environment, Environments } from '../ports/environments.ts'
import type { CommandEnd, Executor } from '../ports/executor.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { TrackingService } from '../tracking/index.ts'
import { runTags } from './decide/run-tags.ts'
import { stepEnvironment } from './decide/step-environment.ts'
import type { Execution, ExecutionNode } from './execution.ts'
import type { ExecutionsStore, NodeChange } from './executions-store.ts'
import { lastLines } from './log-tail.ts'
import { paramsNotLogged, readStepResult } from './step-result.ts'
import { type AttemptFolders, attemptFolders, layOut, modelFolder } from './workspace.ts'

export type StepRunnerParts = {
  db: Db
  clock: Clock
  store: ExecutionsStore
  planner: Planner
  planStore: PlanStore
  objects: ObjectStore
  artifacts: ArtifactService
  executor: Executor
  environments: Environments
  tracking: TrackingService
  access: AccessService
  /** Throws DataChecksFailed with the offending rows. */
  checkData: (request: DataCheckRequest) => Promise<void>
  workDir: string
  trackingUri: () => string
  bootstrapPath: string
  systemPath: string
  machine: { name: string; environment: Record<string, string> }
  variable: (name: string) => string | undefined
}

export type DataCheckRequest = { context: PlanContext; dataset: string; path: string; digest: Digest }

export type RunsDecision = Extract<NodeDecision, { outcome: 'runs' }>

/** What is needed to carry one node on, from whatever state it is in. */
export type Work = {
  execution: Execution
  context: PlanContext
  node: ExecutionNode
  cancelled: AbortSignal
  shutdown: AbortSignal
}

/** A step that a crash lost is tried anew so many times. */
const attemptsAfterLoss = 3
const killGraceMs = 5_000
const toldAsRunningAfterMs = 50

/** Carries one node from where it stands to its end; every line may be the last before a crash. */
export class StepRunner {
  readonly #parts: StepRunnerParts
  readonly #experiments = new Map<string, string>()
  /** Between a step's announcement and its start. */
  readonly #tokens = new Map<RunId, string>()

  constructor(parts: StepRunnerParts) {
    this.#parts = parts
  }

  folders(executionId: string, node: Pick<ExecutionNode, 'id' | 'attempt'>): AttemptFolders {
    return attemptFolders(this.#parts.workDir, executionId, node.id, node.attempt)
  }

  logPath(executionId: string, node: Pick<ExecutionNode, 'id' | 'kind' | 'attempt'>): string {
    const { dir } = this.folders(executionId, node)
    return node.kind === 'environment' ? join(dir, 'log') : this.#parts.executor.logPath(dir)
  }

  /** Records that the node is about to start: its run, its attempt and why. From here on a crash is noticed. */
  async announce(
    execution: Execution,
    node: ExecutionNode,
    context: PlanContext,
    decision: RunsDecision,
  ): Promise<ExecutionNode> {
    const now = this.#parts.clock.now()
    const announced: ExecutionNode = { ...node, state: 'starting', decision, attempt: node.attempt + 1, startedAt: now }
    const experimentId = await this.#experimentOf(execution.project)
    await transact(this.#parts.db, async (tx) => {
      if (node.kind !== 'environment') {
        announced.runId = newHexId(now) as RunId
        await this.#parts.tracking.startRun(tx, {
          runId: announced.runId,
          experimentId,
          name: node.id,
          userId: 'modelwright',
          startedAt: now,
          tags: runTags({ machine: this.#parts.machine.name, execution, node, context, decision }),
        })
        this.#tokens.set(announced.runId, await this.#parts.access.issueStepToken(tx, announced.runId))
      }
      await this.#change(tx, execution, announced, {
        state: 'starting',
        decision,
        attempt: announced.attempt,
        startedAt: now,
        ...(announced.runId ? { runId: announced.runId } : {}),
      })
    })
    return announced
  }

  async #experimentOf(project: string): Promise<string> {
    const known = this.#experiments.get(project) ?? (await this.#parts.tracking.experimentNamed(project))
    this.#experiments.set(project, known)
    return known
  }

  /** Brings an announced (or adopted) node to its end. Returns early, without an end, when the server shuts down. */
  async carry(work: Work): Promise<void> {
    try {
      if (work.node.kind === 'environment') await this.#carryEnvironment(work)
      else await this.#carryStep(work)
    } catch (error) {
      if (work.shutdown.aborted) return
      if (!isAppError(error) || error.culprit === 'ours') throw error
      await this.#endBadly(work, work.cancelled.aborted ? 'cancelled' : 'failed', error)
    }
  }

  async #carryEnvironment({ execution, context, node, cancelled, shutdown }: Work): Promise<void> {
    const { planner, environments, clock } = this.#parts
    const log = this.logPath(execution.id, node)
    await mkdir(dirname(log), { recursive: true })
    let writing = Promise.resolve()
    const onLine = (line: string) => {
      writing = writing.then(() => appendFile(log, `${line}\n`))
    }
    const signal = AbortSignal.any([cancelled, shutdown])
    try {
      const request = (await planner.environmentRequest(context))!
      const lock =
        (await planner.knownLock(request)) ??
        (await planner.rememberLock(request, await environments.resolve(request, onLine, signal)))
      await environments.ensure(lock, onLine, signal)
      const decision: NodeDecision = { outcome: 'runs', key: lock.digest, reasons: node.decision?.reasons ?? [] }
      await transact(this.#parts.db, (tx) =>
        this.#change(tx, execution, node, { state: 'succeeded', decision, endedAt: clock.now() }),
      )
    } finally {
      await writing
    }
  }

  async #carryStep(work: Work): Promise<void> {
    const { execution, node } = work
    const folders = this.folders(execution.id, node)
    const seen = await this.#parts.executor.observe(folders.dir)
    if (seen.state === 'absent') await this.#start(work, folders)
    const end = await this.#endOf(work, folders)
    if (work.shutdown.aborted) return
    if (work.cancelled.aborted) await this.#cancelled(work)
    else if (end.code === undefined) await this.#lost(work)
    else await this.#settle(work, folders, end)
  }

  /** `running` is only told of what runs for a moment: a step that is over at once costs no transaction for it. */
  async #endOf(work: Work, folders: AttemptFolders): Promise<CommandEnd> {
    const ended = this.#parts.executor.ended(folders.dir, work.shutdown)
    if (work.node.state === 'running') return ended
    const enough = new AbortController()
    const soon = ended.finally(() => enough.abort())
    await Promise.race([soon, this.#parts.clock.sleep(toldAsRunningAfterMs, enough.signal)])
    if (!enough.signal.aborted) await this.#markRunning(work)
    return soon
  }

  /** Cancelled is what nothing is left of: the command may be gone before its children are. */
  async #cancelled(work: Work): Promise<void> {
    const { execution, node } = work
    await this.kill(execution.id, node)
    const error = new AppError('Conflict', `"${node.id}" was cancelled.`, 'Start the execution again when you want it.')
    await this.#endBadly(work, 'cancelled', error)
  }

  async #start(work: Work, folders: AttemptFolders): Promise<void> {
    const { node, context, cancelled } = work
    const { key, environment } = await this.#facts(work)
    await layOut(this.#parts, folders, key)
    for (const dep of context.file.steps[node.step]!.deps)
      if (dep.kind === 'data') await this.#checkData(context, dep.name, folders)
    const token = await this.#tokenFor(node.runId!)
    if (cancelled.aborted)
      throw new AppError(
        'Conflict',
        `"${node.id}" was cancelled before it started.`,
        'Start the execution again when you want it.',
      )
    await this.#parts.executor.start({
      dir: folders.dir,
      cwd: folders.workspace,
      command: key.command,
      env: this.#environment(work, folders, key, environment, token),
    })
    // A cancel that came while it started found nothing to end.
    if (cancelled.aborted) await this.kill(work.execution.id, node)
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
    const lock = (await this.#parts.planner.lockByDigest(key.environment))!
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
    environment: Environment | undefined,
    token: string,
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
      systemPath: this.#parts.systemPath,
      variables: Object.fromEntries(variables),
      machine: this.#parts.machine.environment,
    })
  }

  async #markRunning({ execution, node }: Work): Promise<void> {
    await transact(this.#parts.db, (tx) => this.#change(tx, execution, node, { state: 'running' }))
    node.state = 'running'
  }

  async #settle(work: Work, folders: AttemptFolders, end: CommandEnd): Promise<void> {
    const { execution, node, context } = work
    if (end.code !== 0) {
      await this.#parts.executor.kill(folders.dir, 0)
      throw await this.#commandFailed(work, end)
    }
    const step = context.file.steps[node.step]!
    const decision = node.decision as RunsDecision
    const result = await readStepResult(this.#parts, { node, step, folders })
    const params = await paramsNotLogged(this.#parts, node.runId!, paramsOf(step, context.set))
    const now = this.#parts.clock.now()
    await transact(this.#parts.db, async (tx) => {
      await this.#parts.planStore.rememberResult(tx, {
        key: decision.key,
        project: execution.project,
        step: node.id,
        parts: decision.parts!,
        result,
        now,
      })
      if (params.length > 0) await this.#parts.tracking.logParams(tx, node.runId!, params)
      await this.#endRun(tx, node, 'FINISHED', now)
      await this.#change(tx, execution, node, { state: 'succeeded', result, endedAt: now })
    })
  }

  async #commandFailed({ execution, node }: Work, end: CommandEnd): Promise<AppError> {
    const tail = await lastLines(this.logPath(execution.id, node))
    const said = tail ? ` Its last words: ${tail}` : ''
    return new AppError(
      'StepFailed',
      `"${node.id}" ended with exit status ${end.code}.${said}`,
      `Read its log: modelwright logs ${execution.id} ${node.id}${/No such file or directory|FileNotFoundError/.test(tail) ? '. A step sees only the files that its deps: declare' : ''}`,
    )
  }

  async #lost(work: Work): Promise<void> {
    const { execution, node } = work
    // Its children may have outlived the runner.
    await this.kill(execution.id, node)
    if (node.attempt >= attemptsAfterLoss)
      throw new AppError(
        'StepLost',
        `"${node.id}" was lost ${node.attempt} times without an exit status.`,
        'Look into the machine (memory, power), then start the execution again.',
      )
    await transact(this.#parts.db, async (tx) => {
      await this.#endRun(tx, node, 'KILLED', this.#parts.clock.now())
      await this.#change(tx, execution, node, { state: 'waiting' })
    })
  }

  async #endBadly({ execution, node }: Work, state: 'failed' | 'cancelled', error: AppError): Promise<void> {
    const now = this.#parts.clock.now()
    await transact(this.#parts.db, async (tx) => {
      if (node.runId) await this.#endRun(tx, node, state === 'cancelled' ? 'KILLED' : 'FAILED', now)
      await this.#change(tx, execution, node, { state, error: error.toJSON(), endedAt: now })
    })
  }

  async #endRun(
    tx: Parameters<AccessService['withdrawStepTokens']>[0],
    node: ExecutionNode,
    status: 'FINISHED' | 'FAILED' | 'KILLED',
    now: number,
  ): Promise<void> {
    await this.#parts.tracking.endRun(tx, node.runId!, status, now)
    await this.#parts.access.withdrawStepTokens(tx, node.runId!)
  }

  /** Ends what runs of a node, whole; its carrying then settles it as cancelled. */
  async kill(executionId: string, node: ExecutionNode): Promise<void> {
    if (node.kind !== 'environment') await this.#parts.executor.kill(this.folders(executionId, node).dir, killGraceMs)
  }

  /**
   * Before an execution is called over: what its commands left in the background ends, and its workspaces go, but for those of
   * failed steps, which stay for their author to look into.
   */
  async clearUp(executionId: string, nodes: readonly ExecutionNode[]): Promise<void> {
    const carried = nodes.filter((node) => node.attempt > 0 && node.kind !== 'environment')
    if (carried.length === 0) return
    await this.#parts.executor.sweep(carried.map((node) => this.folders(executionId, node).dir))
    for (const node of carried.filter(({ state }) => state === 'succeeded')) {
      const { workspace, home, temporary } = this.folders(executionId, node)
      await Promise.all([workspace, home, temporary].map((folder) => rm(folder, { recursive: true, force: true })))
    }
  }

  #change(
    tx: Parameters<ExecutionsStore['changeNode']>[0],
    execution: Execution,
    node: ExecutionNode,
    change: NodeChange,
  ): Promise<void> {
    return this.#parts.store.changeNode(tx, execution, node.id, change, this.#parts.clock.now())
  }
}
