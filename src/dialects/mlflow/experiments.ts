import { isAbsolute, join } from 'node:path'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type LifecycleView, searchInputDatasets } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { integer, oneOf, pairs, readMessage, required, text, texts, unchecked } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { experimentWire, tokenWire } from './wire.ts'

export const viewType = oneOf({ 1: 'ACTIVE_ONLY', 2: 'DELETED_ONLY', 3: 'ALL' } as const)
const views = { ACTIVE_ONLY: 'active', DELETED_ONLY: 'deleted', ALL: 'all' } as const

export const viewFrom = (type: keyof typeof views | undefined): LifecycleView => views[type ?? 'ACTIVE_ONLY']

export function mountExperiments(app: FastifyInstance, { db, tracking }: MlflowParts, access: MlflowAccess): void {
  const id = { experiment_id: required(text) }

  mount(app, 'POST', '/2.0/mlflow/experiments/create', async (request) => {
    const { name, artifact_location, tags } = readMessage(request, {
      name: required(text),
      artifact_location: text,
      tags: pairs('tags'),
    })
    refuseUnsafeLocation(artifact_location)
    return {
      experiment_id: await tracking.createExperiment({
        name,
        artifactLocation: resolvedLocation(artifact_location),
        tags,
      }),
    }
  })

  mount(app, 'GET', '/2.0/mlflow/experiments/get', async (request) => {
    return getExperiment({ tracking }, readMessage(request, id))
  })

  mount(app, 'GET', '/2.0/mlflow/experiments/get-by-name', async (request) => {
    const { experiment_name } = readMessage(request, { experiment_name: required(text) })
    const experiment = await tracking.experimentByName(experiment_name)
    if (!experiment)
      throw new MlflowError('RESOURCE_DOES_NOT_EXIST', `Could not find experiment with name '${experiment_name}'`)
    await access.toExperiment(request.actor, experiment.experimentId, 'read')
    return { experiment: experimentWire(experiment) }
  })

  for (const method of ['POST', 'GET'] as const)
    mount(app, method, '/2.0/mlflow/experiments/search', async (request) => {
      const search = readMessage(request, {
        view_type: unchecked(viewType),
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
        visible: await access.visible(request.actor, 'experiment'),
      })
      return { experiments: items.map(experimentWire), ...tokenWire(nextPageToken) }
    })

  mountDatasets(app, db)

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

export const getExperiment = async (
  { tracking }: Pick<MlflowParts, 'tracking'>,
  { experiment_id }: { experiment_id: string },
) => ({ experiment: experimentWire(await tracking.experiment(experiment_id)) })

const maxExperiments = 20

function mountDatasets(app: FastifyInstance, db: MlflowParts['db']): void {
  const search = (request: FastifyRequest) =>
    searchDatasets({ db }, readMessage(request, { experiment_ids: unchecked(texts) }))
  // MLflow's proto has the path without the slash, its page asks for the one with it.
  for (const version of ['2.0/', '2.0']) mount(app, 'POST', `/${version}mlflow/experiments/search-datasets`, search)
}

export async function searchDatasets(
  { db }: Pick<MlflowParts, 'db'>,
  { experiment_ids: ids = [] }: { experiment_ids?: string[] },
) {
  if (ids.length === 0)
    throw new MlflowError('INVALID_PARAMETER_VALUE', 'SearchDatasets request must specify at least one experiment_id.')
  if (ids.length > maxExperiments)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `SearchDatasets request cannot specify more than ${maxExperiments} experiment_ids. Received ${ids.length} experiment_ids.`,
    )
  const found = await searchInputDatasets(db, ids)
  return {
    dataset_summaries: found.map(({ experimentId, name, digest, context }) => ({
      experiment_id: experimentId,
      name,
      digest,
      ...(context === undefined ? {} : { context }),
    })),
  }
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

/** A relative path is one on the server's machine, as MLflow has it: what is kept must not depend on who reads it where. */
const resolvedLocation = (location: string | undefined): string | undefined =>
  location && !isAbsolute(location) && !/^[a-z][\w+.-]*:/i.test(location) ? join(process.cwd(), location) : location

const maxLocationLength = 2048
const hostScheme = /^(https?|ftp|mlflow-artifacts)(?=:\/\/[^/])/i

/**
 * Source: mlflow 3.17.2, server/handlers.py (_validate_storage_location_uri). Stores that clients reach by themselves (hdfs, abfss, …)
 * may be named: MLflow refuses them because its server would connect to them, this one never does.
 */
function refuseUnsafeLocation(location: string | undefined): void {
  if (!location) return
  const refused = (message: string) => new MlflowError('INVALID_PARAMETER_VALUE', message)
  const [path = '', query = ''] = location.split(/\?(.*)/s)
  if (location.includes('#') || (/;[^/]*$/.test(path) && /^(https?:|ftp:|[^:]*$)/.test(location)))
    throw refused("'artifact_location' URL can't include fragments or params.")
  if (decodeURIComponentSafely(query).includes('..')) throw refused('Invalid query string')
  const scheme = hostScheme.exec(location)?.[1]?.toLowerCase()
  if (scheme !== undefined)
    throw refused(
      `'artifact_location' cannot use the '${scheme}' scheme: the '${scheme}' scheme addresses a host other than the tracking ` +
        "server's configured artifact storage, so the server would connect to the host named in the URI.",
    )
  if (location.startsWith('runs:')) throw refused(`Artifact location cannot be a runs:/ URI. Given: '${location}'`)
  if (location.length > maxLocationLength)
    throw refused(
      `Invalid artifact path length. The length of the artifact path cannot be greater than ${maxLocationLength} characters.`,
    )
  // MLflow takes these and fails when an artifact is asked for.
  if (/^mlflow-artifacts:/i.test(location) && /(^|[/\\:])\.\.([/\\]|$)/.test(decodeURIComponentSafely(location)))
    throw refused(`'artifact_location' URL can't include '..': ${location}`)
}

function decodeURIComponentSafely(value: string): string {
  try {
    return decodeURIComponent(decodeURIComponent(value))
  } catch {
    return value
  }
}
