import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MlflowError } from './mlflow-error.ts'

/** Families of the stock server's API that this version does not carry out, by the start of their paths. */
const families = [
  '2.0/mlflow/unified-traces',
  '2.0/mlflow/get-online-trace-details',
  '3.0/mlflow/workspaces',
  '3.0/mlflow/roles',
  '3.0/mlflow/users/roles',
  '2.0/mlflow/users/create-ui',
  '3.0/mlflow/gateway',
  '3.0/mlflow/prompt-optimization',
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
}
