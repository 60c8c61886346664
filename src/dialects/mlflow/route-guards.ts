import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { Action } from '../../access/index.ts'
import { safeArtifactPath } from '../../artifacts/index.ts'
import type { Actor } from '../../kernel/route.ts'
import { type MlflowAccess, mayAll, scorerResource } from './access.ts'
import { integer, listOf, pathParam, queryOf, readMessage, text, texts } from './message.ts'
import { MlflowError } from './mlflow-error.ts'

type Ask = { request: FastifyRequest; actor: Actor; access: MlflowAccess }
type Guard = (ask: Ask) => Promise<void>
type Rule = {
  /** For users who are no admins; it throws where they may not. */
  before?: Guard
  /** Once it is done, for everybody: permissions follow what they are on. */
  after?: (ask: Ask, answer: unknown) => Promise<void>
}

/**
 * Puts a guard before each route that is mounted from now on: what a user who is no admin needs for it, as MLflow's auth app has it
 * (server/auth/__init__.py, BEFORE_REQUEST_HANDLERS). A route that the table does not name is for admins alone, so that a new one
 * is closed until somebody thought of it. Owner, admins and who is not known on loopback pass without a look; steps are asked by
 * the handlers themselves.
 */
export function guardRoutes(app: FastifyInstance, access: MlflowAccess): void {
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat())
      if (method !== 'HEAD' && method !== 'OPTIONS') guard(route, method, access)
  })
}

function guard(route: RouteOptions, method: string, access: MlflowAccess): void {
  const key = `${method} ${pathOf(route.url)}`
  const { before, after } = rules[key] ?? { before: adminsOnly }
  if (before) {
    const preHandler = async (request: FastifyRequest): Promise<void> => {
      const { actor } = request
      if (request.method !== method || mayAll(actor) || actor.kind === 'step') return
      await before({ request, actor, access })
    }
    route.preHandler = [...[route.preHandler ?? []].flat(), preHandler]
  }
  if (!after) return
  const preSerialization: RouteOptions['preSerialization'] = async (request, reply, answer: unknown) => {
    if (reply.statusCode < 300) await after({ request, actor: request.actor, access }, answer)
    return answer
  }
  route.preSerialization = [...[route.preSerialization ?? []].flat(), preSerialization]
}

/** Without the root, of which there are two. */
const pathOf = (url: string): string => url.replace(/^\/(ajax-)?api(?=\/)/, '')

/** Whether the table knows it. */
export const isGuarded = (method: string, url: string): boolean => rules[`${method} ${pathOf(url)}`] !== undefined

const open: Rule = {}
const adminsOnly: Guard = ({ actor, access }) => access.administer(actor)

const readOne = (request: FastifyRequest, name: string): string => readMessage(request, { [name]: text })[name] ?? ''
const readList = (request: FastifyRequest, name: string): string[] =>
  readMessage(request, { [name]: texts })[name] ?? []

const experiment = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toExperiment(actor, readOne(request, 'experiment_id'), action),
})
const run = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toRun(actor, readOne(request, 'run_id'), action),
})
const runs = (name: string): Rule => ({
  before: async ({ request, actor, access }) => {
    for (const runId of readList(request, name)) await access.toRun(actor, runId, 'read')
  },
})
const loggedModel = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toLoggedModel(actor, pathParam(request, 'model_id'), action),
})
const model = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toModel(actor, readOne(request, 'name'), action),
})
const namedModel: Rule = {
  before: ({ request, actor, access }) => access.toModel(actor, String(queryOf(request).name ?? ''), 'read'),
}
const artifact = (action: Action): Rule => ({
  before: ({ request, access }) => access.toArtifact(request, safePath(pathParam(request, '*')), action),
})

/** Logging that names models as well: each of those is written too. */
const runAndModels = (list: string): Rule => ({
  before: async ({ request, actor, access }) => {
    await access.toRun(actor, readOne(request, 'run_id'), 'update')
    const items = readMessage(request, { [list]: listOf(list, { model_id: text }) })[list] ?? []
    const ids = new Set(items.map((item) => item.model_id).filter((id) => id !== undefined && id !== ''))
    for (const id of ids) await access.toLoggedModel(actor, id!, 'update')
  },
})

