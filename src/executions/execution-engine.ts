import { type Db, type Leases, transact } from '../db/index.ts'
import { isAppError } from '../kernel/errors.ts'
import type { NodeOutcome, PlanContext, Planner } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { ProjectsService } from '../projects/index.ts'
import { nextMoves } from './decide/next-moves.ts'
import { type Execution, type ExecutionNode, endedWell } from './execution.ts'
import type { ExecutionsStore } from './executions-store.ts'
import type { StepRunner } from './step-runner.ts'

type Parts = {
  db: Db
  clock: Clock
  store: ExecutionsStore
  runner: StepRunner
  planner: Planner
  projects: ProjectsService
  leases: Leases
  log: Log
  /** How many steps may run at once on this machine. */
  slots: number
}

const leaseMs = 15_000

/**
 * Carries open executions on, from what is recorded alone: killed at any line, the next server goes on from there.
 * Steps that run are adopted, steps that were about to start are looked for.
 */
export class ExecutionEngine {
  readonly #parts: Parts
  /** Nodes that this process is carrying, with what cancels them. */
  readonly #inHand = new Map<string, AbortController>()
  readonly #carrying = new Set<Promise<void>>()
  #running = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** One pass over all open executions; called when something happened, and now and then. */
  async pass(wake: () => void, shutdown: AbortSignal): Promise<void> {
    if (!(await this.#parts.leases.claim('executions', leaseMs))) return
    for (const execution of await this.#parts.store.open()) {
      if (shutdown.aborted) return
      await this.#advance(execution, wake, shutdown).catch((error: unknown) =>
        this.#parts.log.error({ err: error, execution: execution.id }, 'an execution could not be carried on'),
      )
    }
  }

  /** After the shutdown signal: until what is in hand has been laid down. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#carrying)
  }

  async #advance(execution: Execution, wake: () => void, shutdown: AbortSignal): Promise<void> {
    const { store, clock, db } = this.#parts
    const nodes = await store.nodes(execution.id)
    if (execution.state === 'queued') {
      await transact(db, (tx) => store.setState(tx, execution, 'running', clock.now()))
      execution.state = 'running'
    }
    const context = await this.#contextOf(execution)
    for (const node of nodes)
      if (node.state === 'starting' || node.state === 'running')
        this.#take({ execution, context, node, wake, shutdown })
    for (let again = true; again; ) {
      again = false
      const moves = nextMoves(execution.state, nodes)
      for (const { node, because } of moves.skip) {
        await this.#record(execution, nodes, node, {
          state: 'skipped',
          error: { code: 'Conflict', message: `It was not run: ${because}.`, next: `See why ${because}.` },
        })
        again = true
      }
      for (const id of moves.cancel) await this.#cancel(execution, nodes, id)
      for (const id of moves.decide)
        again = (await this.#decide({ execution, context, nodes, id, wake, shutdown })) || again
      if (moves.finish) {
        const { state, reason } = moves.finish
        await this.#parts.runner.clearUp(execution.id, nodes)
        await transact(db, (tx) => store.setState(tx, execution, state, clock.now(), reason))
      }
    }
  }

  /** True where the node ended at once, so that others may go on. */
  async #decide(at: {
    execution: Execution
    context: PlanContext
    nodes: ExecutionNode[]
    id: string
    wake: () => void
    shutdown: AbortSignal
  }): Promise<boolean> {
    const { execution, context, nodes, id } = at
    const node = nodes.find((candidate) => candidate.id === id)!
    try {
      const decision = await this.#parts.planner.decide(context, node, outcomesOf(nodes))
      if (decision.outcome === 'decided later') return false
      if (decision.outcome === 'reused') {
        const result = decision.result
        await this.#record(execution, nodes, id, {
          state: 'reused',
          decision,
          ...(result ? { result, runId: result.runId } : {}),
        })
        return true
      }
      if (node.kind !== 'environment' && this.#running >= this.#parts.slots) return false
      const announced = await this.#parts.runner.announce(execution, node, context, decision)
      nodes[nodes.indexOf(node)] = announced
      this.#take({ execution, context, node: announced, wake: at.wake, shutdown: at.shutdown })
      return false
    } catch (error) {
      if (!isAppError(error) || error.culprit === 'ours') throw error
      await this.#record(execution, nodes, id, { state: 'failed', error: error.toJSON() })
      return true
    }
  }

  /** Takes a started node in hand, unless it already is. */
  #take(at: {
    execution: Execution
    context: PlanContext
    node: ExecutionNode
    wake: () => void
    shutdown: AbortSignal
  }): void {
    const key = `${at.execution.id} ${at.node.id}`
    if (this.#inHand.has(key)) return
    const cancelled = new AbortController()
    this.#inHand.set(key, cancelled)
    const isStep = at.node.kind !== 'environment'
    if (isStep) this.#running++
    const carrying = this.#parts.runner
      .carry({
        execution: at.execution,
        context: at.context,
        node: at.node,
        cancelled: cancelled.signal,
        shutdown: at.shutdown,
      })
      .catch(async (error: unknown) => {
        this.#parts.log.error(
          { err: error, execution: at.execution.id, node: at.node.id },
          'a step could not be carried on',
        )
        // Not at once again: a full disk or a lost database takes its time.
        await this.#parts.clock.sleep(1_000, at.shutdown)
      })
      .finally(() => {
        if (isStep) this.#running--
        this.#inHand.delete(key)
        this.#carrying.delete(carrying)
        at.wake()
      })
    this.#carrying.add(carrying)
  }

  async #cancel(execution: Execution, nodes: ExecutionNode[], id: string): Promise<void> {
    const node = nodes.find((candidate) => candidate.id === id)!
    const inHand = this.#inHand.get(`${execution.id} ${id}`)
    if (!inHand) {
      await this.#record(execution, nodes, id, { state: 'cancelled' })
      return
    }
    if (inHand.signal.aborted) return
    inHand.abort()
    const killing = this.#parts.runner
      .kill(execution.id, node)
      .catch((error: unknown) =>
        this.#parts.log.error({ err: error, execution: execution.id, node: id }, 'a step could not be killed'),
      )
      .finally(() => this.#carrying.delete(killing))
    this.#carrying.add(killing)
  }

  async #record(
    execution: Execution,
    nodes: ExecutionNode[],
    id: string,
    change: Partial<ExecutionNode>,
  ): Promise<void> {
    const index = nodes.findIndex((node) => node.id === id)
    const now = this.#parts.clock.now()
    await transact(this.#parts.db, (tx) =>
      this.#parts.store.changeNode(tx, execution, id, { ...change, endedAt: now }, now),
    )
    nodes[index] = { ...nodes[index]!, ...change, endedAt: now }
  }

  async #contextOf(execution: Execution): Promise<PlanContext> {
    const { file } = await this.#parts.projects.fileAt(execution.project, execution.commit)
    return { ...execution.fixed, file }
  }
}

function outcomesOf(nodes: readonly ExecutionNode[]): Map<string, NodeOutcome> {
  const outcomes = new Map<string, NodeOutcome>()
  for (const node of nodes) {
    if (!endedWell(node.state)) continue
    if (node.result) outcomes.set(node.id, { result: node.result })
    else if (node.decision && node.decision.outcome !== 'decided later')
      outcomes.set(node.id, { environment: node.decision.key })
  }
  return outcomes
}
