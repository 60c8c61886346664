import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ArtifactEntry, type ArtifactFiles, safeArtifactPath } from '../../artifacts/index.ts'
import { artifactFolderOf } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { pathParam, queryOf, readMessage, required, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'

const proxy = '/2.0/mlflow-artifacts/artifacts'

/** Artifacts by way of this server: the proxy that clients upload to, and the lists and files of runs and models. */
export function mountArtifacts(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountProxy(app, parts, access)
  mountViews(app, parts)
}

function mountProxy(app: FastifyInstance, { artifacts }: MlflowParts, access: MlflowAccess): void {
  const { files } = artifacts

  mount(app, 'GET', proxy, async (request) => {
    const { path } = readMessage(request, { path: text })
    const folder = safePath(path ?? '')
    return { files: (await files.list(folder)).map((entry) => entryWire(entry, '')) }
  })

  mount(app, 'GET', `${proxy}/*`, (request, reply) => sendFile(files, pathParam(request, '*'), request, reply))

  mount(app, 'DELETE', `${proxy}/*`, async (request) => {
    const path = safePath(pathParam(request, '*'))
    await access.toArtifact(request, path)
    await files.remove(path)
    return {}
  })

  void app.register(async (uploads) => {
    // An artifact's bytes may call themselves anything (application/json too): none of them are parsed or held in memory.
    uploads.removeAllContentTypeParsers()
    uploads.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    mount(uploads, 'PUT', `${proxy}/*`, async (request) => {
      const path = safePath(pathParam(request, '*'))
      await access.toArtifact(request, path)
      await files.put(path, request.raw)
      return {}
    })
  })
}

function mountViews(app: FastifyInstance, { artifacts, tracking, registry }: MlflowParts): void {
  const { files } = artifacts

  mount(app, 'GET', '/2.0/mlflow/artifacts/list', async (request) => {
    const { run_id, path } = readMessage(request, { run_id: required(text), path: text, page_token: text })
    const { artifactUri } = await tracking.run(run_id)
    return { root_uri: artifactUri, files: await listBelow(files, artifactUri, path) }
  })

  mount(app, 'GET', '/2.0/mlflow/logged-models/:model_id/artifacts/directories', async (request) => {
    const { artifactUri } = await tracking.loggedModel(pathParam(request, 'model_id'))
    const { artifact_directory_path } = readMessage(request, { artifact_directory_path: text })
    return { root_uri: artifactUri, files: await listBelow(files, artifactUri, artifact_directory_path) }
  })

  app.get('/ajax-api/2.0/mlflow/logged-models/:model_id/artifacts/files', async (request, reply) => {
    const path = wanted(request, 'artifact_file_path')
    const { artifactUri } = await tracking.loggedModel(pathParam(request, 'model_id'))
    return sendFile(files, within(artifactUri, path), request, reply)
  })

  app.get('/get-artifact', async (request, reply) => {
    const { run_id } = readMessage(request, { run_id: required(text) })
    const { artifactUri } = await tracking.run(run_id)
    return sendFile(files, within(artifactUri, wanted(request, 'path')), request, reply)
  })

  app.get('/model-versions/get-artifact', async (request, reply) => {
    const { storageLocation } = await registry.version(wanted(request, 'name'), Number(wanted(request, 'version')))
    return sendFile(files, within(storageLocation, wanted(request, 'path')), request, reply)
  })
}

async function listBelow(files: ArtifactFiles, artifactUri: string, path: string | undefined) {
  const relative = safePath(path ?? '')
  const entries = await files.list(within(artifactUri, relative))
  return entries.map((entry) => entryWire(entry, relative === '' ? '' : `${relative}/`))
}

const entryWire = (entry: ArtifactEntry, prefix: string) =>
  entry.kind === 'folder'
    ? { path: prefix + entry.name, is_dir: true }
    : { path: prefix + entry.name, is_dir: false, file_size: entry.size }

/** The path in our store of something below an artifact URI. */
function within(artifactUri: string, path: string): string {
  const folder = artifactFolderOf(artifactUri)
  if (folder === undefined)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `The artifacts lie at ${artifactUri}, outside this server; MLflow's client reads them there itself.`,
    )
  const relative = safePath(path)
  return relative === '' ? folder : `${folder}/${relative}`
}

async function sendFile(
  files: ArtifactFiles,
  path: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const file = await files.find(safePath(path))
  if (!file) throw new MlflowError('RESOURCE_DOES_NOT_EXIST', `No such artifact: '${path}'`)
  const range = rangeOf(request.headers.range, file.size)
  if (range === 'unsatisfiable') return reply.status(416).header('content-range', `bytes */${file.size}`).send()
  const { content } = await files.open(file.path, range)
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  // Never shown by a browser as a page of ours: whatever a run uploads could otherwise act in our users' names.
  void reply
    .header('content-type', 'application/octet-stream')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(name)}`)
    .header('accept-ranges', 'bytes')
  if (!range) return reply.header('content-length', file.size).send(content)
  return reply
    .status(206)
    .header('content-length', range.end - range.start + 1)
    .header('content-range', `bytes ${range.start}-${range.end}/${file.size}`)
    .send(content)
}

/** One range, as RFC 9110 §14.2; anything else is as if none had been asked for. Both ends inclusive. */
function rangeOf(
  header: string | undefined,
  size: number,
): { start: number; end: number } | undefined | 'unsatisfiable' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  const last = size - 1
  const [start, end] =
    match[1] === ''
      ? [Math.max(0, size - Number(match[2])), last]
      : [Number(match[1]), match[2] === '' ? last : Math.min(Number(match[2]), last)]
  return start > end || start > last ? 'unsatisfiable' : { start, end }
}

function safePath(path: string): string {
  const safe = safeArtifactPath(path)
  if (safe === undefined) throw new MlflowError('INVALID_PARAMETER_VALUE', 'Invalid path')
  return safe
}

function wanted(request: FastifyRequest, name: string): string {
  const value = queryOf(request)[name]
  if (typeof value === 'string' && value !== '') return value
  throw new MlflowError('BAD_REQUEST', `Request must include the "${name}" query parameter.`)
}
