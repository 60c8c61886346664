// MLflow's REST API, as its Python client uses it, translated to artifacts, tracking and registry.
// It owns paths, wire forms and error bodies. It decides nothing that a slice could decide, and nothing imports it but compose/.
import { text } from 'node:stream/consumers'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MlflowAccess } from './access.ts'
import { mountArtifacts } from './artifacts.ts'
import { mountAssessments } from './assessments.ts'
import { mountEvaluationDatasets } from './evaluation-datasets.ts'
import { mountExperiments } from './experiments.ts'
import { mountGraphql } from './graphql/graphql-route.ts'
import { mountIssues } from './issues.ts'
import { mountLabelSchemas } from './label-schemas.ts'
import { mountLoggedModels } from './logged-models.ts'
import { rememberText } from './message.ts'
import { mountMetrics } from './metrics.ts'
import { answerMlflowError, MlflowError } from './mlflow-error.ts'
import { mountModelVersions } from './model-versions.ts'
import { mountNotImplemented } from './not-implemented.ts'
import { mountOtlp } from './otlp.ts'
import type { MlflowParts } from './parts.ts'
import { mountPermissions } from './permissions.ts'
import { mountRegisteredModels } from './registered-models.ts'
import { mountReviewQueues } from './review-queues.ts'
import { guardRoutes } from './route-guards.ts'
import { mountRuns } from './runs.ts'
import { mountScorers } from './scorers.ts'
import { mountServerInfo } from './server-info.ts'
import { TraceAccess } from './trace-access.ts'
import { TraceThread } from './trace-thread.ts'
import { mountTraces } from './traces.ts'
import { mountTracesV2 } from './traces-v2.ts'
import { mountUsers } from './users.ts'
import { mountWebhooks } from './webhooks.ts'
import { refuseWorkspaces } from './workspaces.ts'

export { answerMlflowError } from './mlflow-error.ts'
export type { MlflowParts } from './parts.ts'

/** Whether whoever asks expects MLflow's form of an error. */
export const isMlflowPath = (url: string): boolean =>
  /^\/((ajax-)?api\/[23]\.0|get-artifact|model-versions\/|v1\/traces)/.test(url)

/** Nothing within MLflow's limits is larger, and parsing holds up everybody else; whoever takes longer lists says so. */
const bodyLimit = 16 * 1024 * 1024

/** Mounts the dialect in a scope of its own: its error form and its body parsers are nobody else's. */
export function mlflowDialect(app: FastifyInstance, parts: MlflowParts): void {
  void app.register(async (scope) => {
    const access = new MlflowAccess(parts)
    scope.setErrorHandler(answerMlflowError)
    refuseWorkspaces(scope)
    guardRoutes(scope, access)
    scope.addHook('preValidation', bodyOfGet)
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit }, (_request, body, done) =>
      parseJson(String(body), done),
    )
    mountServerInfo(scope)
    mountExperiments(scope, parts, access)
    mountRuns(scope, parts, access)
    mountMetrics(scope, parts)
    mountArtifacts(scope, parts, access)
    mountLoggedModels(scope, parts, access)
    mountRegisteredModels(scope, parts, access)
    mountModelVersions(scope, parts, access)
    mountWebhooks(scope, parts, access)
    mountEvaluationDatasets(scope, parts, access)
    mountScorers(scope, parts, access)
    mountIssues(scope, parts, access)
    mountLabelSchemas(scope, parts, access)
    mountReviewQueues(scope, parts, access)
    mountUsers(scope, parts, access)
    mountPermissions(scope, parts, access)
    const traceAccess = new TraceAccess({ access, tracking: parts.tracking, traces: parts.traces })
    const thread = new TraceThread()
    scope.addHook('onClose', () => thread.close())
    mountTraces(scope, parts, { access: traceAccess, thread })
    mountTracesV2(scope, parts, traceAccess)
    mountAssessments(scope, parts, traceAccess)
    mountOtlp(scope, parts, { access: traceAccess, thread })
    mountGraphql(scope, parts, access)
    mountNotImplemented(scope)
  })
}

const getBodyLimit = 1024 * 1024

/** Some clients send the message of a GET as its body, which Fastify does not read. */
async function bodyOfGet(request: FastifyRequest): Promise<void> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (request.method !== 'GET' || length === 0) return
  if (length > getBodyLimit) throw new MlflowError('BAD_REQUEST', 'The body of a GET is at most 1 MB.')
  const body = await text(request.raw)
  await new Promise<void>((resolve, reject) => {
    parseJson(body, (error, value) => {
      request.body = value
      if (error) reject(error)
      else resolve()
    })
  })
}

/** No body is an empty message; old clients send JSON inside a JSON string. */
function parseJson(body: string, done: (error: Error | null, value?: unknown) => void): void {
  try {
    const value: unknown = body.trim() === '' ? {} : JSON.parse(body)
    if (typeof value !== 'string') rememberText(value, body)
    if (escapedSurrogate.test(body) && hasLoneSurrogate(value)) done(loneSurrogate())
    else done(null, typeof value === 'string' ? JSON.parse(value) : value)
  } catch {
    const hint = /\b(NaN|Infinity)\b/.test(String(body))
      ? ' JSON has no NaN or Infinity: send "NaN" or "-Infinity" as a text.'
      : ''
    done(new MlflowError('BAD_REQUEST', `The body is no valid JSON.${hint}`))
  }
}

const escapedSurrogate = /\\ud[89a-f]/i

/** JSON writes what is no half of a pair as an escape, and nothing else of that range. */
const hasLoneSurrogate = (value: unknown): boolean => /(?<!\\)(\\\\)*\\ud[89a-f]/.test(JSON.stringify(value))

/** Text that has no form in UTF-8 could not be kept as it is. */
const loneSurrogate = (): MlflowError =>
  new MlflowError(
    'INVALID_PARAMETER_VALUE',
    'The body holds half of a surrogate pair (such as \\ud800), which is no text.',
  )
