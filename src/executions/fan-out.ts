import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import { formatBytes } from '../kernel/units.ts'
import type { NodeOutcome, PlanContext } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { expandItems, readItems, type Step, stepOfItem } from '../projects/index.ts'
import type { Execution, ExecutionNode } from './execution.ts'
import type { ExecutionsStore } from './executions-store.ts'

type Parts = {
  db: Db
  clock: Clock
  store: ExecutionsStore
  objects: ObjectStore
  artifacts: Pick<ArtifactService, 'tree'>
}

/** Ten thousand items of a kilobyte; what is longer was not meant to be a list of steps. */
const longestListBytes = 16_000_000

/** Makes the steps of a `foreach:` when its list is there. */
export class FanOut {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Records a node for each item of the list, all or none, and gives them back. The list is fixed by the result of the step that
   * wrote it: killed at any line, the next server makes the same ones.
   * @throws AppError FanOutInvalid
   */
  async carryOut(
    execution: Execution,
    context: PlanContext,
    node: ExecutionNode,
    outcomes: ReadonlyMap<string, NodeOutcome>,
  ): Promise<ExecutionNode[]> {
    const step = context.file.steps[node.step]!
    const items = expandItems(step, readItems(step, await this.#listOf(step, outcomes)))
    const nodes = items.map(
      ({ step: { name }, item }): ExecutionNode => ({
        id: name,
        kind: 'step',
        step: name,
        item,
        after: node.after,
        state: 'waiting',
        attempt: 0,
      }),
    )
    const { db, store, clock } = this.#parts
    await transact(db, (tx) => store.fanOut(tx, execution, node, nodes, clock.now()))
    return nodes
  }

  async #listOf(step: Step, outcomes: ReadonlyMap<string, NodeOutcome>): Promise<string> {
    const { list } = step.foreach!
    for (const outcome of outcomes.values()) {
      if (!('result' in outcome)) continue
      for (const [out, tree] of Object.entries(outcome.result.outs)) {
        if (list !== out && !list.startsWith(`${out}/`)) continue
        const file = (await this.#parts.artifacts.tree(tree)).files.find(({ path }) => path === list)
        if (!file) continue
        if (file.size > longestListBytes)
          throw new AppError(
            'FanOutInvalid',
            `The list "${list}" of "${step.name}" has ${formatBytes(file.size)}; at most ${formatBytes(longestListBytes)} are read.`,
            'Write fewer items, or let one step work on many of them.',
          )
        return new TextDecoder().decode(await this.#parts.objects.read(file.digest))
      }
    }
    throw new AppError(
      'FanOutInvalid',
      `The list "${list}" of "${step.name}" was not written.`,
      'Write it in the step that declares it among its outs.',
    )
  }
}

/** The file as an execution has it: with the steps of the items that are recorded. */
export function withItems(
  context: PlanContext,
  nodes: Iterable<Pick<ExecutionNode, 'step' | 'item' | 'id'>>,
): PlanContext {
  const { file } = context
  const made: Record<string, Step> = {}
  for (const { step, item } of nodes) {
    const declared = item === undefined ? undefined : file.steps[step.split('@', 1)[0]!]
    if (declared && item !== undefined) made[step] = stepOfItem(declared, step, item)
  }
  return Object.keys(made).length === 0 ? context : { ...context, file: { ...file, steps: { ...file.steps, ...made } } }
}
