import type { ArtifactService } from '../artifacts/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { RunId } from '../kernel/ids.ts'
import type { StepResult } from '../planning/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Step } from '../projects/index.ts'
import { artifactFolderOf, type Logged, type TrackingService } from '../tracking/index.ts'
import type { ExecutionNode } from './execution.ts'
import { type AttemptFolders, collectOuts, readMetricsFile } from './workspace.ts'

type Parts = { objects: ObjectStore; artifacts: ArtifactService; tracking: TrackingService }

/**
 * What a step left when its command ended well: outputs, what it logged, its model. `logged`: to its own run, as it is now.
 * @throws AppError OutputMissing, ModelMissing
 */
export async function readStepResult(
  parts: Parts,
  { node, step, folders, logged }: { node: ExecutionNode; step: Step; folders: AttemptFolders; logged: Logged },
): Promise<StepResult> {
  const runId = node.runId!
  return {
    runId,
    outs: await collectOuts(parts, folders, step.name, step.outs),
    metrics: await metricsOf(parts, runId, { logged, declared: step.metrics, folders }),
    ...(node.kind === 'step' && step.model ? { model: await modelOf(parts, runId, step.name, step.model) } : {}),
  }
}

async function metricsOf(
  { tracking }: Parts,
  own: RunId,
  { logged, declared, folders }: { logged: Logged; declared: boolean | string; folders: AttemptFolders },
): Promise<Record<string, number>> {
  if (typeof declared === 'string') {
    const metrics = await readMetricsFile(folders, declared)
    if (metrics) return metrics
    throw new AppError(
      'OutputMissing',
      `The metrics file "${declared}" was not written.`,
      'Write it, or declare metrics: true and log to MLflow.',
    )
  }
  // Scripts that open runs of their own log there; what the step's own run says comes first.
  const owned = await tracking.runsOwnedBy(own)
  const all: Record<string, number> = (await readMetricsFile(folders, 'metrics.json')) ?? {}
  for (const { runId } of owned) Object.assign(all, await tracking.latestMetrics(runId))
  Object.assign(all, logged.metrics)
  // What the machine was doing says nothing of the model, and is another each time.
  return Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith(systemMetrics)))
}

/** MLflow's own prefix. */
export const systemMetrics = 'system/'

/** The newest ready model that the step or a run of its script logged; one of the declared name before others. */
async function modelOf(
  { tracking, artifacts }: Parts,
  runId: RunId,
  step: string,
  name: string,
): Promise<NonNullable<StepResult['model']>> {
  const owned = await tracking.runsOwnedBy(runId)
  const logged = await tracking.loggedModels({ runIds: [runId, ...owned.map((run) => run.runId)] })
  const ready = logged.filter((model) => model.status === 'READY').sort((a, b) => b.createdAt - a.createdAt)
  const model = ready.find((candidate) => candidate.name === name) ?? ready[0]
  if (!model)
    throw new AppError(
      'ModelMissing',
      `Step "${step}" declares model: ${name}, but logged ${logged.length === 0 ? 'no model' : 'no model that became ready'}.`,
      'Log it with mlflow.<flavour>.log_model(...), or take model: out of the step.',
    )
  const folder = artifactFolderOf(model.artifactUri)
  const tree = folder === undefined ? { files: [] } : await artifacts.files.treeUnder(folder)
  if (tree.files.length === 0)
    throw new AppError(
      'ModelMissing',
      `The model ${model.modelId} that step "${step}" logged has no files here (they are to lie at ${model.artifactUri}).`,
      'Look into the log for a failed upload.',
    )
  return { name, loggedModelId: model.modelId, tree: await artifacts.storeTree(tree) }
}

/** Declared parameters that the script did not log itself: a script's own way of writing a value stands. */
export function paramsNotLogged(
  { params: logged }: Pick<Logged, 'params'>,
  params: Record<string, unknown>,
): { key: string; value: string }[] {
  const missing = Object.entries(params).filter(([name]) => !Object.hasOwn(logged, name))
  return missing.map(([key, value]) => ({ key, value: String(value) }))
}
