import type { FastifyInstance } from 'fastify'
import { mount } from './parts.ts'

/** The version whose API this dialect speaks: what clients compare themselves with. */
const apiVersion = '3.17.2'

/** Clients keep this answer and act on it: only what works is advertised. */
export function mountServerInfo(app: FastifyInstance): void {
  app.get('/version', async (_request, reply) => reply.type('text/plain; charset=utf-8').send(apiVersion))
  mount(app, 'GET', '/3.0/mlflow/server-info', async () => ({
    store_type: 'SqlStore',
    workspaces_enabled: false,
    trace_archival_enabled: false,
    // It works, but the client (3.17) then fails on a `pathlib.Path` of 500 MB and more; its own switch still turns it on.
    multipart_uploads_enabled: false,
    multipart_downloads_enabled: false,
    presigned_upload_run_id_supported: false,
    presigned_upload_model_id_supported: false,
    features_enabled: { gateway: false },
  }))
}
