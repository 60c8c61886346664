import type { FastifyInstance } from 'fastify'
import { transact } from '../../db/index.ts'
import type { RunId } from '../../kernel/ids.ts'
import { pythonDumps, pythonText } from '../../kernel/python-text.ts'
import type { Actor } from '../../kernel/route.ts'
import { checkDatasetInput, checkRunId, type DatasetInput, type KeyValue } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { pageLimit, viewFrom, viewType } from './experiments.ts'
import {
  integer,
  keyedPairs,
  listOf,
  nested,
  oneOf,
  onlyTexts,
  orZero,
  pairs,
  readMessage,
  required,
  text,
  texts,
  unchecked,
} from './message.ts'
import { metricFields, metricFrom } from './metrics.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { mountPromptlabRuns } from './promptlab-runs.ts'
import { runInfoWire, runWire, tokenWire } from './wire.ts'

const parentTag = 'mlflow.parentRunId'
const runStatus = oneOf({ 1: 'RUNNING', 2: 'SCHEDULED', 3: 'FINISHED', 4: 'FAILED', 5: 'KILLED' } as const)

export function mountRuns(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountLife(app, parts, access)
  mountLogging(app, parts, access)
  mountInputs(app, parts, access)
  mountPromptlabRuns(app, parts, access)
}

function mountLife(app: FastifyInstance, { db, clock, tracking }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', '/2.0/mlflow/runs/create', async (request) => {
    const run = readMessage(request, {
      experiment_id: text,
      start_time: integer,
      run_name: text,
      user_id: unchecked(text),
      tags: unchecked(pairs('tags')),
    })
    const experimentId = run.experiment_id || '0'
    await access.toCreate(request.actor, experimentId)
    const created = await transact(db, (tx) =>
      tracking.startRun(tx, {
        experimentId,
        name: run.run_name,
        userId: run.user_id,
        startedAt: run.start_time || clock.now(),
        tags: tagsFor(request.actor, run.tags ?? []),
        ...(request.actor.kind === 'step' ? { ownerRunId: request.actor.runId as RunId } : {}),
      }),
    )
    return { run: runWire(created) }
  })

  mount(app, 'POST', '/2.0/mlflow/runs/update', async (request) => {
    const update = readMessage(request, {
      run_id: required(text),
      end_time: integer,
      status: { ...runStatus, passes: text.passes },
      run_name: text,
    })
    await access.toRun(request.actor, update.run_id)
    const info = await transact(db, (tx) =>
      tracking.updateRun(tx, update.run_id, {
        status: update.status,
        endedAt: update.end_time,
        name: update.run_name,
      }),
    )
    return { run_info: runInfoWire(info) }
  })

  for (const [path, lifecycle] of [
    ['delete', 'deleted'],
    ['restore', 'active'],
  ] as const)
    mount(app, 'POST', `/2.0/mlflow/runs/${path}`, async (request) => {
      const { run_id } = readMessage(request, { run_id: required(text) })
      await access.toRun(request.actor, run_id)
      await transact(db, (tx) => tracking.setRunLifecycle(tx, run_id, lifecycle))
      return {}
    })

  mount(app, 'GET', '/2.0/mlflow/runs/get', async (request) => {
    return getRun({ tracking }, readMessage(request, { run_id: required(text) }))
  })

  mount(app, 'POST', '/2.0/mlflow/runs/search', async (request) => {
    const search = readMessage(request, {
      experiment_ids: texts,
      filter: text,
      max_results: atMost(50_000),
      order_by: onlyTexts,
      run_view_type: unchecked(viewType),
      page_token: unchecked(text),
    })
    return searchRuns({ tracking }, search)
  })
}

type Tracking = Pick<MlflowParts, 'tracking'>

export const getRun = async ({ tracking }: Tracking, { run_id }: { run_id: string }) => ({
  run: runWire(await tracking.run(run_id)),
})

export type AskedRuns = {
  experiment_ids?: string[]
  filter?: string
  max_results?: number
  order_by?: string[]
  run_view_type?: 'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL'
  page_token?: string
}

export async function searchRuns({ tracking }: Tracking, search: AskedRuns) {
  const { items, nextPageToken } = await tracking.searchRuns({
    experimentIds: search.experiment_ids ?? [],
    filter: search.filter,
    view: viewFrom(search.run_view_type),
    limit: pageLimit(search.max_results, { default: 1000, max: 50_000 }),
    orderBy: search.order_by,
    pageToken: search.page_token,
  })
  return { runs: items.map(runWire), ...tokenWire(nextPageToken) }
}

function mountLogging(app: FastifyInstance, { db, tracking }: MlflowParts, access: MlflowAccess): void {
  const id = { run_id: required(text) }

  mount(app, 'POST', '/2.0/mlflow/runs/log-metric', async (request) => {
    const { run_id, ...metric } = readMessage(request, { ...id, ...metricFields })
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) => tracking.logMetrics(tx, run_id, [metricFrom(metric)]))
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/runs/log-parameter', async (request) => {
    const { run_id, key, value } = readMessage(request, { ...id, key: required(text), value: text })
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) => tracking.logParams(tx, run_id, [{ key, value: value ?? '' }]))
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/runs/set-tag', async (request) => {
    const { run_id, key, value } = readMessage(request, { ...id, key: required(text), value: text })
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) => tracking.setTags(tx, run_id, [{ key, value: value ?? '' }]))
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/runs/delete-tag', async (request) => {
    const { run_id, key } = readMessage(request, { ...id, key: required(text) })
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) => tracking.deleteTag(tx, run_id, key))
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/runs/log-batch', async (request) => {
    const { run_id, metrics, params, tags } = readMessage(request, {
      ...id,
      metrics: listOf('metrics', metricFields),
      params: keyedPairs('params'),
      tags: keyedPairs('tags'),
    })
    checkRunId(run_id)
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) => tracking.logBatch(tx, run_id, { metrics: metrics?.map(metricFrom), params, tags }))
    return {}
  })
}

