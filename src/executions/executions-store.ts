import type { Selectable } from 'kysely'
import { type Db, publish, statement, type Tx } from '../db/index.ts'
import type { Tables } from '../db/tables.ts'
import type { ErrorBody } from '../kernel/errors.ts'
import type { CommitId, ExecutionId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { DataInput, NodeDecision, PlanNode, StepResult } from '../planning/index.ts'
import { type FailureKind, type Item, mostSteps } from '../projects/index.ts'
import type { LightNode } from './decide/fold-nodes.ts'
import {
  type Execution,
  type ExecutionNode,
  type ExecutionState,
  isExecutionOver,
  type NodeState,
  type NodeView,
  type ShownDecision,
  shownOf,
} from './execution.ts'

type ExecutionRow = Awaited<ReturnType<ExecutionsStore['row']>>

export type NodeChange = {
  state?: NodeState
  decision?: NodeDecision
  runId?: RunId
  attempt?: number
  result?: StepResult
  error?: ErrorBody
  startedAt?: EpochMs
  endedAt?: EpochMs
  /** With `state: 'waiting'`: the next attempt starts no earlier. */
  notBefore?: EpochMs
  failure?: FailureKind
}

/** Tables executions and execution_nodes; every change of state tells its event in the same transaction. */
export class ExecutionsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  /** False where an execution for the same cause exists already. */
  async create(tx: Tx, execution: Execution, cause: string, nodes: readonly PlanNode[]): Promise<boolean> {
    const inserted = await tx
      .insertInto('executions')
      .values({
        id: execution.id,
        project: execution.project,
        commit_id: execution.commit,
        trigger: JSON.stringify(execution.trigger),
        deployable: execution.deployable ? 1 : 0,
        only_step: execution.only ?? null,
        fixed: JSON.stringify(execution.fixed),
        state: execution.state,
        reason: execution.reason ?? null,
        cause,
        requested_by: execution.requestedBy,
        created_at: execution.createdAt,
        started_at: null,
        ended_at: execution.endedAt ?? null,
        resumes: execution.resumes ?? null,
      })
      .onConflict((c) => c.column('cause').doNothing())
      .executeTakeFirst()
    if (inserted.numInsertedOrUpdatedRows === 0n) return false
    await this.#insertNodes(tx, execution.id, placed(nodes))
    await this.#tell(tx, execution, execution.state, execution.createdAt)
    return true
  }

  /** The nodes of a fan-out's items, all or none, with the fan-out now running. */
  async fanOut(
    tx: Tx,
    execution: Pick<Execution, 'id' | 'project'>,
    group: PlanNode,
    items: readonly PlanNode[],
    now: EpochMs,
  ): Promise<void> {
    const row = await tx
      .selectFrom('execution_nodes')
      .select(['position', 'state'])
      .where('execution_id', '=', execution.id)
      .where('node', '=', group.id)
      .executeTakeFirstOrThrow()
    if (row.state !== 'waiting') return
    const nodes = items.map((node, index) => ({ node, position: row.position + 1 + index }))
    await this.#insertNodes(tx, execution.id, nodes)
    await this.changeNode(tx, execution, group.id, { state: 'running', startedAt: now }, now)
  }

  async #insertNodes(tx: Tx, id: ExecutionId, nodes: readonly { node: PlanNode; position: number }[]): Promise<void> {
    const rows = nodes.map(({ node, position }) => ({
      execution_id: id,
      node: node.id,
      kind: node.kind,
      step: node.step,
      position,
      after: JSON.stringify(node.after),
      state: 'waiting',
      attempt: 0,
      item: node.item === undefined ? null : JSON.stringify(node.item),
    }))
    for (let from = 0; from < rows.length; from += rowsAtOnce)
      await tx
        .insertInto('execution_nodes')
        .values(rows.slice(from, from + rowsAtOnce))
        .execute()
  }

  async setState(tx: Tx, execution: Execution, state: ExecutionState, now: EpochMs, reason?: string): Promise<void> {
    await tx
      .updateTable('executions')
      .set({
        state,
        ...(reason === undefined ? {} : { reason }),
        ...(state === 'running' ? { started_at: now } : {}),
        ...(isExecutionOver(state) ? { ended_at: now } : {}),
      })
      .where('id', '=', execution.id)
      .execute()
    await this.#tell(tx, execution, state, now)
    if (isExecutionOver(state))
      await publish(
        tx,
        {
          type: 'execution.finished',
          payload: { project: execution.project, executionId: execution.id, outcome: state },
        },
        now,
      )
  }

  /** A dataset that was awaited, once it is there. */
  async fixData(tx: Tx, id: ExecutionId, input: DataInput): Promise<void> {
    const row = tx.updateTable('executions').where('id', '=', id)
    // Changed before it is read, so that no other transaction is between the two.
    const { fixed } = await row
      .set((e) => ({ fixed: e.ref('fixed') }))
      .returning('fixed')
      .executeTakeFirstOrThrow()
    const { data, awaited = {}, ...others } = JSON.parse(fixed) as Execution['fixed']
    const { [input.dataset]: _, ...open } = awaited
    const known = { ...others, data: { ...data, [input.dataset]: input } }
    const now = Object.keys(open).length > 0 ? { ...known, awaited: open } : known
    await row.set({ fixed: JSON.stringify(now) }).execute()
  }

  async changeNode(
    tx: Tx,
    execution: Pick<Execution, 'id' | 'project'>,
    node: string,
    change: NodeChange,
    now: EpochMs,
  ): Promise<void> {
    const columns = columnsOf(change)
    await updateNode(Object.keys(columns))(tx, [...Object.values(columns), execution.id, node])
    if (change.state)
      await publish(
        tx,
        {
          type: 'step.changed',
          payload: { project: execution.project, executionId: execution.id, node, state: change.state },
        },
        now,
      )
  }

  async row(id: string) {
    return this.#db.selectFrom('executions').selectAll().where('id', '=', id).executeTakeFirst()
  }

  async execution(id: string): Promise<Execution | undefined> {
    const row = await this.row(id)
    return row && toExecution(row)
  }

  async byCause(cause: string): Promise<Execution | undefined> {
    const row = await this.#db.selectFrom('executions').selectAll().where('cause', '=', cause).executeTakeFirst()
    return row && toExecution(row)
  }

  async nodes(id: string): Promise<ExecutionNode[]> {
    const rows = await this.#db
      .selectFrom('execution_nodes')
      .selectAll()
      .where('execution_id', '=', id)
      .orderBy('position')
      .execute()
    return rows.map(toNode)
  }

  async node(id: string, node: string): Promise<ExecutionNode | undefined> {
    const [row] = await selectNode(this.#db, [id, node])
    return row && toNode(row)
  }

  /** As much of every node as folding needs. */
  async lightNodes(id: string): Promise<LightNode[]> {
    const rows = await this.#db
      .selectFrom('execution_nodes')
      .select(['node', 'kind', 'state', 'after', 'started_at', 'ended_at'])
      .where('execution_id', '=', id)
      .orderBy('position')
      .execute()
    return rows.map((row) => ({
      id: row.node,
      kind: row.kind as LightNode['kind'],
      state: row.state as NodeState,
      after: row.after,
      ...(row.started_at === null ? {} : { startedAt: row.started_at }),
      ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
    }))
  }

  async nodeNames(id: string, limit: number): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('execution_nodes')
      .select('node')
      .where('execution_id', '=', id)
      .orderBy('position')
      .limit(limit)
      .execute()
    return rows.map(({ node }) => node)
  }

  /** What pages and lists show of the nodes, in the plan's order; keys' parts, which are long, are left where they are. */
  async nodeViews(id: string, { group, state, after, limit, only }: NodesFilter = {}): Promise<NodePage> {
    let query = this.#db
      .selectFrom('execution_nodes')
      .select([...shownColumns])
      .where('execution_id', '=', id)
      .orderBy('position')
    if (after !== undefined) query = query.where('position', '>', after)
    // `@` and `A` stand side by side: everything between `train@` and `trainA` begins with `train@`.
    if (group !== undefined) query = query.where('node', '>=', `${group}@`).where('node', '<', `${group}A`)
    if (state) query = query.where('state', '=', state)
    if (limit !== undefined) query = query.limit(limit + 1)
    const rows = only ? await this.#named(id, only) : await query.execute()
    const items = limit === undefined ? rows : rows.slice(0, limit)
    return { items: items.map(toView), ...(items.length < rows.length ? { next: items.at(-1)!.position } : {}) }
  }

  async #named(id: string, nodes: readonly string[]): Promise<ShownRow[]> {
    const found: ShownRow[] = []
    for (let from = 0; from < nodes.length; from += rowsAtOnce)
      found.push(
        ...(await this.#db
          .selectFrom('execution_nodes')
          .select([...shownColumns])
          .where('execution_id', '=', id)
          .where('node', 'in', nodes.slice(from, from + rowsAtOnce))
          .orderBy('position')
          .execute()),
      )
    return found
  }

  /** Executions that are not over, oldest first: what the engine has to carry on. */
  async open(): Promise<Execution[]> {
    return (await selectOpen(this.#db, [])).map(toExecution)
  }

  /** Newest first. */
  async list(filter: { project?: string; commit?: string; before?: string; limit: number }): Promise<Execution[]> {
    let query = this.#db.selectFrom('executions').selectAll().orderBy('id', 'desc').limit(filter.limit)
    if (filter.project) query = query.where('project', '=', filter.project)
    if (filter.commit) query = query.where('commit_id', 'like', `${filter.commit}%`)
    if (filter.before) query = query.where('id', '<', filter.before)
    return (await query.execute()).map(toExecution)
  }

  /** The execution and node that a run belongs to. */
  async nodeOfRun(runId: string): Promise<{ executionId: ExecutionId; node: string } | undefined> {
    const row = await this.#db
      .selectFrom('execution_nodes')
      .select(['execution_id', 'node'])
      .where('run_id', '=', runId)
      .executeTakeFirst()
    return row && { executionId: row.execution_id as ExecutionId, node: row.node }
  }

  async #tell(
    tx: Tx,
    execution: Pick<Execution, 'id' | 'project'>,
    state: ExecutionState,
    now: EpochMs,
  ): Promise<void> {
    await publish(
      tx,
      { type: 'execution.changed', payload: { project: execution.project, executionId: execution.id, state } },
      now,
    )
  }
}

