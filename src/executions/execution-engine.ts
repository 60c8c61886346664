import { type Db, type Leases, transact } from '../db/index.ts'
import { type AppError, isTheirs } from '../kernel/errors.ts'
import type { NodeDecision, PlanContext, Planner } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { ProjectsService } from '../projects/index.ts'
import { type Candidate, type Capacity, chooseSteps, type Load, weightOf } from './decide/choose-steps.ts'
import { type Moves, nextMoves } from './decide/next-moves.ts'
import { type Execution, type ExecutionNode, factsOf, isPreparation } from './execution.ts'
import type { ExecutionsStore } from './executions-store.ts'
import type { FanOut } from './fan-out.ts'
import { LiveExecution } from './live-execution.ts'
import type { StepRunner } from './step-runner.ts'
import { StepTroubles } from './step-troubles.ts'
import type { Work } from './step-work.ts'

type Parts = {
  db: Db
  clock: Clock
  store: ExecutionsStore
  runner: StepRunner
  fanOut: FanOut
  planner: Planner
  projects: ProjectsService
  leases: Leases
  log: Log
  /** What steps that run at once may take of this machine together. */
  capacity: Capacity
}

type InHand = { cancelled: AbortController; load: Load | undefined }
type Turn = { wake: () => void; shutdown: AbortSignal }

const leaseMs = 15_000
/** What this process knows of an execution is read anew that often, whatever happened. */
const knownForMs = 60_000
/** Decided in one pass; the rest in the next, so that the first of thousands start meanwhile. */
const decidedAtOnce = 500

/**
 * Carries open executions on, from what is recorded alone: killed at any line, the next server goes on from there.
 * Steps that run are adopted, steps that were about to start are looked for.
 */
export class ExecutionEngine {
  readonly #parts: Parts
  /** Nodes that this process is carrying, with what cancels them and what they take of the machine. */
  readonly #inHand = new Map<string, InHand>()
  readonly #carrying = new Set<Promise<void>>()
  readonly #live = new Map<string, LiveExecution>()
  /** Nodes whose record another hand than this one changed. */
  readonly #changed = new Map<string, Set<string>>()
  readonly #troubles: StepTroubles
  #lastPass = 0

  constructor(parts: Parts) {
    this.#parts = parts
    this.#troubles = new StepTroubles(parts)
  }

  /** One pass over all open executions; called when something happened, and now and then. */
  async pass(wake: () => void, shutdown: AbortSignal): Promise<void> {
    if (!(await this.#parts.leases.claim('executions', leaseMs))) {
      this.#live.clear()
      return
    }
    this.#forgetIfLate()
    const turn = { wake, shutdown }
    const open = await this.#parts.store.open()
    for (const id of this.#live.keys()) if (!open.some((execution) => execution.id === id)) this.#live.delete(id)
    for (const execution of open) {
      if (shutdown.aborted) return
      await this.#advance(execution, turn).catch((error: unknown) => {
        this.#live.delete(execution.id)
        this.#parts.log.error({ err: error, execution: execution.id }, 'an execution could not be carried on')
      })
    }
    await this.#startWhatFits(turn)
  }

  /** After the shutdown signal: until what is in hand has been laid down. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#carrying)
  }

  /** Whoever came late (a suspended machine, a clock that jumped) may have lost the lease to another server meanwhile. */
  #forgetIfLate(): void {
    const now = this.#parts.clock.now()
    if (now - this.#lastPass > leaseMs || now < this.#lastPass) this.#live.clear()
    this.#lastPass = now
  }