function mountInputs(app: FastifyInstance, { db, tracking }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', '/2.0/mlflow/runs/log-inputs', async (request) => {
    const { run_id, datasets, models } = readMessage(request, {
      run_id: required(text),
      datasets: listOf('datasets', { tags: pairs('tags'), dataset: datasetMessage }),
      models: listOf('models', { model_id: orZero(text) }),
    })
    checkRunId(run_id)
    const inputs = datasets?.map(datasetInputFrom)
    for (const input of inputs ?? []) checkDatasetInput(input)
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) =>
      tracking.logInputs(tx, run_id, { datasets: inputs, models: models?.map((model) => model.model_id) }),
    )
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/runs/outputs', async (request) => {
    const { run_id, models } = readMessage(request, {
      run_id: required(text),
      models: required(listOf('models', { model_id: orZero(text), step: orZero(integer) })),
    })
    await access.toRun(request.actor, run_id)
    await transact(db, (tx) =>
      tracking.logOutputs(
        tx,
        run_id,
        models.map(({ model_id, step }) => ({ modelId: model_id, step })),
      ),
    )
    return {}
  })

  // Clients before 3.x tell of a model by its MLmodel, kept as a tag of the run.
  mount(app, 'POST', '/2.0/mlflow/runs/log-model', async (request) => {
    const { run_id, model_json } = readMessage(request, { run_id: required(text), model_json: required(text) })
    await access.toRun(request.actor, run_id)
    const model = modelForHistory(parsedModel(model_json))
    const run = await tracking.run(run_id)
    const known = JSON.parse(run.tags[historyTag] ?? '[]') as unknown[]
    const value = pythonDumps([...known, model])
    await transact(db, (tx) => tracking.setTags(tx, run_id, [{ key: historyTag, value }]))
    return {}
  })
}

const historyTag = 'mlflow.log-model.history'

const datasetMessage = nested('dataset', {
  name: orZero(text),
  digest: orZero(text),
  source_type: orZero(text),
  source: orZero(text),
  schema: text,
  profile: text,
})

type DatasetMessage = {
  tags: KeyValue[] | undefined
  dataset?: {
    name: string
    digest: string
    source_type: string
    source: string
    schema: string | undefined
    profile: string | undefined
  }
}

/** A dataset that was left out is one of empty texts, as protobuf reads it. */
function datasetInputFrom({ tags, dataset }: DatasetMessage): DatasetInput {
  return {
    tags: Object.fromEntries((tags ?? []).map(({ key, value }) => [key, value])),
    dataset: {
      name: dataset?.name ?? '',
      digest: dataset?.digest ?? '',
      sourceType: dataset?.source_type ?? '',
      source: dataset?.source ?? '',
      ...(dataset?.schema === undefined ? {} : { schema: dataset.schema }),
      ...(dataset?.profile === undefined ? {} : { profile: dataset.profile }),
    },
  }
}

const mandatoryModelFields = ['artifact_path', 'flavors', 'utc_time_created', 'run_id']

function parsedModel(json: string): Record<string, unknown> {
  const model = asObject(json)
  if (!model)
    throw new MlflowError('INVALID_PARAMETER_VALUE', `Malformed model info. \n ${json} \n is not a valid JSON.`)
  const missing = mandatoryModelFields.filter((field) => !(field in model))
  if (missing.length > 0)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `Model json is missing mandatory fields: {${missing.map(pythonText).join(', ')}}`,
    )
  return model
}

/** What the tag keeps of a model. Source: mlflow 3.17.2, models/model.py (Model.get_tags_dict). */
function modelForHistory(model: Record<string, unknown>): Record<string, unknown> {
  const kept = ['run_id', 'artifact_path', 'utc_time_created', 'model_uuid'].filter((field) => field in model)
  return { ...Object.fromEntries(kept.map((field) => [field, model[field]])), flavors: withoutConfig(model.flavors) }
}

function withoutConfig(flavors: unknown): unknown {
  if (typeof flavors !== 'object' || flavors === null) return {}
  return Object.fromEntries(
    Object.entries(flavors).map(([name, flavor]) => {
      if (typeof flavor !== 'object' || flavor === null) return [name, flavor]
      const { config: _, ...kept } = flavor as Record<string, unknown>
      return [name, kept]
    }),
  )
}

function asObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** A run that a step's code starts hangs below the step's run, wherever it is. */
function tagsFor(actor: Actor, tags: KeyValue[]): KeyValue[] {
  if (actor.kind !== 'step' || actor.runId === undefined || tags.some((tag) => tag.key === parentTag)) return tags
  return [...tags, { key: parentTag, value: actor.runId }]
}

/** A number that is refused as a misfit beyond the limit: before the search itself looks at it. */
const atMost = (max: number): typeof integer => ({
  ...integer,
  read: (value) => {
    const number = integer.read(value)
    return typeof number === 'number' && number > max ? undefined : number
  },
  passes: (value) => integer.passes!(value) && Number(value) <= max,
})
