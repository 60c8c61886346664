import type { FastifyInstance } from 'fastify'
import { transact } from '../../db/index.ts'
import type { RunId } from '../../kernel/ids.ts'
import { pythonJson } from '../../kernel/python-text.ts'
import type { MlflowAccess } from './access.ts'
import { pageLimit } from './experiments.ts'
import {
  flag,
  integer,
  listOf,
  oneOf,
  onlyTexts,
  orZero,
  pairs,
  pathParam,
  queryOf,
  readMessage,
  required,
  text,
} from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { loggedModelWire, tokenWire } from './wire.ts'

const status = oneOf({
  1: 'LOGGED_MODEL_PENDING',
  2: 'LOGGED_MODEL_READY',
  3: 'LOGGED_MODEL_UPLOAD_FAILED',
} as const)
const statusFrom = {
  LOGGED_MODEL_PENDING: 'PENDING',
  LOGGED_MODEL_READY: 'READY',
  LOGGED_MODEL_UPLOAD_FAILED: 'FAILED',
} as const

export function mountLoggedModels(app: FastifyInstance, { db, tracking }: MlflowParts, access: MlflowAccess): void {
  const one = '/2.0/mlflow/logged-models/:model_id'

  mount(app, 'POST', '/2.0/mlflow/logged-models', async (request) => {
    const model = readMessage(request, {
      experiment_id: required(text),
      name: text,
      model_type: text,
      source_run_id: text,
      params: pairs('params'),
      tags: pairs('tags'),
    })
    // A model that a step logs outside any run of its own is the step's.
    const sourceRunId = model.source_run_id || (request.actor.kind === 'step' ? request.actor.runId : undefined)
    if (sourceRunId) await access.toRun(request.actor, sourceRunId)
    const created = await tracking.createLoggedModel({
      experimentId: model.experiment_id,
      name: model.name,
      modelType: model.model_type,
      sourceRunId: sourceRunId as RunId | undefined,
      params: model.params,
      tags: model.tags,
    })
    return { model: loggedModelWire(created) }
  })

  mount(app, 'POST', '/2.0/mlflow/logged-models/search', async (request) => {
    const search = readMessage(request, {
      experiment_ids: required(onlyTexts),
      filter: text,
      datasets: listOf('datasets', { dataset_name: orZero(text), dataset_digest: text }),
      max_results: integer,
      order_by: listOf('order_by', {
        field_name: orZero(text),
        ascending: flag,
        dataset_name: text,
        dataset_digest: text,
      }),
      page_token: text,
    })
    if (search.datasets?.some(({ dataset_name }) => dataset_name === ''))
      throw new MlflowError('INVALID_PARAMETER_VALUE', '`dataset_name` in the `datasets` clause must be specified.')
    const { items, nextPageToken } = await tracking.searchLoggedModels({
      experimentIds: search.experiment_ids,
      filter: search.filter,
      datasets: search.datasets?.map(({ dataset_name, dataset_digest }) => ({
        name: dataset_name,
        ...(dataset_digest ? { digest: dataset_digest } : {}),
      })),
      orderBy: search.order_by?.map((order) => ({
        field: order.field_name,
        ascending: order.ascending ?? true,
        datasetName: order.dataset_name,
        datasetDigest: order.dataset_digest,
      })),
      limit: pageLimit(search.max_results || undefined, { default: 100, max: 50_000 }),
      pageToken: search.page_token,
    })
    return { models: items.map(loggedModelWire), ...tokenWire(nextPageToken) }
  })

  mount(app, 'GET', one, async (request) => {
    const deletedToo = String(queryOf(request).allow_deleted).toLowerCase() === 'true'
    return { model: loggedModelWire(await tracking.loggedModel(pathParam(request, 'model_id'), { deletedToo })) }
  })

  mount(app, 'PATCH', one, async (request) => {
    const modelId = pathParam(request, 'model_id')
    const message = readMessage(request, { status: required(status) })
    if (message.status === undefined) throw unknownStatus(request.body)
    await access.toLoggedModel(request.actor, modelId)
    return { model: loggedModelWire(await tracking.finalizeLoggedModel(modelId, statusFrom[message.status])) }
  })

  mount(app, 'DELETE', one, async (request) => {
    const modelId = pathParam(request, 'model_id')
    await access.toLoggedModel(request.actor, modelId)
    await tracking.deleteLoggedModel(modelId)
    return {}
  })

  mount(app, 'POST', `${one}/params`, async (request) => {
    const modelId = pathParam(request, 'model_id')
    const { params } = readMessage(request, { params: pairs('params') })
    await access.toLoggedModel(request.actor, modelId)
    await tracking.logLoggedModelParams(modelId, params ?? [])
    return {}
  })

  mount(app, 'PATCH', `${one}/tags`, async (request) => {
    const modelId = pathParam(request, 'model_id')
    const { tags } = readMessage(request, { tags: pairs('tags') })
    await access.toLoggedModel(request.actor, modelId)
    await transact(db, (tx) => tracking.setLoggedModelTags(tx, modelId, tags ?? []))
    return {}
  })

  mount(app, 'DELETE', `${one}/tags/:tag_key`, async (request) => {
    const modelId = pathParam(request, 'model_id')
    await access.toLoggedModel(request.actor, modelId)
    await tracking.deleteLoggedModelTag(modelId, pathParam(request, 'tag_key'))
    return {}
  })
}

/** MLflow would leave the model without a status, which nothing can be done with. */
const unknownStatus = (body: unknown): MlflowError =>
  new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `Invalid value ${pythonJson((body as { status?: unknown }).status)} for parameter 'status' supplied.`,
  )