  async #advance(execution: Execution, turn: Turn): Promise<void> {
    const live = await this.#liveOf(execution, turn)
    for (let again = true; again; ) {
      const moves = nextMoves(live.execution.state, live.nodes, this.#parts.clock.now())
      again = this.#settle(live, moves)
      for (const id of moves.cancel) await this.#cancel(live, id)
      again = (await this.#decide(live, moves.decide, turn)) || again
      if (again) continue
      await this.#flush(live)
      if (moves.finish) await this.#finish(live, moves.finish)
    }
  }

  /** What is known of the execution, with what others changed meanwhile. */
  async #liveOf(execution: Execution, { wake, shutdown }: Turn): Promise<LiveExecution> {
    const now = this.#parts.clock.now()
    const known = this.#live.get(execution.id)
    if (known && now - known.loadedAt < knownForMs) {
      known.execution.state = execution.state
      const changed = this.#changed.get(execution.id) ?? []
      this.#changed.delete(execution.id)
      let isFixedAnew = false
      for (const id of changed) {
        const node = await this.#parts.store.node(execution.id, id)
        if (node) known.set(node)
        isFixedAnew ||= node?.kind === 'data'
      }
      if (!isFixedAnew) return known
      // What was fetched is now among what the execution was made from.
      execution.fixed = (await this.#parts.store.execution(execution.id))!.fixed
    }
    this.#changed.delete(execution.id)
    const { store, clock, db, runner } = this.#parts
    runner.prepare()
    const live = new LiveExecution(execution, await this.#contextOf(execution), await store.nodes(execution.id), now)
    this.#live.set(execution.id, live)
    if (execution.state === 'queued') {
      await transact(db, (tx) => store.setState(tx, execution, 'running', clock.now()))
      execution.state = 'running'
    }
    for (const node of live.nodes)
      if (node.state === 'starting' || (node.state === 'running' && node.kind !== 'fan-out'))
        this.#take(live, node, { wake, shutdown })
    return live
  }

  /** What follows from how others ended. True where something changed. */
  #settle(live: LiveExecution, { skip, join }: Moves): boolean {
    const endedAt = this.#parts.clock.now()
    for (const { node, because, condition } of skip)
      live.change(node, {
        state: 'skipped',
        endedAt,
        ...(condition
          ? { decision: { outcome: 'skipped', reasons: [because] } }
          : { error: { code: 'Conflict', message: `It was not run: ${because}.`, next: `See why ${because}.` } }),
      })
    for (const { node, state, because } of join)
      live.change(node, {
        state,
        endedAt,
        ...(state === 'succeeded'
          ? {}
          : { error: { code: 'Conflict', message: `${because}.`, next: 'See the items that did not end well.' } }),
      })
    return skip.length > 0 || join.length > 0
  }

  /** Decides about those that nobody decided about. True where one ended by that, so that others may go on. */
  async #decide(live: LiveExecution, ready: readonly string[], turn: Turn): Promise<boolean> {
    const open = ready.filter((id) => !live.isQueued(id))
    if (open.length > decidedAtOnce) turn.wake()
    const nodes = open.slice(0, decidedAtOnce).map((id) => live.node(id))
    let ended = false
    for (const [node, decision] of await this.#decisions(live, nodes))
      ended = (await this.#carryOut(live, node, decision, turn)) || ended
    return ended
  }

  /** All at once; where one of them cannot be decided, one by one, so that it fails alone. */
  async #decisions(
    live: LiveExecution,
    nodes: readonly ExecutionNode[],
  ): Promise<[ExecutionNode, NodeDecision | AppError][]> {
    if (nodes.length === 0) return []
    const { planner } = this.#parts
    try {
      const decisions = await planner.decideMany(live.context, nodes, live.outcomes)
      return nodes.map((node, index) => [node, decisions[index]!])
    } catch (error) {
      if (!isTheirs(error)) throw error
      if (nodes.length === 1) return [[nodes[0]!, error]]
      const each: [ExecutionNode, NodeDecision | AppError][] = []
      for (const node of nodes) each.push(...(await this.#decisions(live, [node])))
      return each
    }
  }

  /** True where the node ended at once. */
  async #carryOut(
    live: LiveExecution,
    node: ExecutionNode,
    decision: NodeDecision | AppError,
    turn: Turn,
  ): Promise<boolean> {
    const now = this.#parts.clock.now()
    if (!('outcome' in decision)) return end(live, node, { state: 'failed', error: decision.toJSON() }, now)
    switch (decision.outcome) {
      case 'skipped':
        return end(live, node, { state: 'skipped', decision }, now)
      case 'reused': {
        const { result } = decision
        return end(live, node, { state: 'reused', decision, ...(result ? { result, runId: result.runId } : {}) }, now)
      }
      case 'decided later':
        return node.kind === 'fan-out' && decision.after.length === 0 && (await this.#fanOut(live, node))
      case 'runs':
        if (isPreparation(node)) await this.#start(live, node, decision, turn)
        else live.queue(node.id, this.#withWarning(live, node, decision), now)
        return false
    }
  }

  async #fanOut(live: LiveExecution, node: ExecutionNode): Promise<boolean> {
    // What the items wait for is recorded before they are.
    await this.#flush(live)
    const now = this.#parts.clock.now()
    try {
      const items = await this.#parts.fanOut.carryOut(live.execution, live.context, node, live.outcomes)
      live.addItems(node, items, now)
    } catch (error) {
      if (!isTheirs(error)) throw error
      end(live, node, { state: 'failed', error: error.toJSON() }, now)
    }
    return true
  }

  #withWarning<D extends NodeDecision>(live: LiveExecution, node: ExecutionNode, decision: D): D {
    const { capacity } = this.#parts
    const { cpu, memoryBytes = 0 } = live.load(node.id).needs
    if (weightOf({ cpu, memoryBytes, gpu: 0 }, capacity) !== capacity) return decision
    return { ...decision, reasons: [...decision.reasons, 'asks for more than this machine has: runs alone'] }
  }

  /** Of all that could start what fits beside what runs. */
  async #startWhatFits(turn: Turn): Promise<void> {
    const { clock, capacity } = this.#parts
    const waiting = [...this.#live.values()]
      .flatMap((live) => (live.execution.state === 'running' ? live.candidates() : []))
      .filter(({ execution, node }) => !this.#troubles.isResting(execution, node))
    if (waiting.length === 0) return
    const running = [...this.#inHand.values()].flatMap(({ load }) => (load ? [load] : []))
    for (const chosen of chooseSteps(waiting, running, capacity, clock.now())) {
      if (turn.shutdown.aborted) return
      const live = this.#live.get(chosen.execution)
      await this.#startChosen(chosen, turn).catch(async (error: unknown) => {
        this.#live.delete(chosen.execution)
        const { node: id } = chosen
        if (live)
          await this.#troubles.meet({ ...workOf(live, turn), node: live.node(id) }, error, 'a step could not start')
      })
    }
  }

  async #startChosen({ execution, node: id, readySince }: Candidate, turn: Turn): Promise<void> {
    const live = this.#live.get(execution)
    if (!live?.isQueued(id)) return
    const node = live.node(id)
    // Since it was decided another execution may have made its result.
    const waited = readySince < this.#lastPass
    const [again] = waited ? await this.#decisions(live, [node]) : []
    if (again) await this.#carryOut(live, node, again[1], turn)
    if (live.isQueued(id)) {
      await this.#start(live, node, live.decisionOf(id), turn)
      return
    }
    await this.#flush(live)
    turn.wake()
  }

  async #start(
    live: LiveExecution,
    node: ExecutionNode,
    decision: Extract<NodeDecision, { outcome: 'runs' }>,
    turn: Turn,
  ): Promise<void> {
    await this.#flush(live)
    const announced = await this.#parts.runner.announce(live.execution, node, live.context, decision)
    live.set(announced)
    this.#take(live, announced, turn)
  }