/** A search over experiments goes on over those that may be read. */
const readableExperiments: Rule = {
  before: async ({ request, actor, access }) => {
    const readable = await access.readable(actor, readList(request, 'experiment_ids'))
    const source = (request.method === 'GET' ? request.query : request.body) as Record<string, unknown> | null
    if (source === null || typeof source !== 'object') return
    const name = Object.hasOwn(source, 'experimentIds') ? 'experimentIds' : 'experiment_ids'
    if (Object.hasOwn(source, name)) source[name] = readable
  },
}

const allOf = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toAllOf(actor, readList(request, 'experiment_ids'), action),
})
const dataset = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toDataset(actor, pathParam(request, 'dataset_id'), action),
})
const issue = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toIssue(actor, pathParam(request, 'issue_id'), action),
})
const labelSchema = (action: Action): Rule => ({
  before: ({ request, actor, access }) => access.toLabelSchema(actor, readOne(request, 'schema_id'), action),
})
const reviewQueue = (deed: Parameters<MlflowAccess['toReviewQueue']>[2]): Rule => ({
  before: ({ request, actor, access }) => access.toReviewQueue(actor, readOne(request, 'queue_id'), deed),
})
/** A scorer lies in its experiment: who may not look into that may not look at it either. */
const scorer = (action: Action): Rule => ({
  before: async ({ request, actor, access }) => {
    const experimentId = readOne(request, 'experiment_id')
    await access.toExperiment(actor, experimentId, 'read')
    await access.toScorer(actor, experimentId, readOne(request, 'name'), action)
  },
})

const createdModel: Rule = {
  after: async ({ actor, access }, answer) => {
    if (actor.userId === undefined) return
    const made = (answer as { registered_model: { name: string; tags?: { key: string; value: string }[] } })
      .registered_model
    const isPrompt = made.tags?.some(({ key, value }) => key === promptTag && value.toLowerCase() === 'true')
    await access.madeBy(actor, { type: isPrompt ? 'prompt' : 'registered_model', id: made.name })
  },
}
const promptTag = 'mlflow.prompt.is_prompt'

/** A version is made of something that may be read; a model copied from is the border around what it was made of. */
const createdVersion: Rule = {
  before: async ({ request, actor, access }) => {
    const { name, source, run_id, model_id } = readMessage(request, {
      name: text,
      source: text,
      run_id: text,
      model_id: text,
    })
    await access.toModel(actor, name ?? '', 'update')
    // As the handler reads it: however many slashes.
    const copied = /^models:\/+(?!m-[0-9a-zA-Z]+$)([^/@]+)/i.exec(source ?? '')?.[1]
    if (copied !== undefined) return access.toModel(actor, copied, 'read')
    if (run_id) await access.toRun(actor, run_id, 'read')
    if (model_id) await access.toLoggedModel(actor, model_id, 'read')
  },
}

