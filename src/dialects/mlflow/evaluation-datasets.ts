import type { FastifyInstance } from 'fastify'
import type { DatasetRecord, EvaluationDataset } from '../../evaluations/index.ts'
import { pythonJson } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { pageLimit } from './experiments.ts'
import { integer, pathParam, readMessage, required, text, texts } from './message.ts'
import { type Handler, type MlflowParts, mount } from './parts.ts'
import { tokenWire } from './wire.ts'

const root = '/3.0/mlflow/datasets'
const one = `${root}/:dataset_id`
const heaviestRecordPage = 50_000

export function mountEvaluationDatasets(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountDatasets(app, parts, access)
  mountRecords(app, parts, access)
  mountExperimentLinks(app, parts, access)
}

function mountDatasets(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', `${root}/create`, async (request) => {
    const asked = readMessage(request, { name: required(text), experiment_ids: texts, tags: text })
    const experimentIds = [...new Set(asked.experiment_ids ?? [])]
    const dataset = await evaluations.createDataset({ name: asked.name, experimentIds, tags: tagsFrom(asked.tags) })
    const links = experimentIds.length > 0 ? { experiment_ids: experimentIds } : {}
    return { dataset: { ...datasetWire(dataset), ...links } }
  })

  for (const method of ['POST', 'GET'] as const)
    mount(app, method, `${root}/search`, async (request) => {
      const search = readMessage(request, {
        experiment_ids: texts,
        filter_string: text,
        max_results: integer,
        order_by: texts,
        page_token: text,
      })
      const { items, nextPageToken } = await evaluations.searchDatasets({
        experimentIds: search.experiment_ids,
        filter: search.filter_string,
        limit: pageLimit(search.max_results, { default: 1000, max: 50_000 }),
        orderBy: search.order_by,
        pageToken: search.page_token,
      })
      return { datasets: items.map(datasetWire), ...tokenWire(nextPageToken) }
    })

  mount(app, 'GET', one, async (request) => ({
    dataset: datasetWire(await evaluations.dataset(pathParam(request, 'dataset_id'))),
  }))

  mount(app, 'DELETE', one, async (request) => {
    const datasetId = pathParam(request, 'dataset_id')
    access.toShared(request.actor, `delete dataset ${datasetId}`)
    await evaluations.deleteDataset(datasetId)
    return {}
  })

  mount(app, 'PATCH', `${one}/tags`, async (request) => {
    const datasetId = pathParam(request, 'dataset_id')
    const { tags } = readMessage(request, { tags: required(text) })
    access.toShared(request.actor, `tag dataset ${datasetId}`)
    await evaluations.setDatasetTags(datasetId, withoutNull(tagsFrom(tags)))
    return {}
  })

  mount(app, 'DELETE', `${one}/tags/:key`, async (request) => {
    const datasetId = pathParam(request, 'dataset_id')
    access.toShared(request.actor, `delete tags of dataset ${datasetId}`)
    await evaluations.deleteDatasetTag(datasetId, pathParam(request, 'key'))
    return {}
  })
}

/** The client sends a whole dataset at once. */
const longestRecordsBytes = 64 * 1024 * 1024

/** A step may add to a dataset: what it adds takes nothing away. */
function mountRecords(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  const merge: Handler = async (request) => {
    const { records } = readMessage(request, { records: required(text) })
    const { inserted, updated } = await evaluations.mergeRecords(pathParam(request, 'dataset_id'), records)
    return { inserted_count: inserted, updated_count: updated }
  }
  mount(app, 'POST', `${one}/records`, merge, { bodyLimit: longestRecordsBytes })

  mount(app, 'GET', `${one}/records`, async (request) => {
    const page = readMessage(request, { max_results: integer, page_token: text })
    const { items, nextPageToken } = await evaluations.records(pathParam(request, 'dataset_id'), {
      limit: pageLimit(page.max_results || undefined, { default: 1000, max: heaviestRecordPage }),
      pageToken: page.page_token,
    })
    return { records: `[${items.map(recordText).join(', ')}]`, ...tokenWire(nextPageToken) }
  })

  mount(app, 'DELETE', `${one}/records`, async (request) => {
    const datasetId = pathParam(request, 'dataset_id')
    const { dataset_record_ids } = readMessage(request, { dataset_record_ids: texts })
    access.toShared(request.actor, `delete records of dataset ${datasetId}`)
    return { deleted_count: await evaluations.deleteRecords(datasetId, dataset_record_ids ?? []) }
  })
}

