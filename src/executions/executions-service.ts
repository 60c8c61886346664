import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { AppError, isTheirs } from '../kernel/errors.ts'
import type { AppEvent } from '../kernel/events.ts'
import { type CommitId, type ExecutionId, newId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import { nodesOf, type Plan, type Planner, type PlanRequest } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Repositories } from '../ports/repository.ts'
import {
  changesOnlyDeployments,
  declaredName,
  type JsonScalar,
  type ProjectsService,
  projectFileName,
} from '../projects/index.ts'
import { datasetVersionOf } from './dataset-version.ts'
import { type Folded, type Folding, foldNodes } from './decide/fold-nodes.ts'
import {
  type Execution,
  type ExecutionNode,
  endedWell,
  factsOf,
  isExecutionOver,
  isOver,
  type NodeView,
  type Trigger,
} from './execution.ts'
import type { ExecutionsStore, NodePage, NodesFilter } from './executions-store.ts'
import type { FoundLine, LogPiece, StepLog } from './step-log.ts'
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
  fresh?: PlanRequest['fresh']
  sample?: PlanRequest['sample']
  pinned?: PlanRequest['pinned']
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
    const { file: _, facts: __, ...fixed } = context
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
    const nodes = nodesOf(context, request.only)
    const created = await transact(db, async (tx) => {
      for (const input of Object.values(fixed.data))
        await this.#parts.artifacts.recordDatasetVersion(tx, datasetVersionOf(request.project, input, now))
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
      if (!isTheirs(error)) throw error
    })
  }

  async get(id: string): Promise<{ execution: Execution; nodes: ExecutionNode[] }> {
    return { execution: await this.#execution(id), nodes: await this.#parts.store.nodes(id) }
  }

  /** One node, undefined where the execution has none of that name. */
  node(id: string, nodeId: string): Promise<ExecutionNode | undefined> {
    return this.#parts.store.node(id, nodeId)
  }

  /** An execution as pages show it; `folded`: a matrix or a list of many as one node. */
  async view(id: string, { folded }: { folded: boolean }): Promise<{ execution: Execution; nodes: ShownNode[] }> {
    const execution = await this.#execution(id)
    const { store } = this.#parts
    if (!folded) return { execution, nodes: (await store.nodeViews(id)).items }
    const light = await store.lightNodes(id)
    const folding = foldNodes(light)
    const all = folding.shown.length === light.length
    const { items } = await store.nodeViews(id, all ? {} : { only: folding.shown })
    return { execution, nodes: foldedView(items, folding) }
  }

  async nodes(id: string, filter: NodesFilter): Promise<NodePage> {
    await this.#execution(id)
    return this.#parts.store.nodeViews(id, filter)
  }

  async #execution(id: string): Promise<Execution> {
    const execution = await this.#parts.store.execution(id)
    if (execution) return execution
    throw new AppError('NotFound', `There is no execution "${id}".`, '`modelwright runs` lists the executions.')
  }

  /**
   * Carries out what another execution left undone: the same commit, parameters and inputs as they were frozen then. What ended well
   * is found again by its key, also what runs `always:` once an execution.
   */
  async resume(id: string, by: { actor: string; cause: string }): Promise<Execution> {
    const { store, clock, db, projects } = this.#parts
    const existing = await store.byCause(by.cause)
    if (existing) return existing
    const { execution: left, nodes: before } = await this.get(id)
    if (left.state !== 'failed' && left.state !== 'cancelled')
      throw new AppError(
        'Conflict',
        `Execution ${id} ${isExecutionOver(left.state) ? 'succeeded' : `is ${left.state}`}; only one that failed or was cancelled has something left to resume.`,
        isExecutionOver(left.state) ? 'Start a new one: modelwright run' : 'Wait for its end, or cancel it.',
      )
    const now = clock.now()
    const { fresh: _, ...fixed } = left.fixed
    const { file } = await projects.fileAt(left.project, left.commit)
    const { reason: __, startedAt: ___, endedAt: ____, ...same } = left
    const execution: Execution = {
      ...same,
      id: newId(now) as ExecutionId,
      fixed: { ...fixed, ...freshLeft(left, before) },
      state: 'queued',
      requestedBy: by.actor,
      resumes: left.id,
      createdAt: now,
    }
    const nodes = nodesOf({ ...left.fixed, file }, left.only)
    const created = await transact(db, (tx) => store.create(tx, execution, by.cause, nodes))
    if (!created) return (await store.byCause(by.cause))!
    this.#parts.wake()
    return execution
  }

  async list(filter: { project?: string; commit?: string; before?: string; limit: number }): Promise<Execution[]> {
    return this.#parts.store.list(filter)
  }

  async cancel(id: string, actor: Actor): Promise<Execution> {
    const execution = await this.#execution(id)
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

  /** A piece of a node's log from a byte offset on, or its last lines; `ended` when no more will come. */
  async log(
    id: string,
    nodeId: string,
    range: { offset: number; limit: number; tail?: number | undefined; attempt?: number | undefined },
  ): Promise<LogPiece> {
    const log = await this.#logOf(id, nodeId, range.attempt)
    return range.tail === undefined ? log.piece(range) : log.tail(range.tail)
  }

  /** Lines of a node's log that hold a text, from a byte offset on; `next` where there is more to look through. */
  async searchLog(
    id: string,
    nodeId: string,
    request: { text: string; offset: number; limit: number; attempt?: number | undefined },
  ): Promise<{ items: FoundLine[]; next?: number }> {
    return (await this.#logOf(id, nodeId, request.attempt)).search(request)
  }

  async #logOf(id: string, nodeId: string, attempt: number | undefined): Promise<StepLog> {
    const execution = await this.#execution(id)
    const node = await this.#parts.store.node(id, nodeId)
    if (!node)
      throw new AppError(
        'NotFound',
        `The execution has no step "${nodeId}"; it has: ${(await this.#parts.store.nodeNames(id, 50)).join(', ')}.`,
        'Name one of them.',
      )
    const source = await this.#logSource(execution, node)
    if (attempt !== undefined && attempt > source.node.attempt)
      throw new AppError(
        'NotFound',
        `Step "${nodeId}" has ${source.node.attempt} attempts so far.`,
        'Name one of them, counted from 1.',
      )
    const isEarlier = attempt !== undefined && attempt < source.node.attempt
    return this.#parts.runner.logOf(
      source.execution.id,
      { ...source.node, attempt: attempt ?? source.node.attempt },
      { ended: isEarlier || isOver(source.node.state) },
    )
  }

  /** A reused step shows the log of the execution that carried it out. */
  async #logSource(execution: Execution, node: ExecutionNode): Promise<{ execution: Execution; node: ExecutionNode }> {
    const owner = node.state === 'reused' && node.runId ? await this.#parts.store.nodeOfRun(node.runId) : undefined
    if (!owner) return { execution, node }
    const [origin, carried] = await Promise.all([
      this.#parts.store.execution(owner.executionId),
      this.#parts.store.node(owner.executionId, owner.node),
    ])
    return origin && carried ? { execution: origin, node: carried } : { execution, node }
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

