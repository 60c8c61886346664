import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  type Aggregation,
  type MetricQuestion,
  spansAreHere,
  type TraceInfo,
  type TracesService,
  traceTags,
} from '../../traces/index.ts'
import { invalid } from '../../tracking/index.ts'
import { sendFile, within } from './artifact-content.ts'
import {
  flag,
  integer,
  listOf,
  nested,
  oneOf,
  onlyTexts,
  pathParam,
  queryOf,
  readMessage,
  required,
  seeDocs,
  text,
  texts,
} from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import type { TraceAccess } from './trace-access.ts'
import {
  assessmentFields,
  assessmentFrom,
  locationFields,
  metricAggregation,
  traceInfoFields,
} from './trace-messages.ts'
import type { TraceThread } from './trace-thread.ts'
import { infoWire, listed } from './trace-wire.ts'
import { tokenWire } from './wire.ts'

const root = '/3.0/mlflow/traces'
const maxSearchResults = 500
const maxMetricAnswers = 1000

export function mountTraces(
  app: FastifyInstance,
  parts: MlflowParts,
  { access, thread }: { access: TraceAccess; thread: TraceThread },
): void {
  mountLife(app, parts, access)
  mountReading(app, parts, { access, thread })
  mountTags(app, parts, access)
  mountLinks(app, parts, access)
  mountQuestions(app, parts, access)
  mountFiles(app, parts, access)
}

function mountLife(app: FastifyInstance, { traces }: MlflowParts, access: TraceAccess): void {
  mount(app, 'POST', root, async (request) => {
    const { trace } = readMessage(request, {
      trace: required(
        nested('trace', {
          trace_info: nested('trace.trace_info', {
            ...traceInfoFields,
            assessments: listOf('assessments', assessmentFields),
          }),
        }),
      ),
    })
    const info = trace?.trace_info
    const experimentId = info?.trace_location?.mlflow_experiment?.experiment_id
    if (!info || !experimentId)
      throw invalid(`Missing value for required parameter 'trace.trace_info.trace_location'.${seeDocs}`)
    await access.toExperiment(request.actor, experimentId, 'update')
    const traceId = info.trace_id ?? ''
    // One that is known may be in another experiment, from which this would take it.
    await access.toTrace(request.actor, traceId, 'update')
    const started = await traces.start({
      traceId,
      experimentId,
      startedAt: info.request_time ?? 0,
      durationMs: info.execution_duration,
      state: info.state ?? 'STATE_UNSPECIFIED',
      clientRequestId: info.client_request_id,
      requestPreview: info.request_preview,
      responsePreview: info.response_preview,
      metadata: info.trace_metadata ?? {},
      tags: info.tags ?? {},
      assessments: (info.assessments ?? []).map((assessment) => assessmentFrom(assessment, traceId)),
    })
    return { trace: { trace_info: infoWire(started) } }
  })

  for (const version of ['2.0', '3.0'])
    mount(app, 'POST', `/${version}/mlflow/traces/delete-traces`, async (request) => {
      const asked = readMessage(request, {
        experiment_id: required(text),
        max_timestamp_millis: integer,
        max_traces: integer,
        request_ids: texts,
      })
      await access.toExperiment(request.actor, asked.experiment_id, 'delete')
      const deleted = await traces.delete({
        experimentId: asked.experiment_id,
        until: asked.max_timestamp_millis,
        limit: asked.max_traces,
        traceIds: asked.request_ids,
      })
      return { traces_deleted: deleted }
    })
}

