import type { ArtifactService, TreeManifest } from '../artifacts/index.ts'
import { type ExecutionNode, type ExecutionsService, endedWell, isExecutionOver } from '../executions/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { isAppError } from '../kernel/errors.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { contentDigest } from '../registry/index.ts'
import type { Files, StepFacts } from './decide/compare-executions.ts'
import type { Pass } from './decide/next-pass.ts'
import { stepsOfModel } from './decide/steps-of-model.ts'

type Parts = {
  executions: Pick<ExecutionsService, 'get'>
  artifacts: Pick<ArtifactService, 'tree'>
  objects: Pick<ObjectStore, 'read' | 'has'>
}

/** `relevant`: what the model hangs on in the record, undefined where nobody knows; `gone`: folders of it that are not kept. */
type Asked = { model: string; relevant: ReadonlySet<string> | undefined; gone: ReadonlySet<string> }

/** What was recorded of an execution's steps, with every file that they gave. */
export class PassReader {
  readonly #parts: Parts
  /** An execution that is over does not change any more; a folder may have many files. */
  readonly #ended = new Map<string, readonly StepFacts[]>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * How a pass stands. Outs whose files are not kept any more in the record are compared by the folder's digest alone. A step that the model
   * does not hang on may fail.
   */
  async pass(executionId: string, asked: Asked): Promise<Pass> {
    const { execution, nodes } = await this.#parts.executions.get(executionId)
    if (!isExecutionOver(execution.state)) return { state: 'under way' }
    const { relevant } = asked
    const mattering = nodes.filter(({ id }) => relevant?.has(id) ?? true)
    const ended =
      execution.state === 'failed' && mattering.length > 0 && mattering.every(({ state }) => endedWell(state))
    if (execution.state === 'succeeded' || ended)
      return { state: 'succeeded', steps: await this.steps(executionId, asked) }
    const failed = mattering.find(({ state }) => state === 'failed')
    const why = failed
      ? (failed.error?.message ?? `${failed.id} failed`)
      : (execution.reason ?? `it ${execution.state}`)
    return { state: 'failed', why }
  }

  /** Of what the model hangs on in the record, or here: another commit may make it from other steps. */
  async steps(executionId: string, { gone, model, relevant }: Asked): Promise<readonly StepFacts[]> {
    const { nodes } = await this.#parts.executions.get(executionId)
    const steps = this.#ended.get(executionId) ?? (await this.#stepsOf(nodes, gone))
    this.#ended.set(executionId, steps)
    const here = stepsOfModel(nodes, model)
    return relevant ? steps.filter(({ step }) => relevant.has(step) || here?.has(step)) : steps
  }

  async #stepsOf(nodes: readonly ExecutionNode[], gone: ReadonlySet<string>): Promise<StepFacts[]> {
    const steps: StepFacts[] = []
    for (const node of nodes) if (node.kind === 'step') steps.push(await this.#factsOf(node, gone))
    return steps
  }

  /** Folders of the record whose lists of files nobody has any more. */
  async gone(executionId: string): Promise<Set<string>> {
    const { nodes } = await this.#parts.executions.get(executionId)
    const gone = new Set<string>()
    for (const { id, result } of nodes)
      for (const [out, tree] of Object.entries(result?.outs ?? {}))
        if (!(await this.#parts.objects.has(tree))) gone.add(`${id} ${out}`)
    return gone
  }

  forget(executionIds: readonly string[]): void {
    for (const id of executionIds) this.#ended.delete(id)
  }

  async #factsOf(node: ExecutionNode, gone: ReadonlySet<string>): Promise<StepFacts> {
    const { id, decision, result } = node
    const key = decision && decision.outcome !== 'decided later' && 'parts' in decision ? decision.parts : undefined
    if (!result || !endedWell(node.state)) return { step: id, ...(key ? { key } : {}) }
    const files: Record<string, string> = {}
    for (const [out, tree] of Object.entries(result.outs))
      if (gone.has(`${id} ${out}`)) files[out] = tree
      else Object.assign(files, filesOf(await this.#parts.artifacts.tree(tree)))
    // JSON has no NaN: what was kept of one is a null.
    const metrics = Object.fromEntries(
      Object.entries(result.metrics).map(([name, value]) => [name, (value as number | null) ?? Number.NaN]),
    )
    const model = result.model && { name: result.model.name, ...(await this.#model(result.model.tree)) }
    return { step: id, ...(key ? { key } : {}), result: { files, metrics, ...(model ? { model } : {}) } }
  }

  async #model(tree: Digest): Promise<{ content: string; files: Files }> {
    try {
      const manifest = await this.#parts.artifacts.tree(tree)
      const mlmodel = manifest.files.find(({ path }) => path === 'MLmodel')
      const text = mlmodel && new TextDecoder().decode(await this.#parts.objects.read(mlmodel.digest))
      return { content: contentDigest(manifest, text), files: filesOf(manifest) }
    } catch (error) {
      if (!isAppError(error, 'NotFound')) throw error
      return { content: tree, files: {} }
    }
  }
}

const filesOf = ({ files }: TreeManifest): Files =>
  Object.fromEntries(files.map(({ path, digest, executable }) => [path, executable ? `${digest} executable` : digest]))
