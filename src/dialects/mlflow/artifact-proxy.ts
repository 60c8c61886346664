import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { MlflowAccess } from './access.ts'
import { entryWire, safePath, sendFile } from './artifact-content.ts'
import { pathParam, readMessage, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'

const proxy = '/2.0/mlflow-artifacts/artifacts'

/** Artifacts by way of this server: what `mlflow-artifacts:` stands for. */
export function mountArtifactProxy(app: FastifyInstance, { artifacts }: MlflowParts, access: MlflowAccess): void {
  const { files } = artifacts

  mount(app, 'GET', proxy, async (request) => {
    const { path } = readMessage(request, { path: text })
    const folder = safePath(path ?? '')
    return { files: (await files.list(folder)).map((entry) => entryWire(entry, '')) }
  })

  mount(app, 'GET', `${proxy}/*`, (request, reply) => sendFile(files, pathParam(request, '*'), request, reply))

  mount(app, 'DELETE', `${proxy}/*`, async (request) => {
    const path = safePath(pathParam(request, '*'))
    await access.toArtifact(request, path, 'manage')
    await files.remove(path)
    return {}
  })

  // A store of files cannot sign addresses of another host; the client then downloads by way of this server.
  mount(app, 'GET', '/2.0/mlflow-artifacts/presigned/*', async (request) => {
    safePath(pathParam(request, '*'))
    throw new MlflowError('NOT_IMPLEMENTED', 'Multipart download is not supported for the current artifact repository')
  })

  takingBytes(app, (uploads) => {
    mount(uploads, 'PUT', `${proxy}/*`, async (request) => {
      const path = safePath(pathParam(request, '*'))
      await access.toArtifact(request, path)
      await files.put(path, request.raw, { size: announcedSize(request) })
      return {}
    })
  })
}

/** A scope in which a body may call itself anything (application/json too): none of it is parsed or held in memory. */
export function takingBytes(app: FastifyInstance, mountIn: (scope: FastifyInstance) => void): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    mountIn(scope)
  })
}

/** A body sent in chunks has no length. */
export function announcedSize(request: FastifyRequest): number | undefined {
  const length = request.headers['content-length']
  return length === undefined ? undefined : Number(length)
}