function mountReading(
  app: FastifyInstance,
  { traces }: MlflowParts,
  { access, thread }: { access: TraceAccess; thread: TraceThread },
): void {
  const wireOf = (content: string) => thread.wireOf(content)

  mount(app, 'GET', `${root}/get`, async (request, reply) => {
    const { trace_id, allow_partial } = readMessage(request, { trace_id: required(text), allow_partial: flag })
    await access.toTrace(request.actor, trace_id, 'read')
    const { info, spans } = await traces.whole(trace_id, { partial: allow_partial ?? false })
    return sendJson(reply, around('{"trace": ', traceJson(info, spans, wireOf), '}'))
  })

  mount(app, 'GET', `${root}/batchGet`, async (request, reply) => {
    const { trace_ids, experiment_ids } = readMessage(request, {
      trace_ids: required(onlyTexts),
      experiment_ids: texts,
    })
    await access.toTraces(request.actor, trace_ids, 'read')
    const infos = await traces.infos(trace_ids, experiment_ids)
    const here = infos.filter((info) => info.tags[traceTags.spansLocation] === spansAreHere)
    return sendJson(reply, around('{"traces": [', completeTraces(traces, here, wireOf), ']}'))
  })

  mount(app, 'POST', `${root}/batchGetInfos`, async (request) => {
    const { trace_ids, experiment_ids } = readMessage(request, {
      trace_ids: required(onlyTexts),
      experiment_ids: texts,
    })
    await access.toTraces(request.actor, trace_ids, 'read')
    return listed('trace_infos', (await traces.infos(trace_ids, experiment_ids)).map(infoWire))
  })

  mount(app, 'GET', `${root}/:trace_id`, async (request) => {
    const traceId = pathParam(request, 'trace_id')
    await access.toTrace(request.actor, traceId, 'read')
    return { trace: { trace_info: infoWire(await traces.info(traceId)) } }
  })

  mount(app, 'POST', `${root}/search`, async (request) => {
    const search = readMessage(request, {
      locations: required(listOf('locations', locationFields)),
      filter: text,
      max_results: integer,
      order_by: onlyTexts,
      page_token: text,
    })
    const experimentIds = search.locations.flatMap((location) => location.mlflow_experiment?.experiment_id ?? [])
    const { items, nextPageToken } = await traces.search({
      experimentIds: await access.readable(request.actor, checkedLocations(experimentIds)),
      filter: search.filter,
      orderBy: search.order_by,
      limit: searchLimit(search.max_results),
      pageToken: search.page_token,
    })
    return { ...listed('traces', items.map(infoWire)), ...tokenWire(nextPageToken) }
  })
}

function mountTags(app: FastifyInstance, { traces }: MlflowParts, access: TraceAccess): void {
  for (const [path, id] of [
    [`${root}/:trace_id/tags`, 'trace_id'],
    ['/2.0/mlflow/traces/:request_id/tags', 'request_id'],
  ] as const) {
    mount(app, 'PATCH', path, async (request) => {
      const { key, value } = readMessage(request, { key: required(text), value: text })
      refuseOwnTag(key, 'set')
      await access.toTrace(request.actor, pathParam(request, id), 'update')
      await traces.setTag(pathParam(request, id), key, value ?? '')
      return {}
    })
    mount(app, 'DELETE', path, async (request) => {
      const { key } = readMessage(request, { key: required(text) })
      refuseOwnTag(key, 'deleted')
      await access.toTrace(request.actor, pathParam(request, id), 'update')
      await traces.deleteTag(pathParam(request, id), key)
      return {}
    })
  }
}

function mountLinks(app: FastifyInstance, { traces }: MlflowParts, access: TraceAccess): void {
  mount(app, 'POST', '/2.0/mlflow/traces/link-to-run', async (request) => {
    const { trace_ids, run_id } = readMessage(request, { trace_ids: required(texts), run_id: required(text) })
    await access.toRun(request.actor, run_id)
    await access.toTraces(request.actor, trace_ids, 'update')
    if (trace_ids.length > 0) await traces.linkToRun(trace_ids, run_id)
    return {}
  })

  mount(app, 'POST', '/2.0/mlflow/traces/link-prompts', async (request) => {
    const { trace_id, prompt_versions } = readMessage(request, {
      trace_id: required(text),
      prompt_versions: required(listOf('prompt_versions', { name: text, version: text })),
    })
    await access.toTrace(request.actor, trace_id, 'update')
    const versions = prompt_versions.map(({ name, version }) => ({ name: name ?? '', version: wholeVersion(version) }))
    await traces.linkPrompts(trace_id, versions)
    return {}
  })
}

