import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ArtifactFiles } from '../../artifacts/index.ts'
import type { MlflowAccess } from './access.ts'
import { entryWire, safePath, sendFile, within } from './artifact-content.ts'
import { announcedSize, takingBytes } from './artifact-proxy.ts'
import { integer, pathParam, queryOf, readMessage, required, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { filesAt } from './model-source.ts'
import { type MlflowParts, mount } from './parts.ts'

const pageUploadBytes = 10 * 1024 * 1024
const longestSigningSeconds = 604_800

/** The artifacts of a run, a logged model or a model version, as lists and files. */
export function mountArtifactViews(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountLists(app, parts)
  mountFiles(app, parts)
  mountSigning(app, parts)
  mountPageUpload(app, parts, access)
}

function mountLists(app: FastifyInstance, parts: MlflowParts): void {
  const {
    artifacts: { files },
    tracking,
  } = parts
  mount(app, 'GET', '/2.0/mlflow/artifacts/list', async (request) =>
    listArtifacts(parts, readMessage(request, { run_id: required(text), path: text, page_token: text })),
  )

  mount(app, 'GET', '/2.0/mlflow/logged-models/:model_id/artifacts/directories', async (request) => {
    const { artifactUri } = await tracking.loggedModel(pathParam(request, 'model_id'))
    const { artifact_directory_path } = readMessage(request, { artifact_directory_path: text })
    return { root_uri: artifactUri, files: await listBelow(files, artifactUri, artifact_directory_path) }
  })
}

/** Like the stock server's, a list is whole: its clients do not ask for a second page. */
export async function listArtifacts(
  { artifacts, tracking }: Pick<MlflowParts, 'artifacts' | 'tracking'>,
  { run_id, path }: { run_id: string; path?: string },
) {
  const { artifactUri } = await tracking.run(run_id)
  return { root_uri: artifactUri, files: await listBelow(artifacts.files, artifactUri, path) }
}

function mountFiles(app: FastifyInstance, { artifacts: { files }, tracking, registry }: MlflowParts): void {
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

  // Some clients write the address of the server with a slash at its end; MLflow answers both.
  for (const url of ['/model-versions/get-artifact', '//model-versions/get-artifact'])
    app.get(url, async (request, reply) => {
      const [name, version, path] = [wanted(request, 'name'), wanted(request, 'version'), wanted(request, 'path')]
      safePath(path)
      const { storageLocation } = await registry.version(name, Number(version))
      return sendFile(files, within(await filesAt({ tracking }, storageLocation), path), request, reply)
    })
}

/** Addresses signed by a foreign store: ours is reached by way of this server, where MLflow's own refuses them too. */
function mountSigning(app: FastifyInstance, { tracking }: MlflowParts): void {
  mount(app, 'POST', '/2.0/mlflow/artifacts/presigned-upload-url', async (request) => {
    const asked = readMessage(request, { run_id: text, model_id: text, path: required(text), expiration: integer })
    if (!asked.run_id === !asked.model_id)
      throw new MlflowError('INVALID_PARAMETER_VALUE', 'Exactly one of run_id and model_id must be provided.')
    safePath(asked.path)
    const { artifactUri } = asked.run_id
      ? await tracking.run(asked.run_id)
      : await tracking.loggedModel(asked.model_id ?? '')
    throw notSigned('upload', 'Presigned upload is not supported for proxied artifact storage', artifactUri, '')
  })

  mount(app, 'POST', '/2.0/mlflow/artifacts/presigned-download-url', async (request) => {
    const asked = readMessage(request, { run_id: required(text), path: required(text), expiration: integer })
    safePath(asked.path)
    const expiration = asked.expiration ?? 300
    if (expiration < 1 || expiration > longestSigningSeconds)
      throw new MlflowError(
        'INVALID_PARAMETER_VALUE',
        `expiration must be between 1 and ${longestSigningSeconds} seconds (got ${expiration}).`,
      )
    const { artifactUri } = await tracking.run(asked.run_id)
    const proxied = 'Presigned download is not supported for runs with proxied artifact storage'
    throw notSigned('download', proxied, artifactUri, 'run with a ')
  })
}

/** What the page of MLflow sends: small files of a run. */
function mountPageUpload(app: FastifyInstance, { artifacts, tracking }: MlflowParts, access: MlflowAccess): void {
  takingBytes(app, (uploads) => {
    uploads.post('/ajax-api/2.0/mlflow/upload-artifact', async (request) => {
      const { run_uuid: runId, path } = queryOf(request) as { run_uuid?: unknown; path?: unknown }
      if (typeof runId !== 'string' || runId === '')
        throw new MlflowError('INVALID_PARAMETER_VALUE', 'Request must specify run_uuid.')
      if (typeof path !== 'string' || path === '')
        throw new MlflowError('INVALID_PARAMETER_VALUE', 'Request must specify path.')
      const relative = safePath(path)
      await access.toRun(request.actor, runId)
      if ((announcedSize(request) ?? 0) > pageUploadBytes) throw tooLarge()
      const bytes = await smallBody(request)
      if (bytes.length === 0) throw new MlflowError('INVALID_PARAMETER_VALUE', 'Request must specify data.')
      const { artifactUri } = await tracking.run(runId)
      const file = within(artifactUri, relative)
      // An experiment may have been given a location inside another's folder.
      await access.toArtifact(request, file)
      await artifacts.files.put(file, bytes)
      return {}
    })
  })
}

async function smallBody(request: FastifyRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > pageUploadBytes) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const tooLarge = () => new MlflowError('INVALID_PARAMETER_VALUE', 'Artifact size is too large. Max size is 10MB.')

function notSigned(what: string, proxied: string, artifactUri: string, whose: string): MlflowError {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(artifactUri)?.[1] ?? ''
  if (!['http', 'https', 'mlflow-artifacts'].includes(scheme))
    return new MlflowError('NOT_IMPLEMENTED', `Presigned ${what} is not supported for the current artifact repository`)
  return new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `${proxied} (artifact URI scheme: ${scheme}). This endpoint requires a ${whose}direct cloud storage artifact URI.`,
  )
}

async function listBelow(files: ArtifactFiles, artifactUri: string, path: string | undefined) {
  const relative = safePath(path ?? '')
  const entries = await files.list(within(artifactUri, relative))
  return entries.map((entry) => entryWire(entry, relative === '' ? '' : `${relative}/`))
}

function wanted(request: FastifyRequest, name: string): string {
  const value = queryOf(request)[name]
  if (typeof value === 'string' && value !== '') return value
  throw new MlflowError('BAD_REQUEST', `Request must include the "${name}" query parameter.`)
}
