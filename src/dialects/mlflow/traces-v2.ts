import type { FastifyInstance } from 'fastify'
import { integer, keyedPairs, oneOf, pathParam, readMessage, required, text, texts } from './message.ts'
import { type MlflowParts, mount } from './parts.ts'
import type { TraceAccess } from './trace-access.ts'
import { infoWireV2, listed } from './trace-wire.ts'
import { checkedLocations, searchLimit } from './traces.ts'
import { tokenWire } from './wire.ts'

const root = '/2.0/mlflow/traces'

const status = oneOf({ 0: 'TRACE_STATUS_UNSPECIFIED', 1: 'OK', 2: 'ERROR', 3: 'IN_PROGRESS' } as const)

/** Traces as clients before 3.0 tell of them: begun, then ended; their spans are files. */
export function mountTracesV2(app: FastifyInstance, { clock, traces }: MlflowParts, access: TraceAccess): void {
  mount(app, 'POST', root, async (request) => {
    const trace = readMessage(request, {
      experiment_id: text,
      timestamp_ms: integer,
      request_metadata: keyedPairs('request_metadata'),
      tags: keyedPairs('tags'),
    })
    const experimentId = trace.experiment_id ?? ''
    await access.toExperiment(request.actor, experimentId, 'update')
    const begun = await traces.begin({
      experimentId,
      startedAt: trace.timestamp_ms ?? clock.now(),
      metadata: recordOf(trace.request_metadata),
      tags: recordOf(trace.tags),
    })
    return { trace_info: infoWireV2(begun) }
  })

  mount(app, 'PATCH', `${root}/:request_id`, async (request) => {
    const end = readMessage(request, {
      timestamp_ms: integer,
      status,
      request_metadata: keyedPairs('request_metadata'),
      tags: keyedPairs('tags'),
    })
    const traceId = pathParam(request, 'request_id')
    await access.toTrace(request.actor, traceId, 'update')
    const ended = await traces.end(traceId, {
      at: end.timestamp_ms ?? clock.now(),
      state: end.status === undefined || end.status === 'TRACE_STATUS_UNSPECIFIED' ? 'STATE_UNSPECIFIED' : end.status,
      metadata: recordOf(end.request_metadata),
      tags: recordOf(end.tags),
    })
    return { trace_info: infoWireV2(ended) }
  })

  mount(app, 'GET', `${root}/:request_id/info`, async (request) => {
    const traceId = pathParam(request, 'request_id')
    await access.toTrace(request.actor, traceId, 'read')
    return { trace_info: infoWireV2(await traces.info(traceId)) }
  })

  mount(app, 'GET', root, async (request) => {
    const search = readMessage(request, {
      experiment_ids: required(texts),
      filter: text,
      max_results: integer,
      order_by: texts,
      page_token: text,
    })
    const { items, nextPageToken } = await traces.search({
      experimentIds: await access.readable(request.actor, checkedLocations(search.experiment_ids)),
      filter: search.filter,
      orderBy: search.order_by,
      limit: searchLimit(search.max_results),
      pageToken: search.page_token,
    })
    return { ...listed('traces', items.map(infoWireV2)), ...tokenWire(nextPageToken) }
  })
}

const recordOf = (pairs: readonly { key: string; value: string }[] | undefined): Record<string, string> =>
  Object.fromEntries((pairs ?? []).map(({ key, value }) => [key, value]))
