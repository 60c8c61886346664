import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ArtifactEntry, type ArtifactFiles, safeArtifactPath } from '../../artifacts/index.ts'
import { artifactFolderOf } from '../../tracking/index.ts'
import { contentTypeOf } from './content-type.ts'
import { MlflowError } from './mlflow-error.ts'

/** How artifacts look on the wire, wherever a run, a model or a version leads to them. */

export const entryWire = (entry: ArtifactEntry, prefix: string) =>
  entry.kind === 'folder'
    ? { path: prefix + entry.name, is_dir: true }
    : { path: prefix + entry.name, is_dir: false, file_size: entry.size }

/** The path in our store of something below an artifact URI. */
export function within(artifactUri: string, path: string): string {
  const folder = artifactFolderOf(artifactUri)
  if (folder === undefined)
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `The artifacts lie at ${artifactUri}, outside this server; MLflow's client reads them there itself.`,
    )
  const relative = safePath(path)
  return relative === '' ? folder : `${folder}/${relative}`
}

export async function sendFile(
  files: ArtifactFiles,
  asked: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const path = safePath(asked)
  const file = path === '' ? undefined : await files.find(path)
  if (!file) throw await notThere(files, path, asked)
  const range = rangeOf(request.headers.range, file.size)
  if (range === 'unsatisfiable') return reply.status(416).header('content-range', `bytes */${file.size}`).send()
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  // Never shown by a browser as a page of ours: whatever a run uploads could otherwise act in our users' names.
  void reply
    .header('content-type', contentTypeOf(name))
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', attachment(name))
    .header('content-security-policy', 'sandbox')
    .header('accept-ranges', 'bytes')
    .header('content-length', range ? range.end - range.start + 1 : file.size)
  if (range) void reply.status(206).header('content-range', `bytes ${range.start}-${range.end}/${file.size}`)
  // Fastify sends a stream's headers alone; without any it would say that there are no bytes.
  if (request.method === 'HEAD') return reply.send(Readable.from([]))
  const { file: opened, content } = await files.open(file.path, range)
  if (opened.size !== file.size) {
    content.destroy()
    throw new MlflowError('TEMPORARILY_UNAVAILABLE', `'${asked}' was replaced at this moment; ask again.`)
  }
  return reply.send(content)
}

async function notThere(files: ArtifactFiles, path: string, asked: string): Promise<MlflowError> {
  const isFolder = path === '' || (await files.isFolder(path))
  return isFolder
    ? new MlflowError('INVALID_PARAMETER_VALUE', `Artifact path refers to a directory, not a file: '${asked}'`)
    : new MlflowError('RESOURCE_DOES_NOT_EXIST', `No such artifact: '${asked}'`)
}

/** RFC 6266, with a plain name for whoever does not know RFC 5987. */
function attachment(name: string): string {
  const plain = name.normalize('NFKD').replace(/[^\x20-\x7e]/g, '') || 'download'
  const quoted = /^[\w!#$%&'*+.^`|~-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`
  if (plain === name) return `attachment; filename=${quoted}`
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16)}`)
  return `attachment; filename=${quoted}; filename*=UTF-8''${encoded}`
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

export function safePath(path: string): string {
  const safe = safeArtifactPath(path)
  if (safe === undefined) throw new MlflowError('INVALID_PARAMETER_VALUE', 'Invalid path')
  return safe
}