function mountExperimentLinks(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'GET', `${one}/experiment-ids`, async (request) => ({
    experiment_ids: await evaluations.datasetExperimentIds(pathParam(request, 'dataset_id')),
  }))

  mount(app, 'POST', `${one}/add-experiments`, async (request) => {
    const { experiment_ids } = readMessage(request, { experiment_ids: texts })
    const datasetId = pathParam(request, 'dataset_id')
    return { dataset: datasetWire(await evaluations.addDatasetToExperiments(datasetId, experiment_ids ?? [])) }
  })

  mount(app, 'POST', `${one}/remove-experiments`, async (request) => {
    const { experiment_ids } = readMessage(request, { experiment_ids: texts })
    const datasetId = pathParam(request, 'dataset_id')
    access.toShared(request.actor, `take dataset ${datasetId} from experiments`)
    return { dataset: datasetWire(await evaluations.removeDatasetFromExperiments(datasetId, experiment_ids ?? [])) }
  })
}

const datasetWire = (dataset: EvaluationDataset) => ({
  dataset_id: dataset.datasetId,
  name: dataset.name,
  tags: JSON.stringify(dataset.tags),
  ...(dataset.schema === undefined ? {} : { schema: dataset.schema }),
  ...(dataset.profile === undefined ? {} : { profile: dataset.profile }),
  digest: dataset.digest,
  created_time: dataset.createdAt,
  last_update_time: dataset.updatedAt,
  ...(dataset.createdBy === undefined ? {} : { created_by: dataset.createdBy }),
  ...(dataset.updatedBy === undefined ? {} : { last_updated_by: dataset.updatedBy }),
})

/** JSON put together from JSON: what is stored is never read, so its numbers stay as they were sent. */
function recordText(record: DatasetRecord): string {
  const fields: [string, string | undefined][] = [
    ['dataset_record_id', quoted(record.recordId)],
    ['dataset_id', quoted(record.datasetId)],
    ['inputs', record.inputs],
    ['outputs', record.outputs],
    ['expectations', record.expectations],
    ['tags', record.tags],
    ['source', record.source],
    ['source_id', quoted(record.sourceId)],
    ['source_type', quoted(record.sourceType)],
    ['created_time', String(record.createdAt)],
    ['last_update_time', String(record.updatedAt)],
    ['created_by', quoted(record.createdBy)],
    ['last_updated_by', quoted(record.updatedBy)],
  ]
  return `{${fields.flatMap(([key, value]) => (value === undefined ? [] : [`"${key}": ${value}`])).join(', ')}}`
}

const quoted = (value: string | undefined): string | undefined =>
  value === undefined ? undefined : JSON.stringify(value)

/** Tags travel as a JSON object in a text; values are texts, as Python writes what is none. */
function tagsFrom(json: string | undefined): Record<string, string | null> {
  if (!json) return {}
  const tags = parsedObject(json)
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [textInDatabase(key), tagValue(value)]))
}

function parsedObject(json: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw invalid("Parameter 'tags' must be a JSON object: it is no valid JSON.")
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalid("Parameter 'tags' must be a JSON object.")
}

function tagValue(value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return textInDatabase(typeof value === 'string' ? value : pythonJson(value))
}

function textInDatabase(value: string): string {
  if (value.includes('\0')) throw invalid('A text cannot hold the character U+0000.')
  return value
}

const withoutNull = (tags: Record<string, string | null>): Record<string, string> =>
  Object.fromEntries(Object.entries(tags).filter((tag): tag is [string, string] => tag[1] !== null))
