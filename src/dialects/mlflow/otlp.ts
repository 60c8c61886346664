import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TracesService } from '../../traces/index.ts'
import { type OtlpBody, OtlpRefusal } from './otlp-decode.ts'
import type { MlflowParts } from './parts.ts'
import type { TraceAccess } from './trace-access.ts'
import type { TraceThread } from './trace-thread.ts'

const path = '/v1/traces'
const bodyLimit = 64 * 1024 * 1024

/**
 * Spans as OpenTelemetry's exporters send them (opentelemetry.io/docs/specs/otlp/#otlphttp), MLflow's own client among them. A body
 * is taken whole or refused, so no answer tells of a part. Refusals have the form of MLflow's endpoint: `{detail}`.
 */
export function mountOtlp(
  app: FastifyInstance,
  { traces }: MlflowParts,
  { access, thread }: { access: TraceAccess; thread: TraceThread },
): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
    scope.post(path, async (request, reply) => {
      try {
        return await ingest(request, reply, { traces, access, thread })
      } catch (error) {
        if (!(error instanceof OtlpRefusal)) throw error
        return reply.status(error.status).send({ detail: error.message })
      }
    })
  })
}

type Needs = { traces: TracesService; access: TraceAccess; thread: TraceThread }

async function ingest(request: FastifyRequest, reply: FastifyReply, { traces, access, thread }: Needs) {
  const experimentId = headerOf(request, 'x-mlflow-experiment-id')
  if (experimentId === undefined)
    return reply.status(422).send({
      detail: [{ type: 'missing', loc: ['header', 'x-mlflow-experiment-id'], msg: 'Field required', input: null }],
    })
  const mediaType = mediaTypeOf(request)
  await access.toExperiment(request.actor, experimentId, 'update')
  const spans = await thread.spansOf(bodyOf(request, mediaType))
  const traceIds = [...new Set(spans.map((span) => span.traceId))]
  // Spans of a trace that is known go to where that is.
  await access.toTraces(request.actor, traceIds, 'update')
  await traces.logSpans(experimentId, spans)
  const ended = spans.filter((span) => span.parentId === undefined).map((span) => span.traceId)
  await linkToRun(request, [...new Set(ended)], { traces, access })
  return mediaType === 'application/json'
    ? reply.type('application/json').send('{}')
    : reply.type('application/x-protobuf').send(Buffer.alloc(0))
}

/** Those whose roots came, to the run that the header names. The spans are kept: that it fails is no reason to send them again. */
async function linkToRun(
  request: FastifyRequest,
  traceIds: readonly string[],
  { traces, access }: Pick<Needs, 'traces' | 'access'>,
): Promise<void> {
  const runId = headerOf(request, 'x-mlflow-run-id')
  if (runId === undefined || traceIds.length === 0) return
  try {
    await access.toRun(request.actor, runId)
    for (let start = 0; start < traceIds.length; start += 100)
      await traces.linkToRun(traceIds.slice(start, start + 100), runId)
  } catch (error) {
    request.log.warn({ err: error, runId }, 'traces could not be linked to their run')
  }
}

function mediaTypeOf(request: FastifyRequest): OtlpBody['mediaType'] {
  const given = request.headers['content-type']
  const mediaType = given?.split(';')[0]?.trim()
  if (mediaType === 'application/x-protobuf' || mediaType === 'application/json') return mediaType
  throw new OtlpRefusal(
    400,
    `Invalid Content-Type: ${given ?? 'None'}. Expected: application/x-protobuf or application/json`,
  )
}

function bodyOf(request: FastifyRequest, mediaType: OtlpBody['mediaType']): OtlpBody {
  const encoding = headerOf(request, 'content-encoding')?.toLowerCase()
  const bytes = (request.body ?? Buffer.alloc(0)) as Buffer
  return { bytes, mediaType, ...(encoding === undefined ? {} : { encoding }) }
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = [request.headers[name]].flat()[0]
  return value === undefined || value === '' ? undefined : value
}