function mountQuestions(app: FastifyInstance, { traces }: MlflowParts, access: TraceAccess): void {
  mount(app, 'POST', `${root}/calculate-filter-correlation`, async (request) => {
    const asked = readMessage(request, {
      experiment_ids: required(texts),
      filter_string1: required(text),
      filter_string2: required(text),
      base_filter: text,
    })
    const found = await traces.correlation({
      experimentIds: await access.readable(request.actor, asked.experiment_ids),
      filter1: asked.filter_string1,
      filter2: asked.filter_string2,
      ...(asked.base_filter ? { base: asked.base_filter } : {}),
    })
    return {
      ...known('npmi', found.npmi),
      ...known('npmi_smoothed', found.npmiSmoothed),
      filter1_count: found.filter1Count,
      filter2_count: found.filter2Count,
      joint_count: found.jointCount,
      total_count: found.totalCount,
    }
  })

  mount(app, 'POST', `${root}/metrics`, async (request) => {
    const asked = readMessage(request, {
      experiment_ids: required(texts),
      view_type: required(oneOf({ 1: 'TRACES', 2: 'SPANS', 3: 'ASSESSMENTS' } as const)),
      metric_name: required(text),
      aggregations: required(listOf('aggregations', metricAggregation)),
      dimensions: texts,
      filters: texts,
      time_interval_seconds: integer,
      start_time_ms: integer,
      end_time_ms: integer,
      max_results: integer,
      page_token: text,
    })
    const question: MetricQuestion = {
      experimentIds: await access.readable(request.actor, asked.experiment_ids),
      view: asked.view_type ?? 'TRACES',
      metric: asked.metric_name,
      aggregations: asked.aggregations.map(aggregationFrom),
      dimensions: asked.dimensions ?? [],
      filters: asked.filters ?? [],
      intervalSeconds: positive('time_interval_seconds', asked.time_interval_seconds),
      from: asked.start_time_ms,
      to: asked.end_time_ms,
      limit: positive('max_results', asked.max_results) ?? maxMetricAnswers,
    }
    const answers = await traces.metrics(question)
    return listed(
      'data_points',
      answers.map(({ metric, dimensions, values }) => ({ metric_name: metric, dimensions, values })),
    )
  })
}

function mountFiles(app: FastifyInstance, { artifacts, traces }: MlflowParts, access: TraceAccess): void {
  for (const version of ['2.0', '3.0'])
    mount(app, 'GET', `/${version}/mlflow/get-trace-artifact`, async (request, reply) => {
      const { request_id: traceId, path } = queryOf(request)
      if (typeof traceId !== 'string' || traceId === '')
        throw new MlflowError('BAD_REQUEST', 'Request must include the "request_id" query parameter.')
      await access.toTrace(request.actor, traceId, 'read')
      const info = await traces.info(traceId)
      if (typeof path === 'string' && path !== '')
        return sendTraceFile(`attachments/${path}`, info, { artifacts, request, reply })
      if (info.tags[traceTags.spansLocation] !== spansAreHere)
        return sendTraceFile('traces.json', info, { artifacts, request, reply })
      const contents = await traces.spanContents(traceId)
      void reply
        .header('x-content-type-options', 'nosniff')
        .header('content-disposition', 'attachment; filename=traces.json')
        .type('application/octet-stream')
      return reply.send(Readable.from(around('{"spans": [', joined(contents), ']}')))
    })
}

type Exchange = { artifacts: MlflowParts['artifacts']; request: FastifyRequest; reply: FastifyReply }

function sendTraceFile(path: string, info: TraceInfo, { artifacts, request, reply }: Exchange): Promise<FastifyReply> {
  const location = info.tags[traceTags.artifactLocation]
  if (location === undefined)
    throw new MlflowError('RESOURCE_DOES_NOT_EXIST', `Trace with ID '${info.traceId}' has no artifacts.`)
  return sendFile(artifacts.files, within(location, path), request, reply)
}

