import type { FastifyInstance } from 'fastify'
import type { LifecycleView } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { integer, oneOf, pairs, readMessage, required, text, texts } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { experimentWire, tokenWire } from './wire.ts'

export const viewType = oneOf({ 1: 'ACTIVE_ONLY', 2: 'DELETED_ONLY', 3: 'ALL' } as const)
const views = { ACTIVE_ONLY: 'active', DELETED_ONLY: 'deleted', ALL: 'all' } as const

export const viewFrom = (type: keyof typeof views | undefined): LifecycleView => views[type ?? 'ACTIVE_ONLY']

export function mountExperiments(app: FastifyInstance, { tracking }: MlflowParts, access: MlflowAccess): void {
  const id = { experiment_id: required(text) }

  mount(app, 'POST', '/2.0/mlflow/experiments/create', async (request) => {
    const { name, artifact_location, tags } = readMessage(request, {
      name: required(text),
      artifact_location: text,
      tags: pairs('tags'),
    })
    refuseUnsafeLocation(artifact_location)
    return { experiment_id: await tracking.createExperiment({ name, artifactLocation: artifact_location, tags }) }
  })

  mount(app, 'GET', '/2.0/mlflow/experiments/get', async (request) => {
    const { experiment_id } = readMessage(request, id)
    return { experiment: experimentWire(await tracking.experiment(experiment_id)) }
  })

  mount(app, 'GET', '/2.0/mlflow/experiments/get-by-name', async (request) => {
    const { experiment_name } = readMessage(request, { experiment_name: required(text) })
    const experiment = await tracking.experimentByName(experiment_name)
    if (!experiment)
      throw new MlflowError('RESOURCE_DOES_NOT_EXIST', `Could not find experiment with name '${experiment_name}'`)
    return { experiment: experimentWire(experiment) }
  })

  for (const method of ['POST', 'GET'] as const)
    mount(app, method, '/2.0/mlflow/experiments/search', async (request) => {
      const search = readMessage(request, {
        view_type: viewType,
        max_results: integer,
        order_by: texts,
        filter: text,
        page_token: text,
      })
      const { items, nextPageToken } = await tracking.searchExperiments({
        view: viewFrom(search.view_type),
        limit: pageLimit(search.max_results, { default: 1000, max: 50_000 }),
        orderBy: search.order_by,
        filter: search.filter,
        pageToken: search.page_token,
      })
      return { experiments: items.map(experimentWire), ...tokenWire(nextPageToken) }
    })

  mount(app, 'POST', '/2.0/mlflow/experiments/delete', async (request) => {
    const { experiment_id } = readMessage(request, id)
    access.toShared(request.actor, `delete experiment ${experiment_id}`)
    await tracking.setExperimentLifecycle(experiment_id, 'deleted')
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/experiments/restore', async (request) => {
    const { experiment_id } = readMessage(request, id)
    access.toShared(request.actor, `restore experiment ${experiment_id}`)
    await tracking.setExperimentLifecycle(experiment_id, 'active')
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/experiments/update', async (request) => {
    const { experiment_id, new_name } = readMessage(request, { ...id, new_name: required(text) })
    access.toShared(request.actor, `rename experiment ${experiment_id}`)
    await tracking.renameExperiment(experiment_id, new_name)
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/experiments/set-experiment-tag', async (request) => {
    const { experiment_id, key, value } = readMessage(request, { ...id, key: required(text), value: text })
    await tracking.setExperimentTag(experiment_id, { key, value: value ?? '' })
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/experiments/delete-experiment-tag', async (request) => {
    const { experiment_id, key } = readMessage(request, { ...id, key: required(text) })
    access.toShared(request.actor, `delete tags of experiment ${experiment_id}`)
    await tracking.deleteExperimentTag(experiment_id, key)
    return {}
  })
}

export function pageLimit(asked: number | undefined, bounds: { default: number; max: number }): number {
  const limit = asked ?? bounds.default
  if (limit < 1)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `Invalid value ${limit} for parameter 'max_results' supplied. It must be a positive integer`,
    )
  if (limit > bounds.max)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `Invalid value ${limit} for parameter 'max_results' supplied. It must be at most ${bounds.max}`,
    )
  return limit
}

function refuseUnsafeLocation(location: string | undefined): void {
  if (!location) return
  if (location.startsWith('runs:'))
    throw new MlflowError('INVALID_PARAMETER_VALUE', `Artifact location cannot be a runs:/ URI. Given: '${location}'`)
  if (/[?#]/.test(location) || /(^|[/\\])\.\.([/\\]|$)/.test(decodeURIComponentSafely(location)))
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `'artifact_location' URL can't include fragments, queries or '..': ${location}`,
    )
}

function decodeURIComponentSafely(value: string): string {
  try {
    return decodeURIComponent(decodeURIComponent(value))
  } catch {
    return value
  }
}
