import { appendFile, mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { AccessService } from '../access/index.ts'
import { transact } from '../db/index.ts'
import { AppError, isTheirs, messageOf } from '../kernel/errors.ts'
import { type CommitId, newHexId, type RunId } from '../kernel/ids.ts'
import { type NodeDecision, type PlanContext, paramsOf } from '../planning/index.ts'
import type { CommandEnd } from '../ports/executor.ts'
import type { FailureKind } from '../projects/index.ts'
import { artifactFolderOf } from '../tracking/index.ts'
import { type Ended, executedNotebook, type Failure, failureOfAttempt, undeclared } from './attempt-end.ts'
import { AttemptSecrets } from './attempt-secrets.ts'
import { datasetVersionOf } from './dataset-version.ts'
import { afterFailure } from './decide/after-failure.ts'
import { runTags } from './decide/run-tags.ts'
import { controlsOf, type Execution, type ExecutionNode, isOver, isPreparation } from './execution.ts'
import type { ExecutionsStore, NodeChange } from './executions-store.ts'
import { GpuDevices } from './gpu-devices.ts'
import { Leftovers } from './leftovers.ts'
import { maskFile, StepLog } from './step-log.ts'
import { paramsNotLogged, readStepResult } from './step-result.ts'
import { StepStarter } from './step-start.ts'
import { type WatchParts, watchStep } from './step-watch.ts'
import type { RunsDecision, StepRunnerParts, Work } from './step-work.ts'
import { programFolders } from './visible-paths.ts'
import { type AttemptFolders, attemptFolders, strayFiles } from './workspace.ts'

const killGraceMs = 5_000
const toldAsRunningAfterMs = 50
const tailLines = 200
const toldStrays = 5
const commitsInMind = 8

/** Carries one node from where it stands to its end; every line may be the last before a crash. */
export class StepRunner {
  readonly #parts: StepRunnerParts
  readonly #experiments = new Map<string, string>()
  readonly #secrets: AttemptSecrets
  readonly #gpus: GpuDevices
  readonly #starter: StepStarter
  readonly #leftovers: Leftovers
  readonly #commits = new Map<CommitId, Promise<ReadonlySet<string>>>()

  constructor(parts: StepRunnerParts) {
    this.#parts = parts
    this.#secrets = new AttemptSecrets(parts.box)
    this.#gpus = new GpuDevices(parts.gpuCount)
    this.#leftovers = new Leftovers(parts.log)
    const folders: StepRunner['folders'] = (executionId, node) => this.folders(executionId, node)
    this.#starter = new StepStarter(parts, { secrets: this.#secrets, gpus: this.#gpus, folders })
  }

  folders(executionId: string, node: Pick<ExecutionNode, 'id' | 'attempt'>): AttemptFolders {
    return attemptFolders(this.#parts.workDir, executionId, node.id, node.attempt)
  }

  /** Steps will soon be carried. */
  prepare(): void {
    this.#parts.executor.prepare()
  }

  #logPath(executionId: string, node: Pick<ExecutionNode, 'id' | 'kind' | 'attempt'>): string {
    const { dir } = this.folders(executionId, node)
    return isPreparation(node) ? join(dir, 'log') : this.#parts.executor.logPath(dir)
  }

  /** The one way to read what a node wrote: secrets are masked in it. */
  async logOf(
    executionId: string,
    node: Pick<ExecutionNode, 'id' | 'kind' | 'attempt'>,
    { ended }: { ended: boolean },
  ): Promise<StepLog> {
    const { dir } = this.folders(executionId, node)
    const [mask, gap] = await Promise.all([this.#secrets.maskFor(dir), this.#parts.executor.logGap(dir)])
    return new StepLog({ path: this.#logPath(executionId, node), mask, gap, ended })
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
      if (!isPreparation(node)) {
        announced.runId = newHexId(now) as RunId
        await this.#parts.tracking.startRun(tx, {
          runId: announced.runId,
          experimentId,
          name: node.id,
          userId: 'modelwright',
          startedAt: now,
          tags: runTags({ machine: this.#parts.machine.name, execution, node, context, decision }),
        })
        this.#starter.expect(announced.runId, await this.#parts.access.issueStepToken(tx, announced.runId))
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
      else if (work.node.kind === 'data') await this.#carryData(work)
      else await this.#carryStep(work)
    } catch (error) {
      if (work.shutdown.aborted) return
      if (!isTheirs(error) && !work.cancelled.aborted) throw error
      // What a cancel interrupts says so in its own way; nobody waits for its result any more.
      if (isTheirs(error)) await this.#endBadly(work, work.cancelled.aborted ? 'cancelled' : 'failed', error)
      else await this.#cancelled(work)
    }
    if (!work.shutdown.aborted && !isPreparation(work.node)) this.#letGo(work)
  }

  /** What an attempt that is over still holds of the machine. */
  #letGo({ execution, node }: Work): void {
    const { dir } = this.folders(execution.id, node)
    this.#parts.executor.dissolve(dir)
    this.#gpus.release(dir)
  }

  async #carryEnvironment({ execution, context, node, cancelled, shutdown }: Work): Promise<void> {
    const { planner, environments, clock } = this.#parts
    const signal = AbortSignal.any([cancelled, shutdown])
    await this.#logging(execution, node, async (onLine) => {
      const request = (await planner.locks.requestOf(context))!
      const lock =
        (await planner.locks.known(request, context)) ??
        (await planner.locks.remember(request, await environments.resolve(request, onLine, signal)))
      await environments.ensure(lock, onLine, signal)
      const decision: NodeDecision = { outcome: 'runs', key: lock.digest, reasons: node.decision?.reasons ?? [] }
      await transact(this.#parts.db, (tx) =>
        this.#change(tx, execution, node, { state: 'succeeded', decision, endedAt: clock.now() }),
      )
    })
  }

  /** What was fetched joins what the execution was made from, in the same transaction. */
  async #carryData({ execution, context, node, cancelled, shutdown }: Work): Promise<void> {
    const { planner, artifacts, store, clock, db } = this.#parts
    await this.#logging(execution, node, async (onLine) => {
      const input = await planner.fetchData(context, node, onLine, AbortSignal.any([cancelled, shutdown]))
      const endedAt = clock.now()
      const decision: NodeDecision = { outcome: 'runs', key: input.digest, reasons: node.decision?.reasons ?? [] }
      await transact(db, async (tx) => {
        await artifacts.recordDatasetVersion(tx, datasetVersionOf(execution.project, input, endedAt))
        await store.fixData(tx, execution.id, input)
        await this.#change(tx, execution, node, { state: 'succeeded', decision, endedAt })
      })
    })
  }

  /** The log of what is no command. */
  async #logging(
    execution: Execution,
    node: ExecutionNode,
    work: (onLine: (line: string) => void) => Promise<void>,
  ): Promise<void> {
    const log = this.#logPath(execution.id, node)
    await mkdir(dirname(log), { recursive: true })
    let writing = Promise.resolve()
    try {
      await work((line) => {
        writing = writing.then(() => appendFile(log, `${line}\n`))
      })
    } finally {
      await writing
    }
  }

  async #carryStep(work: Work): Promise<void> {
    const { execution, node } = work
    const folders = this.folders(execution.id, node)
    const seen = await this.#parts.executor.observe(folders.dir)
    if (seen.state === 'absent') await this.#starter.start(work, folders)
    else this.#gpus.adopt(folders.dir)
    // A cancel that came while it started found nothing to end.
    if (seen.state === 'absent' && work.cancelled.aborted) await this.kill(execution.id, node)
    const end = await this.#endOf(work, folders)
    if (work.shutdown.aborted) return
    if (work.cancelled.aborted) await this.#cancelled(work)
    else if (end.code === undefined) await this.#lost(work, folders)
    else await this.#settle(work, folders, end)
  }

  /** `running` is only told of what runs for a moment: a step that is over at once costs no transaction for it, and is not watched. */
  async #endOf(work: Work, folders: AttemptFolders): Promise<CommandEnd> {
    const over = new AbortController()
    const ended = this.#parts.executor.ended(folders.dir, work.shutdown).finally(() => over.abort())
    // While the command has the machine.
    this.#leftovers.removeSmall()
    if (work.node.state !== 'running')
      await Promise.race([ended, this.#parts.clock.sleep(toldAsRunningAfterMs, over.signal)])
    if (over.signal.aborted) return ended
    const watching = this.#watch(work, folders, over.signal)
    try {
      if (work.node.state !== 'running') await this.#markRunning(work)
      return await ended
    } finally {
      over.abort()
      await watching
    }
  }

  async #watch({ context, node }: Work, { dir }: AttemptFolders, over: AbortSignal): Promise<void> {
    const { clock, executor, machine, logBytes, tracking, db, log } = this.#parts
    const trouble = (error: unknown) => log.error({ err: error, node: node.id }, 'a step could not be watched')
    const logMetrics: WatchParts['logMetrics'] = (metrics) =>
      transact(db, (tx) => tracking.logMetrics(tx, node.runId!, metrics)).catch(trouble)
    const parts: WatchParts = {
      clock,
      executor,
      machine,
      gpus: machine.gpus,
      logBytes,
      killGraceMs,
      logMetrics,
      trouble,
    }
    await watchStep(parts, { dir, timeoutMs: context.file.steps[node.step]!.timeoutMs, over }).catch(trouble)
  }

  /** Cancelled is what nothing is left of: the command may be gone before its children are. */
  async #cancelled(work: Work): Promise<void> {
    const { execution, node } = work
    await this.kill(execution.id, node)
    await this.#closeLog(this.folders(execution.id, node))
    const error = new AppError('Conflict', `"${node.id}" was cancelled.`, 'Start the execution again when you want it.')
    await this.#endBadly(work, 'cancelled', error)
  }

  async #markRunning({ execution, node }: Work): Promise<void> {
    await transact(this.#parts.db, (tx) => this.#change(tx, execution, node, { state: 'running' }))
    node.state = 'running'
  }

  async #settle(work: Work, folders: AttemptFolders, end: CommandEnd): Promise<void> {
    const { execution, node, context } = work
    const ended = await this.#endedOf(work, folders)
    await this.#keepNotebook(work, folders)
    if (end.code !== 0) {
      await this.#parts.executor.kill(folders.dir, 0)
      await this.#closeLog(folders)
      return this.#failed(work, await failureOfAttempt(ended, { ...end, code: end.code! }))
    }
    await this.#tellStrays(work, folders)
    await this.#closeLog(folders)
    const unread = await undeclared(ended)
    if (unread) throw unread
    const step = context.file.steps[node.step]!
    const decision = node.decision as RunsDecision
    const logged = await this.#parts.tracking.logged(node.runId!)
    const result = await readStepResult(this.#parts, { node, step, folders, logged })
    const params = paramsNotLogged(logged, paramsOf(step, context.set))
    const now = this.#parts.clock.now()
    await transact(this.#parts.db, async (tx) => {
      const { id: executionId, project, commit } = execution
      const kept = {
        key: decision.key,
        project,
        step: node.id,
        parts: decision.parts!,
        result,
        executionId,
        commit,
        now,
      }
      // What came of a clock that stood still is true for nobody else.
      if (!controlsOf(execution).controls)
        await this.#parts.planStore.rememberResult(tx, kept, { replaces: execution.trigger.kind !== 'reproduction' })
      if (params.length > 0) await this.#parts.tracking.logParams(tx, node.runId!, params)
      await this.#endRun(tx, node, 'FINISHED', now)
      await this.#change(tx, execution, node, { state: 'succeeded', result, endedAt: now })
    })
    this.#leftovers.add(folders)
  }

  async #endedOf({ execution, node, context }: Work, folders: AttemptFolders): Promise<Ended> {
    return {
      executionId: execution.id,
      node: node.id,
      step: context.file.steps[node.step]!,
      file: context.file,
      folders,
      key: (node.decision as RunsDecision).parts!,
      veil: () => this.#veilOf(folders),
      commitPaths: () => this.#pathsOf(execution),
      tail: async () => (await (await this.logOf(execution.id, node, { ended: true })).tail(tailLines)).text,
    }
  }

  /** As the veil has them, told apart after the step: of the data folder, what lies in it for all is left out of account. */
  async #veilOf({ workspace, home, temporary, notes }: AttemptFolders): ReturnType<Ended['veil']> {
    const { veil } = await this.#parts.executor.abilities()
    if (!veil.holds) return { hidden: [], visible: [] }
    const { hidden, dataDir, workDir, cachesDir, systemPath } = this.#parts
    return {
      hidden: [...hidden.filter((path) => path !== dataDir), workDir],
      visible: [dataDir, workspace, home, temporary, notes, cachesDir, ...programFolders(systemPath)],
    }
  }

  /** Read for a failure only, and once for the many that one commit may have. */
  #pathsOf({ project, commit }: Execution): Promise<ReadonlySet<string>> {
    const known = this.#commits.get(commit)
    if (known) return known
    const reading = this.#parts.repositories
      .tree(project, commit)
      .then((entries) => new Set(entries.map(({ path }) => path)))
    reading.catch(() => this.#commits.delete(commit))
    const [oldest] = this.#commits.keys()
    if (this.#commits.size >= commitsInMind && oldest) this.#commits.delete(oldest)
    this.#commits.set(commit, reading)
    return reading
  }

  /** Once nothing writes to it any more: secrets go from the log for good, and then what was needed to mask them. */
  async #closeLog({ dir }: AttemptFolders): Promise<void> {
    const mask = await this.#secrets.maskFor(dir)
    if (mask.reach === 0) return
    await maskFile(this.#parts.executor.logPath(dir), mask, await this.#parts.executor.logGap(dir))
    await this.#secrets.forget(dir)
  }

  /** What a step wrote and did not declare is not an error, but somebody may look for it. */
  async #tellStrays({ context, node }: Work, folders: AttemptFolders): Promise<void> {
    const step = context.file.steps[node.step]!
    if (!step.isolated) return
    const { files, outs } = (node.decision as RunsDecision).parts!
    const own = [step.checkpoints, typeof step.metrics === 'string' ? step.metrics : 'metrics.json', step.notebook]
    const known = [...Object.keys(files), ...outs, ...own.flatMap((path) => path ?? [])]
    const strays = strayFiles(folders, known, toldStrays + 1)
    const lines = strays
      .slice(0, toldStrays)
      .map((path) => `modelwright: wrote "${path}", which no outs: names: it is thrown away\n`)
    if (strays.length > toldStrays) lines.push('modelwright: and more that no outs: names\n')
    if (lines.length > 0) await appendFile(this.#parts.executor.logPath(folders.dir), lines.join(''))
  }

  /** Also of a step that failed: there the cell says why. */
  async #keepNotebook({ context, node }: Work, folders: AttemptFolders): Promise<void> {
    const { notebook } = context.file.steps[node.step]!
    const file = notebook === undefined ? undefined : await executedNotebook(folders)
    if (!file) return
    const folder = artifactFolderOf((await this.#parts.tracking.run(node.runId!)).artifactUri)
    if (folder !== undefined)
      await this.#parts.artifacts.files.put(`${folder}/notebooks/${basename(notebook!)}`, file.createReadStream())
    else await file.close()
  }

  /** Ends the attempt, and the step with it unless it may be tried again. */
  async #failed(work: Work, { kind, error, final }: Failure): Promise<void> {
    const { execution, node, context } = work
    const now = this.#parts.clock.now()
    const after = final
      ? { outcome: 'ends' as const }
      : afterFailure(context.file.steps[node.step]!.retries, kind, node.attempt, now)
    if (after.outcome === 'ends') return this.#endBadly(work, 'failed', error, kind)
    await transact(this.#parts.db, async (tx) => {
      await this.#endRun(tx, node, kind === 'lost' ? 'KILLED' : 'FAILED', now)
      await this.#change(tx, execution, node, {
        state: 'waiting',
        notBefore: after.notBefore,
        failure: kind,
        error: error.toJSON(),
      })
    })
  }

  /** Shown at the node and in its log while it is tried again. */
  async tellTrouble(work: Work, cause: unknown): Promise<void> {
    const recorded = await this.#asRecorded(work)
    if (!recorded) return
    const { execution, node } = recorded
    const error = new AppError(
      'StepStuck',
      `"${node.id}" could not be carried on: ${messageOf(cause)}. It is tried again for some minutes.`,
      'Read the server log; what the step wrote so far is kept.',
    )
    await transact(this.#parts.db, (tx) =>
      this.#change(tx, execution, node, { state: node.state, error: error.toJSON() }),
    )
    // Of an attempt; one that was not announced has none.
    if (node.attempt === 0) return
    const log = this.#logPath(execution.id, node)
    await mkdir(dirname(log), { recursive: true })
    await appendFile(log, `modelwright: ${error.message}\n`)
  }

  /** The end of a node at which Modelwright itself fails: nothing of it runs on. */
  async giveUp(work: Work, cause: unknown, tries: number): Promise<void> {
    const recorded = await this.#asRecorded(work)
    if (!recorded) return
    const { execution, node } = recorded
    await this.kill(execution.id, node)
    // Where it cannot be overwritten, it stays sealed what is masked for every reader.
    if (!isPreparation(node))
      await this.#closeLog(this.folders(execution.id, node)).catch((error: unknown) =>
        this.#parts.log.error({ err: error, node: node.id }, 'a log could not be closed'),
      )
    const error = new AppError(
      'StepStuck',
      `"${node.id}" was given up after ${tries} tries, each of which failed in Modelwright itself: ${messageOf(cause)}.`,
      `Mend what that names, or report it with the server log; then: modelwright resume ${execution.id}`,
      { cause },
    )
    await this.#endBadly(recorded, 'failed', error)
    if (!isPreparation(node)) this.#letGo(recorded)
  }

  /** What seemed to fail may be written all the same: the answer of a database may be lost, not the change. Undefined where it is over. */
  async #asRecorded(work: Work): Promise<Work | undefined> {
    const node = await this.#parts.store.node(work.execution.id, work.node.id)
    if (node && !isOver(node.state)) return { ...work, node }
    if (!isPreparation(work.node)) this.#letGo(work)
    return undefined
  }

  async #lost(work: Work, folders: AttemptFolders): Promise<void> {
    const { execution, node } = work
    // Its children may have outlived the runner.
    await this.kill(execution.id, node)
    await this.#closeLog(folders)
    const error = new AppError(
      'StepLost',
      `"${node.id}" was lost ${node.attempt === 1 ? 'once' : `${node.attempt} times`} without an exit status.`,
      'Look into the machine (memory, power), then start the execution again.',
    )
    await this.#failed(work, { kind: 'lost', error, final: false })
  }

  async #endBadly(
    { execution, node }: Work,
    state: 'failed' | 'cancelled',
    error: AppError,
    failure?: FailureKind,
  ): Promise<void> {
    const now = this.#parts.clock.now()
    await transact(this.#parts.db, async (tx) => {
      if (node.runId) await this.#endRun(tx, node, state === 'cancelled' ? 'KILLED' : 'FAILED', now)
      await this.#change(tx, execution, node, {
        state,
        error: error.toJSON(),
        endedAt: now,
        ...(failure ? { failure } : {}),
      })
    })
  }

  async #endRun(
    tx: Parameters<AccessService['withdrawStepTokens']>[0],
    node: ExecutionNode,
    status: 'FINISHED' | 'FAILED' | 'KILLED',
    now: number,
  ): Promise<void> {
    const { price, tracking } = this.#parts
    if (price) await tracking.setTags(tx, node.runId!, costTags(price, now - (node.startedAt ?? now)))
    await tracking.endRun(tx, node.runId!, status, now)
    await this.#parts.access.withdrawStepTokens(tx, node.runId!)
  }

  /** Ends what runs of a node, whole; its carrying then settles it as cancelled. */
  async kill(executionId: string, node: ExecutionNode): Promise<void> {
    if (!isPreparation(node)) await this.#parts.executor.kill(this.folders(executionId, node).dir, killGraceMs)
  }

  /**
   * Before an execution is called over: what its commands left in the background ends, and its workspaces go, but for those of
   * failed steps, which stay for their author to look into.
   */
  async clearUp(executionId: string, nodes: readonly ExecutionNode[]): Promise<void> {
    const carried = nodes.filter((node) => node.attempt > 0 && !isPreparation(node))
    if (carried.length === 0) return
    await this.#leftovers.rest()
    await this.#parts.executor.sweep(carried.map((node) => this.folders(executionId, node).dir))
    const ended = carried.filter(({ state }) => state === 'succeeded')
    await this.#leftovers.removeAll(
      ended.flatMap(({ id, attempt: last }) =>
        Array.from({ length: last }, (_, before) => this.folders(executionId, { id, attempt: last - before })),
      ),
    )
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

const costTags = ({ perHour, currency }: { perHour: number; currency: string }, ms: number) => [
  { key: 'modelwright.machine_seconds', value: (ms / 1000).toFixed(1) },
  { key: 'modelwright.cost', value: `${((perHour * ms) / 3_600_000).toFixed(4)} ${currency}` },
]
