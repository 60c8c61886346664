import { safeArtifactPath } from '../../artifacts/index.ts'
import { isAppError } from '../../kernel/errors.ts'
import { artifactFolderOf } from '../../tracking/index.ts'
import { MlflowError } from './mlflow-error.ts'
import type { MlflowParts } from './parts.ts'

export type AskedSource = { source: string; runId?: string; modelId?: string; isPrompt?: boolean }
export type ResolvedSource = { source: string; storageLocation: string; runId?: string; modelId?: string }

/**
 * Where a new version's bytes lie. A source must lie under the artifacts of the run or logged model that the request names:
 * otherwise a version could be made to serve anything that this server, or its machine, can read.
 * Source: mlflow 3.17.2, server/handlers.py (_validate_source_run, _validate_source_model, _resolve_registered_model_source_lineage).
 */
export async function resolveSource(parts: MlflowParts, asked: AskedSource): Promise<ResolvedSource> {
  const { source } = asked
  if (asked.isPrompt) return { ...asked, storageLocation: source }
  const scheme = /^([a-zA-Z][\w+.-]*):/.exec(source)?.[1]?.toLowerCase()
  if (scheme === undefined || scheme === 'file') throw localSource(asked)
  refuseRelative(source)
  switch (scheme) {
    case 'models':
      return modelsSource(parts, asked)
    case 'runs':
      return runsSource(parts, asked)
    case 'mlflow-artifacts':
      return artifactsSource(parts, asked)
    case 'http':
    case 'https':
      throw hostSource(asked, scheme)
    default:
      return { ...asked, storageLocation: source, runId: await runOf(parts, asked) }
  }
}

/** `models:/m-…` is a logged model; `models:/name/3` and `models:/name@alias` are versions to copy. */
async function modelsSource(parts: MlflowParts, asked: AskedSource): Promise<ResolvedSource> {
  const path = asked.source.replace(/^models:\/{1,3}/i, '')
  if (/^m-[0-9a-zA-Z]+$/.test(path)) {
    if (asked.modelId !== path) throw invalidSource(asked, 'model_id')
    const model = await ofSource(asked, 'model_id', parts.tracking.loggedModel(path))
    return { ...asked, storageLocation: model.artifactUri, runId: asked.runId ?? model.sourceRunId }
  }
  const original = await versionNamed(parts, asked, path)
  if (
    (asked.runId !== undefined && asked.runId !== original.runId) ||
    (asked.modelId !== undefined && asked.modelId !== original.loggedModelId)
  )
    throw new MlflowError(
      'INVALID_PARAMETER_VALUE',
      `Invalid model version source: '${asked.source}'. The run_id and model_id request parameters must match the referenced model version.`,
    )
  return {
    source: `models:/${original.model}/${original.version}`,
    storageLocation: original.storageLocation,
    runId: original.runId,
    modelId: original.loggedModelId,
  }
}

async function versionNamed({ registry }: MlflowParts, asked: AskedSource, path: string) {
  const [, name, version, alias] = /^([^/@]+)(?:\/(\d+|latest)|@([^/]+))$/i.exec(path) ?? []
  if (name !== undefined && alias !== undefined) return registry.versionByAlias(name, alias)
  if (name !== undefined && version?.toLowerCase() === 'latest') return registry.versionByAlias(name, 'latest')
  if (name !== undefined && version !== undefined) return registry.version(name, Number(version))
  throw invalidSource(asked, 'model_id')
}

async function runsSource(parts: MlflowParts, asked: AskedSource): Promise<ResolvedSource> {
  const [, runId, path] = /^runs:\/([^/]+)\/?(.*)$/i.exec(asked.source) ?? []
  if (runId === undefined || runId !== asked.runId) throw invalidSource(asked, 'run_id')
  const run = await ofSource(asked, 'run_id', parts.tracking.run(runId))
  return { ...asked, storageLocation: path ? `${run.artifactUri}/${path}` : run.artifactUri }
}

async function artifactsSource(parts: MlflowParts, asked: AskedSource): Promise<ResolvedSource> {
  const named = asked.modelId ? 'model_id' : 'run_id'
  const folder = artifactFolderOf(asked.source)
  const safe = folder === undefined ? undefined : safeArtifactPath(folder)
  if (safe === undefined) throw invalidSource(asked, named)
  const rootUri = await rootOf(parts, asked)
  const allowed = rootUri === undefined ? undefined : artifactFolderOf(rootUri)
  if (allowed === undefined || !(safe === allowed || safe.startsWith(`${allowed}/`))) throw invalidSource(asked, named)
  return { ...asked, storageLocation: asked.source, runId: await runOf(parts, asked) }
}

async function rootOf({ tracking }: MlflowParts, asked: AskedSource): Promise<string | undefined> {
  if (asked.modelId) return (await ofSource(asked, 'model_id', tracking.loggedModel(asked.modelId))).artifactUri
  if (asked.runId) return (await ofSource(asked, 'run_id', tracking.run(asked.runId))).artifactUri
  return undefined
}

async function runOf({ tracking }: MlflowParts, asked: AskedSource): Promise<string | undefined> {
  if (asked.runId || !asked.modelId) return asked.runId
  return (await ofSource(asked, 'model_id', tracking.loggedModel(asked.modelId))).sourceRunId
}

/** A run or model that is not there makes the source wrong, not the request's name of a thing. */
function ofSource<T>(asked: AskedSource, parameter: string, found: Promise<T>): Promise<T> {
  return found.catch((error: unknown) => {
    throw isAppError(error, 'NotFound') ? invalidSource(asked, parameter) : error
  })
}

function refuseRelative(source: string): void {
  let decoded = source
  for (let round = 0; round < 10 && /%[0-9a-f]{2}/i.test(decoded); round++) decoded = unescaped(decoded)
  if (!decoded.split(/[/\\]/).includes('..') && !/[#\0]/.test(decoded)) return
  throw new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `Invalid model version source: '${source}'. If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path.`,
  )
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const invalidSource = ({ source }: AskedSource, parameter: string): MlflowError =>
  new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `Invalid model version source: '${source}'. The ${parameter} request parameter must identify the resource that contains the source.`,
  )

const hostSource = ({ source }: AskedSource, scheme: string): MlflowError =>
  new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `'source' cannot use the '${scheme}' scheme: the '${scheme}' scheme addresses a host other than the tracking server, found in '${source}'.`,
  )

const localSource = ({ source, modelId }: AskedSource): MlflowError =>
  new MlflowError(
    'INVALID_PARAMETER_VALUE',
    `Invalid model version source: '${source}'. To use a local path as a model version source, the ${modelId ? 'model_id' : 'run_id'} request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the ${modelId ? 'model_id' : 'run_id'}.`,
  )
