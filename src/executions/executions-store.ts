import { type Db, publish, type Tx } from '../db/index.ts'
import type { ErrorBody } from '../kernel/errors.ts'
import type { CommitId, ExecutionId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { NodeDecision, PlanNode, StepResult } from '../planning/index.ts'
import {
  type Execution,
  type ExecutionNode,
  type ExecutionState,
  isExecutionOver,
  type NodeState,
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
      })
      .onConflict((c) => c.column('cause').doNothing())
      .executeTakeFirst()
    if (inserted.numInsertedOrUpdatedRows === 0n) return false
    for (const [position, node] of nodes.entries()) {
      await tx
        .insertInto('execution_nodes')
        .values({
          execution_id: execution.id,
          node: node.id,
          kind: node.kind,
          step: node.step,
          position,
          after: JSON.stringify(node.after),
          state: 'waiting',
          attempt: 0,
        })
        .execute()
    }
    await this.#tell(tx, execution, execution.state, execution.createdAt)
    return true
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

  async changeNode(
    tx: Tx,
    execution: Pick<Execution, 'id' | 'project'>,
    node: string,
    change: NodeChange,
    now: EpochMs,
  ): Promise<void> {
    await tx
      .updateTable('execution_nodes')
      .set({
        ...(change.state ? { state: change.state } : {}),
        ...(change.decision ? { decision: JSON.stringify(change.decision) } : {}),
        ...(change.runId ? { run_id: change.runId } : {}),
        ...(change.attempt === undefined ? {} : { attempt: change.attempt }),
        ...(change.result ? { result: JSON.stringify(change.result) } : {}),
        ...(change.error ? { error: JSON.stringify(change.error) } : {}),
        ...(change.startedAt === undefined ? {} : { started_at: change.startedAt }),
        ...(change.endedAt === undefined ? {} : { ended_at: change.endedAt }),
      })
      .where('execution_id', '=', execution.id)
      .where('node', '=', node)
      .execute()
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
    return rows.map((row) => ({
      id: row.node,
      kind: row.kind as ExecutionNode['kind'],
      step: row.step,
      after: JSON.parse(row.after) as string[],
      state: row.state as NodeState,
      attempt: row.attempt,
      ...(row.decision ? { decision: JSON.parse(row.decision) as NodeDecision } : {}),
      ...(row.run_id ? { runId: row.run_id as RunId } : {}),
      ...(row.result ? { result: JSON.parse(row.result) as StepResult } : {}),
      ...(row.error ? { error: JSON.parse(row.error) as ErrorBody } : {}),
      ...(row.started_at === null ? {} : { startedAt: row.started_at }),
      ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
    }))
  }

  /** Executions that are not over, oldest first: what the engine has to carry on. */
  async open(): Promise<Execution[]> {
    const rows = await this.#db
      .selectFrom('executions')
      .selectAll()
      .where('state', 'in', ['queued', 'running', 'cancelling'])
      .orderBy('id')
      .execute()
    return rows.map(toExecution)
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
    createdAt: row.created_at,
    ...(row.started_at === null ? {} : { startedAt: row.started_at }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
  }
}
