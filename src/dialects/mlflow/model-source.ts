import { safeArtifactPath } from '../../artifacts/index.ts'
import { isAppError } from '../../kernel/errors.ts'
import { isPromptBy, type ModelVersion } from '../../registry/index.ts'
import { artifactFolderOf } from '../../tracking/index.ts'
import { MlflowError } from './mlflow-error.ts'
import type { MlflowParts } from './parts.ts'
import { versionNumber } from './version-number.ts'

export type AskedSource = { source: string; runId?: string; modelId?: string; isPrompt?: boolean }
export type ResolvedSource = { source: string; storageLocation: string; runId?: string; modelId?: string }

const promptPlaceholders = ['dummy-source', 'prompt-template']

/**
 * Where a new version's bytes lie. A source must lie under the artifacts of the run or logged model that the request names:
 * otherwise a version could be made to serve anything that this server, or its machine, can read.
 * Source: mlflow 3.17.2, server/handlers.py (_create_model_version and what it calls).
 */
export async function resolveSource(parts: MlflowParts, asked: AskedSource): Promise<ResolvedSource> {
  const { source } = asked
  if (asked.isPrompt) return promptSource(asked)
  refuseOtherHosts(source)
  const scheme = /^([a-zA-Z][\w+.-]*):/.exec(source)?.[1]?.toLowerCase()
  if (scheme === 'models') return modelsSource(parts, asked)
  if (scheme === undefined || scheme === 'file') return localSource(parts, asked)
  refuseRelative(source)
  if (scheme === 'runs') return runsSource(asked)
  if (scheme === 'mlflow-artifacts') return artifactsSource(parts, asked)
  return { ...asked, storageLocation: source, runId: await runOf(parts, asked) }
}

/** Where the files are that a version's storage location names: a run's folder may be named by the run. */
export async function filesAt({ tracking }: Pick<MlflowParts, 'tracking'>, storageLocation: string): Promise<string> {
  const [, runId, path] = runsUri.exec(storageLocation) ?? []
  if (runId === undefined) return storageLocation
  const { artifactUri } = await tracking.run(runId)
  return path ? `${artifactUri}/${path}` : artifactUri
}

function promptSource(asked: AskedSource): ResolvedSource {
  if (promptPlaceholders.includes(asked.source)) return { ...asked, storageLocation: asked.source }
  throw refused(`Invalid prompt source: '${asked.source}'. Prompt sources must use an MLflow placeholder.`)
}

/** `models:/m-…` is a logged model; `models:/name/3`, `models:/name@alias` and `models:/name/Staging` are versions to copy. */
async function modelsSource(parts: MlflowParts, asked: AskedSource): Promise<ResolvedSource> {
  const { source } = asked
  if (/^models:\/\/[^/]/i.test(source))
    throw refused(
      `Invalid model version source: '${source}'. Registered model sources must use the active model registry.`,
    )
  const path = source.replace(/^models:\/+/i, '')
  if (/^m-[0-9a-zA-Z]+$/.test(path)) {
    if (asked.modelId !== path) throw invalidSource(asked, 'model_id')
    const model = await ofSource(asked, 'model_id', parts.tracking.loggedModel(path))
    return { ...asked, storageLocation: model.artifactUri, runId: asked.runId || model.sourceRunId }
  }
  const original = await versionNamed(parts, asked, path)
  if (
    (asked.runId !== undefined && asked.runId !== (original.runId ?? '')) ||
    (asked.modelId !== undefined && asked.modelId !== (original.loggedModelId ?? ''))
  )
    throw refused(
      `Invalid model version source: '${source}'. The run_id and model_id request parameters must match the referenced model version.`,
    )
  return {
    source: `models:/${original.model}/${original.version}`,
    storageLocation: original.storageLocation,
    runId: original.runId,
    modelId: original.loggedModelId,
  }
}

async function versionNamed({ registry }: MlflowParts, asked: AskedSource, path: string): Promise<ModelVersion> {
  const [, name, suffix, alias] = /^([^/@]+)(?:\/([^/@]+)|@([^/@]+))$/.exec(path) ?? []
  if (name === undefined || !/^models:\//i.test(asked.source)) throw invalidSource(asked, 'model_id')
  if (isPromptBy((await registry.model(name)).tags))
    throw refused(
      `Invalid model version source: '${asked.source}'. Prompt versions cannot be used as model version sources.`,
    )
  if (suffix === undefined) return registry.versionByAlias(name, alias!)
  if (/^\d+$/.test(suffix)) return registry.version(name, versionNumber(suffix))
  if (suffix.toLowerCase() === 'latest') return registry.versionByAlias(name, 'latest')
  const [newest] = await registry.latestVersions(name, [suffix])
  if (newest) return newest
  throw new MlflowError(
    'RESOURCE_DOES_NOT_EXIST',
    `No versions of model with name '${name}' and stage '${suffix}' found`,
  )
}

const runsUri = /^runs:\/([^/]+)\/?(.*)$/i

/** As MLflow does, without asking whether the run is there: its client may register before it logs. */
function runsSource(asked: AskedSource): ResolvedSource {
  if (asked.modelId) throw invalidSource(asked, 'model_id')
  const [, runId] = runsUri.exec(asked.source) ?? []
  if (runId === undefined || runId !== asked.runId) throw invalidSource(asked, 'run_id')
  return { ...asked, storageLocation: asked.source }
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
  return (await tracking.loggedModel(asked.modelId)).sourceRunId
}

/** A run or model that is not there makes the source wrong, not the request's name of a thing. */
function ofSource<T>(asked: AskedSource, parameter: string, found: Promise<T>): Promise<T> {
  return found.catch((error: unknown) => {
    throw isAppError(error, 'NotFound') ? invalidSource(asked, parameter) : error
  })
}

/** Decoded as often as it can be: no spelling of `..` passes. */
function refuseRelative(source: string): void {
  let decoded = source
  for (let round = 0; round < 10 && /%[0-9a-f]{2}/i.test(decoded); round++) decoded = unescaped(decoded)
  const path = decoded
    .replace(/^[^:]*:(\/\/[^/]*)?/, '')
    .replace(/\/+/g, '/')
    .replace(/\/$/, '')
  const segments = decoded.split(/[/\\]/)
  if (path.startsWith('/') && !segments.includes('..') && !segments.includes('.') && !path.includes('\0')) return
  throw refused(
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

/** Stores that clients reach by themselves (hdfs, abfss, …) may be named: unlike MLflow's server, this one never connects to them. */
function refuseOtherHosts(source: string): void {
  const scheme = /^(https?|ftp|mlflow-artifacts)(?=:\/\/[^/])/i.exec(source)?.[1]?.toLowerCase()
  if (scheme === undefined) return
  throw refused(
    `'source' cannot use the '${scheme}' scheme: the '${scheme}' scheme addresses a host other than the tracking server's ` +
      'configured artifact storage, so the server would connect to the host named in the URI.',
  )
}

const refused = (message: string): MlflowError => new MlflowError('INVALID_PARAMETER_VALUE', message)

const invalidSource = ({ source }: AskedSource, parameter: string): MlflowError =>
  refused(
    `Invalid model version source: '${source}'. The ${parameter} request parameter must identify the resource that contains the source.`,
  )

/** No run's artifacts lie in a folder of this machine that a client could name. */
async function localSource(parts: MlflowParts, asked: AskedSource): Promise<never> {
  const named = asked.modelId ? 'model_id' : 'run_id'
  await rootOf(parts, asked)
  throw refused(
    `Invalid model version source: '${asked.source}'. To use a local path as a model version source, the ${named} request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the ${named}.`,
  )
}
