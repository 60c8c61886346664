import type { FastifyInstance } from 'fastify'
import { transact } from '../../db/index.ts'
import type { RunId } from '../../kernel/ids.ts'
import { pythonDumps } from '../../kernel/python-text.ts'
import { artifactFolderOf, checkBatch, type KeyValue } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { integer, pairs, readMessage, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { runWire } from './wire.ts'

const table = 'eval_results_table.json'

/**
 * One answer of a language model to one prompt, kept as a run by MLflow's own page. The run, its params and tags and the table of
 * results are kept as MLflow does; the model that it would write beside them calls MLflow's gateway, which is not here.
 * Source: mlflow 3.17.2, utils/promptlab_utils.py.
 */
export function mountPromptlabRuns(
  app: FastifyInstance,
  { db, clock, tracking, artifacts }: MlflowParts,
  access: MlflowAccess,
): void {
  mount(app, 'POST', '/2.0/mlflow/runs/create-promptlab-run', async (request) => {
    const asked = readMessage(request, {
      experiment_id: text,
      run_name: text,
      user_id: text,
      start_time: integer,
      tags: pairs('tags'),
      prompt_template: text,
      prompt_parameters: pairs('prompt_parameters'),
      model_route: text,
      model_parameters: pairs('model_parameters'),
      model_input: text,
      model_output: text,
      model_output_parameters: pairs('model_output_parameters'),
      mlflow_version: text,
    })
    const experimentId = given('experiment_id', asked.experiment_id)
    const template = given('prompt_template', asked.prompt_template)
    const parameters = given('prompt_parameters', asked.prompt_parameters)
    const route = given('model_route', asked.model_route)
    const input = given('model_input', asked.model_input)
    given('mlflow_version', asked.mlflow_version)
    await access.toCreate(request.actor, experimentId)

    const params = [
      ...(asked.model_parameters ?? []),
      { key: 'model_route', value: route },
      { key: 'prompt_template', value: template },
    ]
    checkBatch({ params })
    const run = await transact(db, async (tx) => {
      const { runId, artifactUri } = await tracking.startRun(tx, {
        experimentId,
        name: asked.run_name,
        userId: asked.user_id ?? 'unknown',
        startedAt: asked.start_time ?? clock.now(),
        tags: [...(asked.tags ?? []), ...promptlabTags],
        ...(request.actor.kind === 'step' ? { ownerRunId: request.actor.runId as RunId } : {}),
      })
      await tracking.logParams(tx, runId, params)
      return { runId, artifactUri }
    })
    const row: KeyValue[] = [
      ...parameters,
      { key: 'prompt', value: input },
      { key: 'output', value: asked.model_output ?? '' },
      ...(asked.model_output_parameters ?? []),
    ]
    const results = { columns: row.map(({ key }) => key), data: [row.map(({ value }) => value)] }
    const folder = artifactFolderOf(run.artifactUri)
    // Where the experiment's artifacts are somebody else's store, its clients alone can write there.
    if (folder !== undefined) await artifacts.files.put(`${folder}/${table}`, pythonDumps(results))
    await transact(db, (tx) => tracking.endRun(tx, run.runId, 'FINISHED', clock.now()))
    return { run: runWire(await tracking.run(run.runId)) }
  })

  // MLflow's page asks what its gateway offers; without one configured, MLflow answers with nothing.
  for (const method of ['GET', 'POST'] as const)
    mount(app, method, '/2.0/mlflow/gateway-proxy', async () => ({ endpoints: [] }))
}

const promptlabTags: KeyValue[] = [
  { key: 'mlflow.loggedArtifacts', value: pythonDumps([{ path: table, type: 'table' }]) },
  { key: 'mlflow.runSourceType', value: 'PROMPT_ENGINEERING' },
]

function given<T extends string | readonly unknown[]>(name: string, value: T | undefined): T {
  if (value === undefined || value.length === 0)
    throw new MlflowError('INVALID_PARAMETER_VALUE', `CreatePromptlabRun request must specify ${name}.`)
  return value
}
