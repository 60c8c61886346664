import { open } from 'node:fs/promises'
import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { AppEvent } from '../kernel/events.ts'
import { type CommitId, type ExecutionId, newId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import { graphOf, type Plan, type Planner, type PlanRequest } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Repositories } from '../ports/repository.ts'
import { changesOnlyDeployments, type JsonScalar, type ProjectsService, projectFileName } from '../projects/index.ts'
import { type Execution, type ExecutionNode, isExecutionOver, isOver, type Trigger } from './execution.ts'
import type { ExecutionsStore } from './executions-store.ts'
import type { StepRunner } from './step-runner.ts'

type Parts = {
  db: Db
  clock: Clock
  store: ExecutionsStore
  runner: StepRunner
  planner: Planner
  projects: ProjectsService
  repositories: Repositories
  artifacts: Pick<ArtifactService, 'recordDatasetVersion'>
  /** Something is to be done: the engine looks at once. */
  wake: () => void
}

export type StartRequest = {
  project: string
  commit: CommitId
  trigger: Trigger
  deployable: boolean
  requestedBy: string
  /** One execution per cause. */
  cause: string
  set?: Record<string, JsonScalar>
  only?: string
}

/** Starting, cancelling and reading executions. */
export class ExecutionsService {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Plans and records an execution; the engine carries it out. A cause that was answered before gives the execution that answered it. */
  async start(request: StartRequest): Promise<{ execution: Execution; plan?: Plan; existed: boolean }> {
    const { store, clock, db, planner } = this.#parts
    const existing = await store.byCause(request.cause)
    if (existing) return { execution: existing, existed: true }
    const now = clock.now()
    const id = newId(now) as ExecutionId
    const { plan, context } = await planner.plan(planRequest(request, id))
    const { file: _, ...fixed } = context
    const execution: Execution = {
      id,
      project: request.project,
      commit: request.commit,
      trigger: request.trigger,
      deployable: request.deployable,
      ...(request.only ? { only: request.only } : {}),
      fixed,
      state: 'queued',
      requestedBy: request.requestedBy,
      createdAt: now,
    }
    const nodes = graphOf(context.file, {
      ...(request.only ? { only: request.only } : {}),
      champions: Object.keys(context.champions),
    })
    const created = await transact(db, async (tx) => {
      for (const { dataset, digest, path } of Object.values(fixed.data))
        await this.#parts.artifacts.recordDatasetVersion(tx, {
          project: request.project,
          dataset,
          digest,
          rows: undefined,
          origin: { kind: 'git', path },
          createdAt: now,
        })
      return store.create(tx, execution, request.cause, nodes)
    })
    if (!created) return { execution: (await store.byCause(request.cause))!, existed: true }
    this.#parts.wake()
    return { execution, plan, existed: false }
  }

  /** A branch moved: plan and run, unless nothing but the desired state changed. */
  async onBranchMoved(event: Extract<AppEvent, { type: 'branch.moved' }>): Promise<void> {
    const { project, branch, from, to, actor, origin } = event.payload
    if (origin === 'modelwright' || branch.startsWith('modelwright/')) return
    if (from && (await this.#onlyDeploymentsChanged(project, from, to))) return
    const { branch: authoritative } = await this.#parts.projects.get(project)
    const trigger: Trigger = { kind: 'push', branch, actor }
    await this.start({
      project,
      commit: to,
      trigger,
      deployable: branch === authoritative,
      requestedBy: actor,
      cause: `branch.moved:${event.id}`,
    }).catch(async (error: unknown) => {
      // The hook refuses such a commit; one that came in all the same (a branch made of an old commit) is told of, not retried.
      if (!isAppError(error) || error.culprit === 'ours') throw error
    })
  }

  async get(id: string): Promise<{ execution: Execution; nodes: ExecutionNode[] }> {
    const execution = await this.#parts.store.execution(id)
    if (!execution)
      throw new AppError('NotFound', `There is no execution "${id}".`, '`modelwright runs` lists the executions.')
    return { execution, nodes: await this.#parts.store.nodes(id) }
  }

  async list(filter: { project?: string; commit?: string; before?: string; limit: number }): Promise<Execution[]> {
    return this.#parts.store.list(filter)
  }

  async cancel(id: string, actor: Actor): Promise<Execution> {
    const { execution } = await this.get(id)
    if (isExecutionOver(execution.state))
      throw new AppError(
        'Conflict',
        `The execution is over: it ${execution.state}.`,
        'There is nothing left to cancel.',
      )
    await transact(this.#parts.db, (tx) =>
      this.#parts.store.setState(tx, execution, 'cancelling', this.#parts.clock.now(), `cancelled by ${actor.name}`),
    )
    this.#parts.wake()
    return { ...execution, state: 'cancelling' }
  }

  /** A piece of a node's log from a byte offset on; `ended` when no more will come. */
  async log(
    id: string,
    nodeId: string,
    range: { offset: number; limit: number },
  ): Promise<{ text: string; offset: number; ended: boolean }> {
    const { execution, nodes } = await this.get(id)
    const node = nodes.find((candidate) => candidate.id === nodeId)
    if (!node)
      throw new AppError(
        'NotFound',
        `The execution has no step "${nodeId}"; it has: ${nodes.map((n) => n.id).join(', ')}.`,
        'Name one of them.',
      )
    const source = await this.#logSource(execution, node)
    const ended = isOver(source.node.state)
    const file = await open(this.#parts.runner.logPath(source.execution.id, source.node)).catch(() => undefined)
    if (!file) return { text: '', offset: range.offset, ended }
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(range.limit), 0, range.limit, range.offset)
      const whole = bytesRead < range.limit ? bytesRead : lastWholeLine(buffer, bytesRead)
      return {
        text: buffer.toString('utf8', 0, whole),
        offset: range.offset + whole,
        ended: ended && bytesRead < range.limit,
      }
    } finally {
      await file.close()
    }
  }

  /** A reused step shows the log of the execution that carried it out. */
  async #logSource(execution: Execution, node: ExecutionNode): Promise<{ execution: Execution; node: ExecutionNode }> {
    const owner = node.state === 'reused' && node.runId ? await this.#parts.store.nodeOfRun(node.runId) : undefined
    if (!owner) return { execution, node }
    const origin = await this.get(owner.executionId)
    const carried = origin.nodes.find((candidate) => candidate.id === owner.node)
    return carried ? { execution: origin.execution, node: carried } : { execution, node }
  }

  async #onlyDeploymentsChanged(project: string, from: CommitId, to: CommitId): Promise<boolean> {
    const [before, after] = await Promise.all([
      this.#parts.repositories.tree(project, from),
      this.#parts.repositories.tree(project, to),
    ])
    const others = (entries: typeof before) =>
      entries
        .filter((entry) => entry.path !== projectFileName)
        .map((entry) => `${entry.path}\0${entry.blob}\0${entry.mode}`)
        .join('\n')
    if (others(before) !== others(after)) return false
    const files = await Promise.all(
      [from, to].map((commit) => this.#parts.projects.fileAt(project, commit).catch(() => undefined)),
    )
    return files[0] !== undefined && files[1] !== undefined && changesOnlyDeployments(files[0].text, files[1].text)
  }
}

const planRequest = (request: StartRequest, executionId: string): PlanRequest => ({
  project: request.project,
  commit: request.commit,
  executionId,
  ...(request.set ? { set: request.set } : {}),
  ...(request.only ? { only: request.only } : {}),
})

/** Pieces end at a line's end, so that no character is cut in two. */
function lastWholeLine(buffer: Buffer, length: number): number {
  const end = buffer.lastIndexOf(10, length - 1)
  return end < 0 ? length : end + 1
}
