import type { FastifyInstance } from 'fastify'
import type { MlflowAccess } from './access.ts'
import { mountArtifactProxy } from './artifact-proxy.ts'
import { mountArtifactViews } from './artifact-views.ts'
import { mountMultipartUploads } from './multipart-uploads.ts'
import type { MlflowParts } from './parts.ts'

/** Artifacts: the proxy that clients upload to, large files in parts, and the lists and files of runs and models. */
export function mountArtifacts(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountArtifactProxy(app, parts, access)
  mountMultipartUploads(app, parts, access)
  mountArtifactViews(app, parts, access)
}
