import type { FastifyInstance } from 'fastify'
import { MlflowError } from './mlflow-error.ts'

/** A client that names a workspace must not believe that what it logs is kept apart. What the server can do is told to everyone. */
export function refuseWorkspaces(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const workspace = request.headers['x-mlflow-workspace']
    if (workspace === undefined || String(workspace).trim() === '') return
    if (/\/mlflow\/server-info\/?(\?|$)/.test(request.url)) return
    throw new MlflowError(
      'FEATURE_DISABLED',
      'Workspace APIs are not available: workspaces are not enabled on this server',
    )
  })
}