// Asked at each end of a step: their texts are made once.
const selectNode = statement<NodeRow>('select * from execution_nodes where execution_id = ? and node = ?')
const selectOpen = statement<NonNullable<ExecutionRow>>(
  "select * from executions where state in ('queued', 'running', 'cancelling') order by id",
)

const updates = new Map<string, ReturnType<typeof statement>>()

function updateNode(columns: readonly string[]): ReturnType<typeof statement> {
  const set = columns.map((column) => `${column} = ?`).join(', ')
  const known = updates.get(set)
  if (known) return known
  const made = statement(`update execution_nodes set ${set} where execution_id = ? and node = ?`)
  updates.set(set, made)
  return made
}

const columnsOf = (change: NodeChange): Record<string, string | number | null> => ({
  ...(change.state ? { state: change.state } : {}),
  ...(change.decision
    ? { decision: JSON.stringify(change.decision), shown: JSON.stringify(shownOf(change.decision)) }
    : {}),
  ...(change.runId ? { run_id: change.runId } : {}),
  ...(change.attempt === undefined ? {} : { attempt: change.attempt }),
  ...(change.result ? { result: JSON.stringify(change.result) } : {}),
  ...(change.error ? { error: JSON.stringify(change.error) } : {}),
  ...(change.startedAt === undefined ? {} : { started_at: change.startedAt }),
  ...(change.endedAt === undefined ? {} : { ended_at: change.endedAt }),
  ...(change.notBefore === undefined ? {} : { not_before: change.notBefore }),
  ...(change.failure ? { failure: change.failure } : {}),
  // An earlier attempt's.
  ...(change.state === 'succeeded' ? { error: null } : {}),
})

