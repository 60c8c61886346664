import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../kernel/errors.ts'
import type { MlflowAccess } from './access.ts'
import { safePath } from './artifact-content.ts'
import { announcedSize, takingBytes } from './artifact-proxy.ts'
import { integer, listOf, pathParam, queryOf, readMessage, required, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'

const root = '/2.0/mlflow-artifacts/mpu'

/**
 * Large files in parts, as the client sends those from 500 MB on: it asks for an address per part, sends the parts there side by
 * side, and names the ETags that it was told. The addresses are ours.
 */
export function mountMultipartUploads(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  const { files, uploads } = parts.artifacts

  mount(app, 'POST', `${root}/create/*`, async (request, reply) => {
    const asked = readMessage(request, { path: required(text), num_parts: integer })
    const path = destination(request, asked.path)
    await access.toArtifact(request, path)
    const uploadId = await files.beginUpload(path, asked.num_parts ?? 0)
    void reply.header('cache-control', 'no-store')
    return { upload_id: uploadId, credentials: credentialsFor(request, path, uploadId, asked.num_parts ?? 0) }
  })

  mount(app, 'POST', `${root}/complete/*`, async (request) => {
    const asked = readMessage(request, {
      path: required(text),
      upload_id: required(text),
      parts: required(listOf('parts', { part_number: integer, etag: text, url: text })),
    })
    const path = destination(request, asked.path)
    await access.toArtifact(request, path)
    await refuseForeign(parts, asked.upload_id, path)
    await uploads.complete(
      asked.upload_id,
      asked.parts.map((part) => ({ partNumber: part.part_number ?? 0, checksum: fromEtag(part.etag) })),
    )
    return {}
  })

  mount(app, 'POST', `${root}/abort/*`, async (request) => {
    const asked = readMessage(request, { path: required(text), upload_id: required(text) })
    const path = destination(request, asked.path)
    await access.toArtifact(request, path)
    await refuseForeign(parts, asked.upload_id, path)
    await uploads.abort(asked.upload_id)
    return {}
  })

  takingBytes(app, (scope) => {
    mount(scope, 'PUT', `${root}/parts/*`, async (request: FastifyRequest, reply: FastifyReply) => {
      const path = safePath(pathParam(request, '*'))
      await access.toArtifact(request, path)
      const { upload_id: uploadId, part_number: number } = queryOf(request)
      if (typeof uploadId !== 'string') throw new MlflowError('BAD_REQUEST', 'Request must specify upload_id.')
      await refuseForeign(parts, uploadId, path)
      const part = await uploads.putPart(uploadId, Number(number), request.raw, announcedSize(request))
      void reply.header('etag', `"${part.checksum}"`)
      return {}
    })
  })
}

/** The client names the folder in the address, and its own local path in the body: of that only the file's name counts. */
function destination(request: FastifyRequest, localPath: string): string {
  const name = localPath.slice(Math.max(localPath.lastIndexOf('/'), localPath.lastIndexOf('\\')) + 1)
  const path = safePath(`${safePath(pathParam(request, '*'))}/${name}`)
  if (name === '') throw new MlflowError('INVALID_PARAMETER_VALUE', 'Invalid path')
  return path
}

/** The parts are sent with these headers and no others: so the caller gets its own credential back. */
function credentialsFor(request: FastifyRequest, path: string, uploadId: string, count: number) {
  const { authorization } = request.headers
  const headers = authorization === undefined ? {} : { Authorization: authorization }
  const base = `${addressOf(request)}/api${root}/parts/${path.split('/').map(encodeURIComponent).join('/')}`
  return Array.from({ length: count }, (_, index) => ({
    url: `${base}?upload_id=${encodeURIComponent(uploadId)}&part_number=${index + 1}`,
    part_number: index + 1,
    headers,
  }))
}

/** The address under which the caller reached us, also through a proxy that says so. It tells nobody but the caller. */
function addressOf(request: FastifyRequest): string {
  const told = (name: string) =>
    String(request.headers[name] ?? '')
      .split(',')[0]!
      .trim()
  const scheme = told('x-forwarded-proto') === 'https' ? 'https' : request.protocol
  const host = told('x-forwarded-host') || request.headers.host
  const prefix = told('x-forwarded-prefix').replace(/\/+$/, '')
  const address = `${scheme}://${host}${prefix}`
  if (URL.canParse(address)) return address
  throw new MlflowError('BAD_REQUEST', `The headers Host and X-Forwarded-* make no address: ${address}`)
}

/** An id is of use only together with the path that it was given for: access is decided by the path. */
async function refuseForeign({ artifacts }: MlflowParts, uploadId: string, path: string): Promise<void> {
  if ((await artifacts.uploads.pathOf(uploadId)) === path) return
  throw new AppError('NotFound', `There is no open upload ${uploadId} to '${path}'.`, 'Begin a new one.')
}

const fromEtag = (etag: string | undefined): string => (etag ?? '').replace(/^(?:W\/)?"?(.*?)"?$/, '$1')
