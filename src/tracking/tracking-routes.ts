import type { Reading, Visible } from '../access/index.ts'
import { AppError } from '../kernel/errors.ts'
import { type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import type { LoggedModel, MetricPoint, Run } from './tracking.ts'
import { getMetricHistory, getRun, listExperiments, listRuns } from './tracking-contract.ts'
import type { TrackingService } from './tracking-service.ts'

/** More experiments than this are searched one by one. */
const atOnce = 1000
const namedInError = 10

export function trackingEndpoints(tracking: TrackingService, reading: Reading): Endpoint[] {
  return [
    endpoint(listExperiments, async ({ query, actor }) => {
      const visible = await reading.visibleTo(actor, 'experiment')
      const { items, nextPageToken } = await tracking.searchExperiments({ ...query, view: 'active', visible })
      return {
        items: items.map(({ experimentId, name, createdAt, updatedAt, tags }) => ({
          id: experimentId,
          name,
          createdAt,
          updatedAt,
          tags,
        })),
        ...(nextPageToken ? { nextPageToken } : {}),
      }
    }),
    endpoint(listRuns, async ({ query, actor }) => {
      const visible = await reading.visibleTo(actor, 'experiment')
      const { items, nextPageToken } = await tracking.searchRuns({
        experimentIds: await experimentsNamed(tracking, query.experiment, visible),
        filter: query.filter,
        orderBy: query.orderBy ? [query.orderBy] : [],
        limit: query.limit,
        pageToken: query.pageToken,
      })
      return { items: items.map(runView), ...(nextPageToken ? { nextPageToken } : {}) }
    }),
    endpoint(getRun, async ({ params, actor }) => {
      const run = await tracking.run(params.id)
      await reading.insistOnReading(actor, { type: 'experiment', id: run.experimentId })
      const models = await tracking.loggedModels({ runIds: [run.runId] })
      return { ...runView(run), datasets: datasetsView(run), loggedModels: models.map(loggedModelView) }
    }),
    endpoint(getMetricHistory, async ({ params, query, actor }) => {
      const run = await tracking.findRun(params.id)
      if (run) await reading.insistOnReading(actor, { type: 'experiment', id: run.experimentId })
      const { items, nextPageToken } = await tracking.metricHistory(params.id, params.key, query)
      return { items: items.map(pointView), ...(nextPageToken ? { nextPageToken } : {}) }
    }),
  ]
}

/** A name goes before an id: experiments may be called "7". */
async function experimentsNamed(
  tracking: TrackingService,
  wanted: string | undefined,
  visible: Visible | undefined,
): Promise<string[]> {
  if (wanted === undefined) {
    const { items } = await tracking.searchExperiments({ view: 'active', limit: atOnce, visible })
    return items.map((experiment) => experiment.experimentId)
  }
  const named = await tracking.experimentByName(wanted)
  if (named) return seen([named.experimentId], visible)
  if (/^\d{1,15}$/.test(wanted)) return seen([(await tracking.experiment(wanted)).experimentId], visible)
  const { items } = await tracking.searchExperiments({ view: 'active', limit: atOnce, visible })
  const names = items.slice(0, namedInError).map(({ name }) => `"${name}"`)
  throw new AppError(
    'NotFound',
    `There is no experiment "${wanted}"; there are ${names.join(', ')}${items.length > names.length ? ', …' : ''}.`,
    'Name one of them. What a step logs lies in the experiment of its project, whatever its script sets.',
  )
}

const seen = (ids: string[], visible: Visible | undefined): string[] =>
  visible === undefined
    ? ids
    : ids.filter((id) => ('only' in visible ? visible.only.includes(id) : !visible.except.includes(id)))

function runView(run: Run): OutputOf<typeof listRuns>['items'][number] {
  const parentRunId = run.tags['mlflow.parentRunId']
  return {
    id: run.runId,
    experimentId: run.experimentId,
    name: run.name,
    status: run.status,
    user: run.userId,
    startedAt: run.startedAt,
    ...(run.endedAt === undefined ? {} : { endedAt: run.endedAt }),
    deleted: run.lifecycle === 'deleted',
    ...(parentRunId === undefined ? {} : { parentRunId }),
    params: run.params,
    tags: run.tags,
    metrics: Object.fromEntries(run.metrics.map((point) => [point.key, pointView(point)])),
  }
}

const datasetsView = (run: Run) =>
  run.datasetInputs.map(({ dataset, tags }) => ({
    name: dataset.name,
    digest: dataset.digest,
    sourceType: dataset.sourceType,
    ...(tags['mlflow.data.context'] === undefined ? {} : { context: tags['mlflow.data.context'] }),
  }))

const loggedModelView = (model: LoggedModel) => ({
  id: model.modelId,
  name: model.name,
  status: model.status,
  ...(model.modelType === undefined ? {} : { modelType: model.modelType }),
  createdAt: model.createdAt,
  params: model.params,
  tags: model.tags,
})

const pointView = ({ value, step, timestamp }: MetricPoint) => ({
  value: Number.isNaN(value) ? ('NaN' as const) : value,
  step,
  timestamp,
})