const rowsAtOnce = 500

export type NodesFilter = {
  /** All nodes that a matrix or a list made of this step. */
  group?: string
  state?: NodeState
  /** The position of the last one of the page before. */
  after?: number
  limit?: number
  only?: readonly string[]
}
export type NodePage = { items: NodeView[]; next?: number }

/** A fan-out leaves room behind it for its items. */
function placed(nodes: readonly PlanNode[]): { node: PlanNode; position: number }[] {
  let position = 0
  return nodes.map((node) => {
    const at = position
    position += node.kind === 'fan-out' ? 1 + mostSteps : 1
    return { node, position: at }
  })
}

const shownColumns = [
  ...(['node', 'kind', 'step', 'position', 'after', 'state', 'run_id', 'attempt', 'result', 'error'] as const),
  ...(['started_at', 'ended_at', 'not_before', 'failure', 'item', 'shown'] as const),
]

type NodeRow = Selectable<Tables['execution_nodes']>
type ShownRow = Pick<NodeRow, (typeof shownColumns)[number]>

const commonOf = (row: ShownRow) => ({
  id: row.node,
  kind: row.kind as ExecutionNode['kind'],
  step: row.step,
  after: JSON.parse(row.after) as string[],
  state: row.state as NodeState,
  attempt: row.attempt,
  ...(row.item === null ? {} : { item: JSON.parse(row.item) as Item }),
  ...(row.run_id ? { runId: row.run_id as RunId } : {}),
  ...(row.error ? { error: JSON.parse(row.error) as ErrorBody } : {}),
  ...(row.started_at === null ? {} : { startedAt: row.started_at }),
  ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
  ...(row.not_before === null ? {} : { notBefore: row.not_before }),
  ...(row.failure ? { failure: row.failure as FailureKind } : {}),
})

