import { type Db, transact } from '../db/index.ts'
import { type ExecutionNode, type ExecutionsService, endedWell } from '../executions/index.ts'
import { digestOf } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { EventPayloads } from '../kernel/events.ts'
import { newId } from '../kernel/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { GateDeclaration, ProjectFile, ProjectsService } from '../projects/index.ts'
import { gateFacts } from './decide/gate-facts.ts'
import { judge } from './decide/judge.ts'
import type { Gate, GateVerdict } from './gate.ts'
import type { GateStore, StoredVerdict } from './gate-store.ts'

type Parts = { db: Db; clock: Clock; store: GateStore; executions: ExecutionsService; projects: ProjectsService }

/** Judges what an execution made, once, when it has ended well. */
export class GateService {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async onExecutionFinished({ executionId, outcome }: EventPayloads['execution.finished']): Promise<void> {
    if (outcome !== 'succeeded') return
    const { execution, nodes } = await this.#parts.executions.get(executionId)
    // What is made again is held against the version that it was, not against a gate.
    if (execution.trigger.kind === 'reproduction') return
    const { file } = await this.#parts.projects.fileAt(execution.project, execution.commit)
    for (const model of candidatesIn(file, nodes)) {
      const gate = file.models[model]?.gate
      // A run of a single step measures only a part: there is nothing to judge yet.
      if (gate && !gate.objectives.every((objective) => nodes.some((node) => node.id === objective.step))) continue
      const facts = gate
        ? gateFacts(gate, nodes, execution.fixed.champions[model])
        : { candidate: {}, champion: undefined }
      const verdict = gate ? judge(asGate(gate), facts) : withoutGate(model)
      await this.#save({ project: execution.project, executionId, model, facts, verdict })
    }
  }

  async verdict(id: string): Promise<StoredVerdict> {
    const found = await this.#parts.store.byId(id)
    if (found) return found
    throw new AppError('NotFound', `There is no verdict "${id}".`, 'An execution lists its verdicts.')
  }

  async verdictOn(executionId: string, model: string): Promise<StoredVerdict | undefined> {
    return this.#parts.store.verdict(executionId, model)
  }

  async list(filter: { project?: string; execution?: string; limit: number }): Promise<StoredVerdict[]> {
    return this.#parts.store.list(filter)
  }

  async #save(judged: Omit<StoredVerdict, 'id' | 'inputsDigest' | 'at'>): Promise<void> {
    const { model, facts } = judged
    const at = this.#parts.clock.now()
    // Numbers as text: JSON's canonical form has no NaN, and a verdict on a NaN is one as well.
    const inputsDigest = digestOf(
      JSON.stringify([
        model,
        Object.entries(facts.candidate).map(String),
        Object.entries(facts.champion ?? {}).map(String),
      ]),
    )
    await transact(this.#parts.db, (tx) => this.#parts.store.save(tx, { id: newId(at), ...judged, inputsDigest, at }))
  }
}

/** Models that a step of the execution logged. */
function candidatesIn(file: ProjectFile, nodes: readonly ExecutionNode[]): string[] {
  const logged = nodes.flatMap((node) => (endedWell(node.state) && node.result?.model ? [node.result.model.name] : []))
  return [...new Set(logged)].filter((model) => Object.hasOwn(file.models, model))
}

const asGate = (declared: GateDeclaration): Gate => ({
  objectives: declared.objectives,
  total: declared.total,
  first: declared.first,
})

/** A model is promoted by evidence; without a gate there is none, and a person decides. */
const withoutGate = (model: string): GateVerdict => ({
  outcome: 'inconclusive',
  score: 0,
  objectives: [],
  reasons: [`modelwright.yaml declares no gate for ${model}: a person decides.`],
  ruleVersion: 'no gate/1',
})