  /** Takes a started node in hand, unless it already is. */
  #take(live: LiveExecution, node: ExecutionNode, { wake, shutdown }: Turn): void {
    const { execution, context } = live
    const key = `${execution.id} ${node.id}`
    if (this.#inHand.has(key)) return
    const cancelled = new AbortController()
    this.#inHand.set(key, { cancelled, load: isPreparation(node) ? undefined : live.load(node.id) })
    const work: Work = { execution, context, node, cancelled: cancelled.signal, shutdown }
    const carrying = this.#parts.runner
      .carry(work)
      .then(() => this.#troubles.forget(execution.id, node.id))
      .catch(async (error: unknown) => {
        const waitMs = await this.#troubles.meet(work, error, 'a step could not be carried on')
        // What a cancel finds here need not wait, but for one that cannot be carried out either.
        const enough = cancelled.signal.aborted ? shutdown : AbortSignal.any([shutdown, cancelled.signal])
        await this.#parts.clock.sleep(waitMs, enough)
        // Read anew, it is taken in hand anew.
        this.#live.delete(execution.id)
      })
      .finally(() => {
        this.#inHand.delete(key)
        this.#carrying.delete(carrying)
        const changed = this.#changed.get(execution.id) ?? new Set()
        this.#changed.set(execution.id, changed.add(node.id))
        wake()
      })
    this.#carrying.add(carrying)
  }

  async #cancel(live: LiveExecution, id: string): Promise<void> {
    const { execution } = live
    const inHand = this.#inHand.get(`${execution.id} ${id}`)
    if (!inHand) {
      live.change(id, { state: 'cancelled', endedAt: this.#parts.clock.now() })
      return
    }
    if (inHand.cancelled.signal.aborted) return
    inHand.cancelled.abort()
    const killing = this.#parts.runner
      .kill(execution.id, live.node(id))
      .catch((error: unknown) =>
        this.#parts.log.error({ err: error, execution: execution.id, node: id }, 'a step could not be killed'),
      )
      .finally(() => this.#carrying.delete(killing))
    this.#carrying.add(killing)
  }

  /** Writes down what was decided since, together. */
  async #flush(live: LiveExecution): Promise<void> {
    const { db, store, clock } = this.#parts
    const changes = live.pending.splice(0)
    for (let from = 0; from < changes.length; from += decidedAtOnce)
      await transact(db, async (tx) => {
        for (const { node, change } of changes.slice(from, from + decidedAtOnce))
          await store.changeNode(tx, live.execution, node, change, clock.now())
      })
  }

  async #finish(live: LiveExecution, { state, reason }: NonNullable<Moves['finish']>): Promise<void> {
    const { runner, db, store, clock } = this.#parts
    const { execution } = live
    await runner.clearUp(execution.id, live.nodes)
    await transact(db, (tx) => store.setState(tx, execution, state, clock.now(), reason))
    this.#live.delete(execution.id)
    this.#changed.delete(execution.id)
    for (const { id } of live.nodes) this.#troubles.forget(execution.id, id)
  }

  async #contextOf(execution: Execution): Promise<PlanContext> {
    const { file } = await this.#parts.projects.fileAt(execution.project, execution.commit)
    return { ...execution.fixed, file, facts: factsOf(execution.trigger) }
  }
}

function end(live: LiveExecution, node: ExecutionNode, change: Partial<ExecutionNode>, endedAt: number): true {
  live.change(node.id, { ...change, endedAt })
  return true
}

const workOf = ({ execution, context }: LiveExecution, { shutdown }: Turn): Omit<Work, 'node'> => ({
  execution,
  context,
  cancelled: new AbortController().signal,
  shutdown,
})