const rules: Record<string, Rule> = {
  // Experiments
  'POST /2.0/mlflow/experiments/create': {
    after: ({ actor, access }, answer) =>
      access.madeBy(actor, { type: 'experiment', id: (answer as { experiment_id: string }).experiment_id }),
  },
  'POST /2.0/mlflow/experiments/search': open,
  'GET /2.0/mlflow/experiments/search': open,
  'GET /2.0/mlflow/experiments/get': experiment('read'),
  // The name is looked up by the handler, which asks for the experiment that it finds.
  'GET /2.0/mlflow/experiments/get-by-name': open,
  'POST /2.0/mlflow/experiments/delete': experiment('delete'),
  'POST /2.0/mlflow/experiments/restore': experiment('delete'),
  'POST /2.0/mlflow/experiments/update': experiment('update'),
  'POST /2.0/mlflow/experiments/set-experiment-tag': experiment('update'),
  'POST /2.0/mlflow/experiments/delete-experiment-tag': experiment('update'),
  'POST /2.0/mlflow/experiments/search-datasets': readableExperiments,
  'POST /2.0mlflow/experiments/search-datasets': readableExperiments,
  // Runs; that of a new one is asked for by the handler, which knows the default.
  'POST /2.0/mlflow/runs/create': open,
  'POST /2.0/mlflow/runs/create-promptlab-run': open,
  'GET /2.0/mlflow/gateway-proxy': open,
  'POST /2.0/mlflow/gateway-proxy': open,
  'GET /2.0/mlflow/runs/get': run('read'),
  'POST /2.0/mlflow/runs/search': readableExperiments,
  'POST /2.0/mlflow/runs/update': run('update'),
  'POST /2.0/mlflow/runs/delete': run('delete'),
  'POST /2.0/mlflow/runs/restore': run('delete'),
  'POST /2.0/mlflow/runs/log-metric': {
    before: async ({ request, actor, access }) => {
      await access.toRun(actor, readOne(request, 'run_id'), 'update')
      const modelId = readOne(request, 'model_id')
      if (modelId !== '') await access.toLoggedModel(actor, modelId, 'update')
    },
  },
  'POST /2.0/mlflow/runs/log-parameter': run('update'),
  'POST /2.0/mlflow/runs/set-tag': run('update'),
  'POST /2.0/mlflow/runs/delete-tag': run('update'),
  'POST /2.0/mlflow/runs/log-batch': runAndModels('metrics'),
  'POST /2.0/mlflow/runs/log-model': run('update'),
  'POST /2.0/mlflow/runs/log-inputs': runAndModels('models'),
  'POST /2.0/mlflow/runs/outputs': runAndModels('models'),
  'GET /2.0/mlflow/metrics/get-history': run('read'),
  'GET /2.0/mlflow/metrics/get-history-bulk': runs('run_id'),
  'GET /2.0/mlflow/metrics/get-history-bulk-interval': runs('run_ids'),
  // Artifacts
  'GET /2.0/mlflow/artifacts/list': run('read'),
  'GET /get-artifact': run('read'),
  'GET /model-versions/get-artifact': namedModel,
  'GET //model-versions/get-artifact': namedModel,
  'GET /2.0/mlflow-artifacts/artifacts': {
    before: ({ request, access }) => access.toArtifact(request, safePath(readOne(request, 'path')), 'read'),
  },
  'GET /2.0/mlflow-artifacts/artifacts/*': artifact('read'),
  'PUT /2.0/mlflow-artifacts/artifacts/*': artifact('update'),
  'DELETE /2.0/mlflow-artifacts/artifacts/*': artifact('manage'),
  'POST /2.0/mlflow-artifacts/mpu/create/*': artifact('update'),
  'POST /2.0/mlflow-artifacts/mpu/complete/*': artifact('update'),
  'POST /2.0/mlflow-artifacts/mpu/abort/*': artifact('update'),
  'PUT /2.0/mlflow-artifacts/mpu/parts/*': artifact('update'),
  'GET /2.0/mlflow-artifacts/presigned/*': artifact('read'),
  'POST /2.0/mlflow/artifacts/presigned-download-url': run('read'),
  'POST /2.0/mlflow/artifacts/presigned-upload-url': {
    before: async ({ request, actor, access }) => {
      const { run_id, model_id } = readMessage(request, { run_id: text, model_id: text })
      if (run_id) await access.toRun(actor, run_id, 'update')
      if (model_id) await access.toLoggedModel(actor, model_id, 'update')
    },
  },
  'POST /2.0/mlflow/upload-artifact': {
    before: ({ request, actor, access }) => access.toRun(actor, String(queryOf(request).run_uuid ?? ''), 'update'),
  },
  // Logged models
  'POST /2.0/mlflow/logged-models': experiment('update'),
  'POST /2.0/mlflow/logged-models/search': readableExperiments,
  'GET /2.0/mlflow/logged-models/:model_id': loggedModel('read'),
  'PATCH /2.0/mlflow/logged-models/:model_id': loggedModel('update'),
  'DELETE /2.0/mlflow/logged-models/:model_id': loggedModel('delete'),
  'POST /2.0/mlflow/logged-models/:model_id/params': loggedModel('update'),
  'PATCH /2.0/mlflow/logged-models/:model_id/tags': loggedModel('update'),
  'DELETE /2.0/mlflow/logged-models/:model_id/tags/:tag_key': loggedModel('update'),
  'GET /2.0/mlflow/logged-models/:model_id/artifacts/directories': loggedModel('read'),
  'GET /2.0/mlflow/logged-models/:model_id/artifacts/files': loggedModel('read'),
  // Registered models, prompts and their versions
  'POST /2.0/mlflow/registered-models/create': createdModel,
  'GET /2.0/mlflow/registered-models/get': model('read'),
  'GET /2.0/mlflow/registered-models/search': open,
  'POST /2.0/mlflow/registered-models/get-latest-versions': model('read'),
  'GET /2.0/mlflow/registered-models/get-latest-versions': model('read'),
  'PATCH /2.0/mlflow/registered-models/update': model('update'),
  'POST /2.0/mlflow/registered-models/rename': {
    ...model('update'),
    after: async ({ request, access }) => {
      const { name, new_name } = readMessage(request, { name: text, new_name: text })
      await access.renamedModel(name ?? '', new_name ?? '')
    },
  },
  'DELETE /2.0/mlflow/registered-models/delete': {
    ...model('delete'),
    after: ({ request, access }) => access.deletedModel(readOne(request, 'name')),
  },
  'POST /2.0/mlflow/registered-models/set-tag': model('update'),
  'DELETE /2.0/mlflow/registered-models/delete-tag': model('update'),
  'POST /2.0/mlflow/registered-models/alias': model('update'),
  'GET /2.0/mlflow/registered-models/alias': model('read'),
  'DELETE /2.0/mlflow/registered-models/alias': model('delete'),
  'POST /2.0/mlflow/model-versions/create': createdVersion,
  'GET /2.0/mlflow/model-versions/get': model('read'),
  'GET /2.0/mlflow/model-versions/search': open,
  'GET /2.0/mlflow/model-versions/get-download-uri': model('read'),
  'PATCH /2.0/mlflow/model-versions/update': model('update'),
  'POST /2.0/mlflow/model-versions/transition-stage': model('update'),
  'DELETE /2.0/mlflow/model-versions/delete': model('delete'),
  'POST /2.0/mlflow/model-versions/set-tag': model('update'),
  'DELETE /2.0/mlflow/model-versions/delete-tag': model('delete'),
  // Evaluation datasets, scorers, issues, label schemas
  'POST /3.0/mlflow/datasets/create': allOf('update'),
  'POST /3.0/mlflow/datasets/search': allOf('read'),
  'GET /3.0/mlflow/datasets/search': allOf('read'),
  'GET /3.0/mlflow/datasets/:dataset_id': dataset('read'),
  'DELETE /3.0/mlflow/datasets/:dataset_id': dataset('delete'),
  'PATCH /3.0/mlflow/datasets/:dataset_id/tags': dataset('update'),
  'DELETE /3.0/mlflow/datasets/:dataset_id/tags/:key': dataset('update'),
  'POST /3.0/mlflow/datasets/:dataset_id/records': dataset('update'),
  'GET /3.0/mlflow/datasets/:dataset_id/records': dataset('read'),
  'DELETE /3.0/mlflow/datasets/:dataset_id/records': dataset('update'),
  'GET /3.0/mlflow/datasets/:dataset_id/experiment-ids': dataset('read'),
  'POST /3.0/mlflow/datasets/:dataset_id/add-experiments': {
    before: async (ask) => {
      await dataset('update').before!(ask)
      await allOf('update').before!(ask)
    },
  },
  'POST /3.0/mlflow/datasets/:dataset_id/remove-experiments': dataset('update'),
  'POST /3.0/mlflow/scorers/register': {
    before: async (ask) => {
      await experiment('update').before!(ask)
      await scorer('read').before!(ask)
    },
    after: async ({ actor, access }, answer) => {
      const made = answer as { version: number; experiment_id: string; name: string }
      // Whoever adds a version to another's scorer does not come to manage it.
      if (made.version === 1) await access.madeBy(actor, scorerResource(made.experiment_id, made.name))
    },
  },
  'GET /3.0/mlflow/scorers/list': {
    after: async ({ actor, access }, answer) => {
      const listed = answer as { scorers: { experiment_id: number; scorer_name: string }[] }
      listed.scorers = await access.visibleScorers(actor, listed.scorers)
    },
  },
  'GET /3.0/mlflow/scorers/versions': scorer('read'),
  'GET /3.0/mlflow/scorers/get': scorer('read'),
  'DELETE /3.0/mlflow/scorers/delete': {
    ...scorer('delete'),
    after: async ({ request, access }) => {
      const { experiment_id, name, version } = readMessage(request, {
        experiment_id: text,
        name: text,
        version: integer,
      })
      if (version === undefined) await access.deletedScorer(experiment_id ?? '', name ?? '')
    },
  },
  'PUT /3.0/mlflow/scorers/online-config': experiment('update'),
  'GET /3.0/mlflow/scorers/online-configs': {
    after: async ({ actor, access }, answer) => {
      const listed = answer as { configs: { experiment_id: string }[] }
      const readable = new Set(
        await access.readable(
          actor,
          listed.configs.map((config) => config.experiment_id),
        ),
      )
      listed.configs = listed.configs.filter((config) => readable.has(config.experiment_id))
    },
  },
  'POST /3.0/mlflow/issues': experiment('update'),
  'POST /3.0/mlflow/issues/search': {
    before: async ({ request, actor, access }) => {
      const experimentId = readOne(request, 'experiment_id')
      await access.toAllOf(actor, experimentId === '' ? [] : [experimentId], 'read')
    },
  },
  'GET /3.0/mlflow/issues/:issue_id': issue('read'),
  'PATCH /3.0/mlflow/issues/:issue_id': issue('update'),
  'GET /3.0/mlflow/label-schemas/get': labelSchema('read'),
  'GET /3.0/mlflow/label-schemas/get-by-name': experiment('read'),
  'GET /3.0/mlflow/label-schemas/list': experiment('read'),
  'POST /3.0/mlflow/label-schemas/create': experiment('manage'),
  'PATCH /3.0/mlflow/label-schemas/update': labelSchema('manage'),
  'DELETE /3.0/mlflow/label-schemas/delete': labelSchema('manage'),
  'POST /3.0/mlflow/review-queues/create': experiment('update'),
  'POST /3.0/mlflow/review-queues/get-or-create-user': experiment('update'),
  'GET /3.0/mlflow/review-queues/get': reviewQueue('read'),
  'GET /3.0/mlflow/review-queues/get-by-name': experiment('read'),
  'GET /3.0/mlflow/review-queues/list': experiment('read'),
  'POST /3.0/mlflow/review-queues/update': {
    before: ({ request, actor, access }) => {
      const { queue_id, new_owner } = readMessage(request, { queue_id: text, new_owner: text })
      return access.toReviewQueue(actor, queue_id ?? '', new_owner === undefined ? 'own' : 'manage')
    },
  },
  'POST /3.0/mlflow/review-queues/delete': reviewQueue('own'),
  'POST /3.0/mlflow/review-queues/items/add': reviewQueue('update'),
  'POST /3.0/mlflow/review-queues/items/remove': reviewQueue('own'),
  'GET /3.0/mlflow/review-queues/items/list': reviewQueue('read'),
  'POST /3.0/mlflow/review-queues/items/set-status': reviewQueue('review'),
  // Traces (trace-access.ts), users and permissions ask for themselves
  ...Object.fromEntries(
    [
      'POST /v1/traces',
      'POST /3.0/mlflow/traces',
      'GET /3.0/mlflow/traces/get',
      'GET /3.0/mlflow/traces/batchGet',
      'POST /3.0/mlflow/traces/batchGetInfos',
      'GET /3.0/mlflow/traces/:trace_id',
      'POST /3.0/mlflow/traces/search',
      'POST /2.0/mlflow/traces/delete-traces',
      'POST /3.0/mlflow/traces/delete-traces',
      'PATCH /3.0/mlflow/traces/:trace_id/tags',
      'DELETE /3.0/mlflow/traces/:trace_id/tags',
      'PATCH /2.0/mlflow/traces/:request_id/tags',
      'DELETE /2.0/mlflow/traces/:request_id/tags',
      'POST /2.0/mlflow/traces/link-to-run',
      'POST /2.0/mlflow/traces/link-prompts',
      'POST /3.0/mlflow/traces/calculate-filter-correlation',
      'POST /3.0/mlflow/traces/metrics',
      'GET /2.0/mlflow/get-trace-artifact',
      'GET /3.0/mlflow/get-trace-artifact',
      'POST /2.0/mlflow/traces',
      'PATCH /2.0/mlflow/traces/:request_id',
      'GET /2.0/mlflow/traces/:request_id/info',
      'GET /2.0/mlflow/traces',
      'POST /3.0/mlflow/traces/:trace_id/assessments',
      'GET /3.0/mlflow/traces/:trace_id/assessments/:assessment_id',
      'PATCH /3.0/mlflow/traces/:trace_id/assessments/:assessment_id',
      'DELETE /3.0/mlflow/traces/:trace_id/assessments/:assessment_id',
      'POST /2.0/mlflow/users/create',
      'GET /2.0/mlflow/users/get',
      'GET /2.0/mlflow/users/list',
      'GET /2.0/mlflow/users/current',
      'PATCH /2.0/mlflow/users/update-password',
      'PATCH /2.0/mlflow/users/update-admin',
      'DELETE /2.0/mlflow/users/delete',
      'GET /3.0/mlflow/users/current/permissions',
      'GET /3.0/mlflow/users/permissions/list',
      'GET /3.0/mlflow/users/permissions/get',
      'POST /3.0/mlflow/users/permissions/grant',
      'POST /3.0/mlflow/users/permissions/revoke',
      ...['2.0/mlflow/experiments', '2.0/mlflow/registered-models', '3.0/mlflow/scorers'].flatMap((family) => [
        `POST /${family}/permissions/create`,
        `GET /${family}/permissions/get`,
        `PATCH /${family}/permissions/update`,
        `DELETE /${family}/permissions/delete`,
      ]),
    ].map((route) => [route, open]),
  ),
  // Traces ask for themselves: each for the experiment that it is in
  ...Object.fromEntries(
    [
      'POST /3.0/mlflow/traces',
      'GET /3.0/mlflow/traces/get',
      'GET /3.0/mlflow/traces/batchGet',
      'POST /3.0/mlflow/traces/batchGetInfos',
      'GET /3.0/mlflow/traces/:trace_id',
      'POST /3.0/mlflow/traces/search',
      'PATCH /3.0/mlflow/traces/:trace_id/tags',
      'DELETE /3.0/mlflow/traces/:trace_id/tags',
      'POST /3.0/mlflow/traces/calculate-filter-correlation',
      'POST /3.0/mlflow/traces/metrics',
      'POST /3.0/mlflow/traces/:trace_id/assessments',
      'GET /3.0/mlflow/traces/:trace_id/assessments/:assessment_id',
      'PATCH /3.0/mlflow/traces/:trace_id/assessments/:assessment_id',
      'DELETE /3.0/mlflow/traces/:trace_id/assessments/:assessment_id',
      'POST /2.0/mlflow/traces',
      'GET /2.0/mlflow/traces',
      'PATCH /2.0/mlflow/traces/:request_id',
      'GET /2.0/mlflow/traces/:request_id/info',
      'PATCH /2.0/mlflow/traces/:request_id/tags',
      'DELETE /2.0/mlflow/traces/:request_id/tags',
      'POST /2.0/mlflow/traces/link-to-run',
      'POST /2.0/mlflow/traces/link-prompts',
      ...['2.0', '3.0'].flatMap((version) => [
        `POST /${version}/mlflow/traces/delete-traces`,
        `GET /${version}/mlflow/get-trace-artifact`,
      ]),
      'POST /v1/traces',
    ].map((route) => [route, open]),
  ),
  // Each of its fields asks for itself (graphql/resolvers.ts)
  'GET /graphql': open,
  'POST /graphql': open,
  // What says of the server, and what is refused anyway
  'GET /version': open,
  'GET /3.0/mlflow/server-info': open,
  ...Object.fromEntries(
    ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].flatMap((method) =>
      ['/2.0/*', '/3.0/*', '/2.0mlflow/*'].map((path) => [`${method} ${path}`, open]),
    ),
  ),
}

/** As the handlers read it: a path must not mean one thing here and another there. */
function safePath(path: string): string {
  const safe = safeArtifactPath(path)
  if (safe === undefined) throw new MlflowError('INVALID_PARAMETER_VALUE', 'Invalid path')
  return safe
}
