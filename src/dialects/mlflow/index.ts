// MLflow's REST API, as its Python client uses it, translated to artifacts, tracking and registry.
// It owns paths, wire forms and error bodies. It decides nothing that a slice could decide, and nothing imports it but compose/.
import type { FastifyInstance } from 'fastify'
import { MlflowAccess } from './access.ts'
import { mountArtifacts } from './artifacts.ts'
import { mountExperiments } from './experiments.ts'
import { mountLoggedModels } from './logged-models.ts'
import { mountMetrics } from './metrics.ts'
import { answerMlflowError, MlflowError } from './mlflow-error.ts'
import { mountModelVersions } from './model-versions.ts'
import { mountNotImplemented } from './not-implemented.ts'
import type { MlflowParts } from './parts.ts'
import { mountRegisteredModels } from './registered-models.ts'
import { mountRuns } from './runs.ts'
import { mountServerInfo } from './server-info.ts'

export type { MlflowParts } from './parts.ts'

const bodyLimit = 64 * 1024 * 1024

/** Mounts the dialect in a scope of its own: its error form and its body parsers are nobody else's. */
export function mlflowDialect(app: FastifyInstance, parts: MlflowParts): void {
  void app.register(async (scope) => {
    const access = new MlflowAccess(parts.tracking)
    scope.setErrorHandler(answerMlflowError)
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
    mountNotImplemented(scope)
  })
}

/** No body is an empty message; old clients send JSON inside a JSON string. */
function parseJson(body: string, done: (error: Error | null, value?: unknown) => void): void {
  try {
    const value: unknown = body.trim() === '' ? {} : JSON.parse(body)
    done(null, typeof value === 'string' ? JSON.parse(value) : value)
  } catch {
    const hint = /\b(NaN|Infinity)\b/.test(String(body))
      ? ' JSON has no NaN or Infinity: send "NaN" or "-Infinity" as a text.'
      : ''
    done(new MlflowError('BAD_REQUEST', `The body is no valid JSON.${hint}`))
  }
}