const toNode = (row: NodeRow): ExecutionNode => ({
  ...commonOf(row),
  ...(row.decision ? { decision: JSON.parse(row.decision) as NodeDecision } : {}),
  ...(row.result ? { result: JSON.parse(row.result) as StepResult } : {}),
})

function toView(row: ShownRow): NodeView {
  const result = row.result ? (JSON.parse(row.result) as StepResult) : undefined
  const model = result?.model
  return {
    ...commonOf(row),
    ...(row.shown ? { decision: JSON.parse(row.shown) as ShownDecision } : {}),
    ...(result ? { metrics: result.metrics } : {}),
    ...(model ? { model: { name: model.name, loggedModelId: model.loggedModelId } } : {}),
  }
}

function toExecution(row: NonNullable<ExecutionRow>): Execution {
  return {
    id: row.id as ExecutionId,
    project: row.project,
    commit: row.commit_id as CommitId,
    trigger: JSON.parse(row.trigger) as Execution['trigger'],
    deployable: row.deployable === 1,
    ...(row.only_step ? { only: row.only_step } : {}),
    fixed: JSON.parse(row.fixed) as Execution['fixed'],
    state: row.state as ExecutionState,
    ...(row.reason ? { reason: row.reason } : {}),
    requestedBy: row.requested_by,
    ...(row.resumes ? { resumes: row.resumes as ExecutionId } : {}),
    createdAt: row.created_at,
    ...(row.started_at === null ? {} : { startedAt: row.started_at }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
  }
}
