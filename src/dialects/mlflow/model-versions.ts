import type { FastifyInstance, FastifyRequest } from 'fastify'
import { transact } from '../../db/index.ts'
import type { LoggedModelId, RunId } from '../../kernel/ids.ts'
import { pythonDumps } from '../../kernel/python-text.ts'
import { isPromptBy, type ModelVersion } from '../../registry/index.ts'
import { checkModelName } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { flag, integer, onlyTexts, orZero, pairs, readMessage, required, seeDocs, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { resolveSource } from './model-source.ts'
import { type MlflowParts, mount } from './parts.ts'
import { versionNumber } from './version-number.ts'
import { tokenWire, versionWire } from './wire.ts'

const root = '/2.0/mlflow/model-versions'
const versionsTag = 'mlflow.modelVersions'

export function mountModelVersions(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountReading(app, parts, access)
  mountWriting(app, parts, access)
}

/** The registry's bounds of a page, in its words: those of tracking are worded otherwise. */
export function registryLimit(asked: number, max: number): number {
  if (asked >= 1 && asked <= max) return asked
  throw new MlflowError(
    'INVALID_PARAMETER_VALUE',
    asked < 1
      ? `Invalid value for max_results. It must be a positive integer, but got ${asked}`
      : `Invalid value "${asked}" for parameter 'max_results' supplied:  Hint: Value was of type 'str'.${seeDocs}`,
  )
}

const versioned = { name: required(text), version: required(text) }

function mountReading(app: FastifyInstance, { registry }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'GET', `${root}/get`, async (request) => {
    const { name, version } = readMessage(request, versioned)
    return { model_version: versionWire(await registry.version(name, versionNumber(version))) }
  })

  mount(app, 'GET', `${root}/search`, async (request) => {
    const search = readMessage(request, { filter: text, max_results: integer, order_by: onlyTexts, page_token: text })
    return searchModelVersions({ registry }, search, await access.visibleModels(request.actor))
  })

  mount(app, 'GET', `${root}/get-download-uri`, async (request) => {
    const { name, version } = readMessage(request, { name: orZero(text), version: orZero(text) })
    checkModelName(name)
    return { artifact_uri: (await registry.version(name, versionNumber(version))).storageLocation }
  })
}

export type AskedVersions = { filter?: string; max_results?: number; order_by?: string[]; page_token?: string }

export async function searchModelVersions(
  { registry }: Pick<MlflowParts, 'registry'>,
  search: AskedVersions,
  visible: Awaited<ReturnType<MlflowAccess['visibleModels']>>,
) {
  const { items, nextPageToken } = await registry.searchVersions({
    filter: search.filter,
    limit: registryLimit(search.max_results ?? 200_000, 200_000),
    orderBy: search.order_by,
    pageToken: search.page_token,
    visible,
  })
  return { model_versions: items.map(versionWire), ...tokenWire(nextPageToken) }
}

function mountWriting(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  const { registry } = parts

  mount(app, 'POST', `${root}/create`, async (request) => {
    const version = await createVersion(request, parts, access)
    await tellLoggedModel(parts, version)
    return { model_version: versionWire(version) }
  })

  const writable = async (request: FastifyRequest, name: string, version: string): Promise<number> => {
    const number = versionNumber(version)
    if (request.actor.kind === 'step') {
      const { runId } = await registry.version(name, number)
      await access.toVersionOf(request.actor, runId, `change version ${number} of model ${name}`)
    }
    return number
  }

  mount(app, 'PATCH', `${root}/update`, async (request) => {
    const { name, version, description } = readMessage(request, { ...versioned, description: text })
    const number = await writable(request, name, version)
    return { model_version: versionWire(await registry.describeVersion(name, number, description)) }
  })

  mount(app, 'POST', `${root}/transition-stage`, async (request) => {
    const { name, version, stage, archive_existing_versions } = readMessage(request, {
      ...versioned,
      stage: required(text),
      archive_existing_versions: flag,
    })
    const number = await writable(request, name, version)
    const moved = await registry.moveToStage(name, number, stage, archive_existing_versions ?? false)
    return { model_version: versionWire(moved) }
  })

  mount(app, 'DELETE', `${root}/delete`, async (request) => {
    const { name, version } = readMessage(request, versioned)
    access.toShared(request.actor, `delete versions of model ${name}`)
    await registry.deleteVersion(name, versionNumber(version))
    return {}
  })

  mount(app, 'POST', `${root}/set-tag`, async (request) => {
    const { name, version, key, value } = readMessage(request, { ...versioned, key: required(text), value: text })
    await registry.setVersionTag(name, await writable(request, name, version), { key, value: value ?? '' })
    return {}
  })

  mount(app, 'DELETE', `${root}/delete-tag`, async (request) => {
    const { name, version, key } = readMessage(request, { ...versioned, key: required(text) })
    await registry.deleteVersionTag(name, await writable(request, name, version), key)
    return {}
  })
}

/** What user code registers is kept, without a manifest: nothing has judged it, so Git cannot name it. */
async function createVersion(request: FastifyRequest, parts: MlflowParts, access: MlflowAccess): Promise<ModelVersion> {
  const asked = readMessage(request, {
    name: required(text),
    source: required(text),
    run_id: text,
    model_id: text,
    run_link: text,
    description: text,
    tags: pairs('tags'),
  })
  const resolved = await resolveSource(parts, {
    source: asked.source,
    runId: asked.run_id,
    modelId: asked.model_id,
    isPrompt: isPromptBy(Object.fromEntries((asked.tags ?? []).map(({ key, value }) => [key, value]))),
  })
  if (resolved.runId) await access.toVersionOf(request.actor, resolved.runId, `register model ${asked.name}`)
  return parts.registry.createVersion({
    model: asked.name,
    source: resolved.source,
    storageLocation: resolved.storageLocation,
    runId: (resolved.runId || undefined) as RunId | undefined,
    loggedModelId: (resolved.modelId || undefined) as LoggedModelId | undefined,
    runLink: asked.run_link,
    description: asked.description,
    tags: asked.tags,
    origin: 'client',
  })
}

/** The logged model carries the list of the versions that it became, as MLflow's server writes it. */
async function tellLoggedModel({ db, tracking }: MlflowParts, version: ModelVersion): Promise<void> {
  const { loggedModelId } = version
  if (!loggedModelId) return
  const { tags } = await tracking.loggedModel(loggedModelId, { deletedToo: true })
  const known = JSON.parse(tags[versionsTag] ?? '[]') as unknown[]
  const value = pythonDumps([...known, { name: version.model, version: version.version }])
  await transact(db, (tx) => tracking.setLoggedModelTags(tx, loggedModelId, [{ key: versionsTag, value }]))
}