/** Steps that were asked for anew and ended well need not run anew once more. */
function freshLeft({ fixed }: Execution, nodes: readonly ExecutionNode[]): Pick<PlanRequest, 'fresh'> {
  if (!fixed.fresh) return {}
  const asked = (step: string) =>
    fixed.fresh === 'all' || fixed.fresh!.includes(step) || fixed.fresh!.includes(declaredName(step))
  const left = nodes.filter(({ step, state }) => asked(step) && !endedWell(state)).map(({ step }) => step)
  return left.length === 0 ? {} : { fresh: [...new Set(left)] }
}

/** A node of a page; `group` where it stands for many. */
export type ShownNode = Omit<NodeView, 'kind'> & {
  kind: NodeView['kind'] | 'matrix'
  group?: { of: number; states: Folded['states'] }
}

/** A list's nodes are folded into its fan-out, a matrix's into a node that exists only here. */
function foldedView(items: readonly NodeView[], { groups, shownAs }: Folding): ShownNode[] {
  const shown = items.map((node): ShownNode => {
    const group = groups.get(node.id)
    const after = [...new Set(node.after.map(shownAs))]
    return { ...node, after, ...(group ? { group: { of: group.of, states: group.states } } : {}) }
  })
  const there = new Set(items.map(({ id }) => id))
  for (const [name, { of, states, ...group }] of groups) {
    if (there.has(name)) continue
    const node: ShownNode = { ...group, kind: 'matrix', step: name, attempt: 0, group: { of, states } }
    const first = shown.findIndex(({ id, after }) => shownAs(id) === name || after.includes(name))
    shown.splice(first === -1 ? shown.length : first, 0, node)
  }
  return shown
}

const planRequest = (request: StartRequest, executionId: string): PlanRequest => ({
  project: request.project,
  commit: request.commit,
  executionId,
  facts: factsOf(request.trigger),
  ...(request.set ? { set: request.set } : {}),
  ...(request.only ? { only: request.only } : {}),
  ...(request.fresh ? { fresh: request.fresh } : {}),
  ...(request.sample ? { sample: request.sample } : {}),
  ...(request.pinned ? { pinned: request.pinned } : {}),
})
