import type { NodeDecision, NodeOutcome, PlanContext } from '../planning/index.ts'
import type { Candidate } from './decide/choose-steps.ts'
import { type Execution, type ExecutionNode, endedWell } from './execution.ts'
import type { NodeChange } from './executions-store.ts'
import { withItems } from './fan-out.ts'

type RunsDecision = Extract<NodeDecision, { outcome: 'runs' }>

/**
 * An open execution as this process knows it, so that the end of one of ten thousand steps costs one row read and not ten thousand.
 * It only repeats what is recorded: thrown away at any moment, it is read again.
 */
export class LiveExecution {
  readonly execution: Execution
  readonly loadedAt: number
  context: PlanContext
  /** Recorded with the next flush. */
  readonly pending: { node: string; change: NodeChange }[] = []
  readonly #nodes: Map<string, ExecutionNode>
  readonly #outcomes = new Map<string, NodeOutcome>()
  /** Steps that will run as soon as there is room, with why. */
  readonly #queued = new Map<string, { decision: RunsDecision; since: number }>()
  readonly #base: PlanContext

  constructor(execution: Execution, context: PlanContext, nodes: readonly ExecutionNode[], now: number) {
    this.execution = execution
    this.loadedAt = now
    this.#base = context
    this.context = withItems(context, nodes)
    this.#nodes = new Map(nodes.map((node) => [node.id, node]))
    for (const node of nodes) this.#learn(node)
  }

  get nodes(): ExecutionNode[] {
    return [...this.#nodes.values()]
  }

  get outcomes(): ReadonlyMap<string, NodeOutcome> {
    return this.#outcomes
  }

  node(id: string): ExecutionNode {
    return this.#nodes.get(id)!
  }

  isQueued(id: string): boolean {
    return this.#queued.has(id)
  }

  /** What is recorded of a node now. */
  set(node: ExecutionNode): void {
    this.#nodes.set(node.id, node)
    this.#queued.delete(node.id)
    this.#outcomes.delete(node.id)
    this.#learn(node)
  }

  change(id: string, change: NodeChange): void {
    this.pending.push({ node: id, change })
    this.set({ ...this.node(id), ...change })
  }

  /** Behind their fan-out, so that the order stays the plan's. */
  addItems(group: ExecutionNode, items: readonly ExecutionNode[], now: number): void {
    const all = this.nodes.flatMap((node) =>
      node.id === group.id ? [{ ...group, state: 'running' as const, startedAt: now }, ...items] : [node],
    )
    this.#nodes.clear()
    for (const node of all) this.#nodes.set(node.id, node)
    this.context = withItems(this.#base, all)
  }

  queue(id: string, decision: RunsDecision, now: number): void {
    this.#queued.set(id, { decision, since: this.#queued.get(id)?.since ?? now })
  }

  /** The steps that wait for room, in the plan's order. */
  candidates(): Candidate[] {
    const { fresh } = this.context
    return [...this.#queued].map(([id, { decision, since }]) => ({
      ...this.load(id),
      // Whoever asked for a step anew does not take another's result.
      ...(fresh ? {} : { key: decision.key }),
      readySince: since,
    }))
  }

  load(id: string): Omit<Candidate, 'readySince'> {
    const step = this.context.file.steps[this.node(id).step]
    const { decision } = this.node(id)
    return {
      execution: this.execution.id,
      node: id,
      needs: step?.resources ?? { cpu: 1, gpu: 0 },
      mutex: step?.mutex,
      ...(decision && 'key' in decision && !this.context.fresh ? { key: decision.key } : {}),
    }
  }

  decisionOf(id: string): RunsDecision {
    return this.#queued.get(id)!.decision
  }

  #learn(node: ExecutionNode): void {
    if (!endedWell(node.state)) return
    if (node.result) this.#outcomes.set(node.id, { result: node.result })
    else if (node.kind === 'fan-out') this.#outcomes.set(node.id, { joined: true })
    else if (node.decision && 'key' in node.decision) {
      const { key } = node.decision
      this.#outcomes.set(node.id, node.kind === 'data' ? { data: key } : { environment: key })
    }
  }
}