type Form = (content: string) => Promise<string>

/** Only those of which all spans are here: a search gives whole traces. */
async function* completeTraces(traces: TracesService, infos: readonly TraceInfo[], form: Form): AsyncIterable<string> {
  let separator = ''
  for (const info of infos) {
    const contents = await traces.completeSpans(info)
    if (!contents) continue
    yield separator
    yield* traceJson(info, contents, form)
    separator = ', '
  }
}

async function* traceJson(info: TraceInfo, contents: readonly string[], form: Form): AsyncIterable<string> {
  yield `{"trace_info": ${JSON.stringify(infoWire(info))}, "spans": [`
  yield* joined(contents, form)
  yield ']}'
}

const charactersATurn = 64 * 1024

/** A trace may hold megabytes: others get their turn in between. */
async function* joined(contents: readonly string[], form?: Form): AsyncIterable<string> {
  let worked = 0
  for (const [index, content] of contents.entries()) {
    yield (index === 0 ? '' : ', ') + (form ? await form(content) : content)
    worked += content.length
    if (worked < charactersATurn) continue
    worked = 0
    await nextTurn()
  }
}

async function* around(before: string, inner: AsyncIterable<string>, after: string): AsyncIterable<string> {
  yield before
  yield* inner
  yield after
}

const sendJson = (reply: FastifyReply, json: AsyncIterable<string>): FastifyReply =>
  reply.type('application/json; charset=utf-8').send(Readable.from(json))

/** How many traces a search gives. Throws for what MLflow refuses. */
export function searchLimit(asked: number | undefined): number {
  if (asked === undefined) return 100
  if (asked > maxSearchResults)
    throw invalid(
      `Invalid value ${asked} for parameter 'max_results' supplied:  Hint: Value was of type 'int'.${seeDocs}`,
    )
  if (asked < 1)
    throw invalid(`Invalid value ${asked} for parameter 'max_results' supplied. It must be a positive integer`)
  return asked
}

export function checkedLocations(experimentIds: readonly string[]): readonly string[] {
  const others = experimentIds.filter((id) => id.includes('.')).join(', ')
  if (others !== '')
    throw invalid(
      `Locations must be a list of experiment IDs. Found invalid experiment IDs: ${others.length > 20 ? `${others.slice(0, 20)}...` : others}.`,
    )
  return experimentIds
}

const ownTags: readonly string[] = [traceTags.spansLocation, traceTags.archiveLocation, traceTags.archivalFailure]

function refuseOwnTag(key: string, change: 'set' | 'deleted'): void {
  if (ownTags.includes(key) && !(change === 'deleted' && key === traceTags.archivalFailure))
    throw invalid(`Tag '${key}' is immutable and cannot be ${change} on a trace.`)
}

function wholeVersion(version: string | undefined): string {
  if (version === undefined || !/^\s*[+-]?\d{1,15}\s*$/.test(version))
    throw invalid(`Invalid value '${version ?? ''}' for the version of a prompt: it must be a whole number.`)
  return String(Number(version))
}

function aggregationFrom(asked: { aggregation_type?: Aggregation['type']; percentile_value?: number }): Aggregation {
  const { aggregation_type: type = 'COUNT', percentile_value: percent } = asked
  if (type !== 'PERCENTILE') {
    if (percent === undefined) return { type }
    throw invalid(`Percentile value is only allowed for PERCENTILE aggregation type, got ${type}`)
  }
  if (percent === undefined) throw invalid('Percentile value is required for PERCENTILE aggregation')
  if (!(percent >= 0 && percent <= 100)) throw invalid(`Percentile value must be between 0 and 100, got ${percent}`)
  return { type, percent }
}

function positive(name: string, value: number | undefined): number | undefined {
  if (value !== undefined && value < 1)
    throw invalid(`Invalid value ${value} for parameter '${name}' supplied. It must be a positive integer`)
  return value
}

/** What is not known is left out. */
const known = (name: string, value: number) => (Number.isNaN(value) ? {} : { [name]: value })
