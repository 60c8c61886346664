import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MlflowError } from './mlflow-error.ts'

/** Families of the stock server's API that this version does not carry out, by the start of their paths. */
const families = [
  '2.0/mlflow/traces',
  '3.0/mlflow/traces',
  '2.0/mlflow/unified-traces',
  '2.0/mlflow/get-online-trace-details',
  '2.0/mlflow/get-trace-artifact',
  '3.0/mlflow/get-trace-artifact',
  '2.0mlflow/experiments/search-datasets',
  '2.0/mlflow/experiments/search-datasets',
  '2.0/mlflow/artifacts/presigned-upload-url',
  '2.0/mlflow/artifacts/presigned-download-url',
  '2.0/mlflow-artifacts/mpu',
  '2.0/mlflow-artifacts/presigned',
  '2.0/mlflow/webhooks',
  '2.0/mlflow/runs/create-promptlab-run',
  '2.0/mlflow/gateway-proxy',
  '2.0/mlflow/upload-artifact',
  '3.0/mlflow/workspaces',
  '3.0/mlflow/issues',
  '3.0/mlflow/label-schemas',
  '3.0/mlflow/datasets',
  '3.0/mlflow/scorers',
  '3.0/mlflow/gateway',
  '3.0/mlflow/prompt-optimization',
  '3.0/mlflow/review-queues',
  '3.0/mlflow/ui-telemetry',
] as const

const roots = [
  '/api/2.0/*',
  '/api/3.0/*',
  '/ajax-api/2.0/*',
  '/ajax-api/3.0/*',
  '/api/2.0mlflow/*',
  '/ajax-api/2.0mlflow/*',
]

/** Whatever else lies under MLflow's paths is told apart: not carried out yet, or never there. */
export function mountNotImplemented(app: FastifyInstance): void {
  const refuse = async (request: FastifyRequest) => {
    const path = request.url.split('?')[0]!
    const inside = path.replace(/^\/(ajax-)?api\//, '')
    if (families.some((family) => inside === family || inside.startsWith(`${family}/`)))
      throw new MlflowError('NOT_IMPLEMENTED', `${request.method} ${path} is not supported yet.`)
    throw new MlflowError('ENDPOINT_NOT_FOUND', `There is no endpoint ${request.method} ${path}.`)
  }
  for (const url of roots) app.route({ method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], url, handler: refuse })
  app.route({ method: ['GET', 'POST'], url: '/graphql', handler: async () => graphqlRefused() })
}

function graphqlRefused(): never {
  throw new MlflowError('NOT_IMPLEMENTED', 'GraphQL serves the stock page of MLflow only and is not supported.')
}
