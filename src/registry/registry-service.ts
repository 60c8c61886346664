import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { NewEvent } from '../kernel/events.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import {
  checkAlias,
  checkAliasIsFree,
  checkModelName,
  checkTag,
  type Found,
  invalid,
  type KeyValue,
  limits,
} from '../tracking/index.ts'
import {
  type Alias,
  isPromptBy,
  type ModelVersion,
  type NewVersion,
  type RegisteredModel,
  type Stage,
  stages,
} from './registry.ts'
import { type RegistrySearch, searchModels, searchVersions } from './registry-search.ts'
import { type ModelRow, modelRows, recordOf, type VersionRow, versionRows } from './registry-store.ts'

/** Registered models and their versions. Registrations are written so that they survive a power loss. */
export class RegistryService {
  readonly #db: Db
  readonly #clock: Clock

  constructor(parts: { db: Db; clock: Clock }) {
    this.#db = parts.db
    this.#clock = parts.clock
  }

  // Models

  async createModel(model: {
    name: string
    description?: string
    tags?: readonly KeyValue[]
  }): Promise<RegisteredModel> {
    checkModelName(model.name)
    for (const tag of model.tags ?? []) checkTag(tag, '', limits.registryTagValue)
    return this.#durably(async (tx) => {
      const row = await this.#registerModel(tx, model)
      if (!row) throw await nameTaken(tx, model.name, isPromptBy(recordOf(model.tags)))
      return (await modelRows.complete(tx, [row]))[0]!
    })
  }

  /** Throws NotFound. */
  async model(name: string): Promise<RegisteredModel> {
    checkModelName(name)
    return (await modelRows.complete(this.#db, [await modelRows.byName(this.#db, name)]))[0]!
  }

  /** All models by name, at most 1,000; `searchModels` pages. */
  async models(): Promise<RegisteredModel[]> {
    return (await searchModels(this.#db, { limit: 1000 })).items
  }

  searchModels(search: RegistrySearch): Promise<Found<RegisteredModel>> {
    return searchModels(this.#db, search)
  }

  describeModel(name: string, description: string): Promise<RegisteredModel> {
    return this.#changeModel(name, (tx, row) => modelRows.update(tx, row, { description }, this.#clock.now()))
  }

  async renameModel(name: string, newName: string): Promise<RegisteredModel> {
    checkModelName(newName, 'new_name')
    return this.#changeModel(name, async (tx, row) => {
      await refuseGitOwned(tx, row, `Registered Model ${name} cannot be renamed`)
      if (newName !== name && (await modelRows.find(tx, newName))) throw alreadyExists('Registered Model', newName)
      const now = this.#clock.now()
      await modelRows.update(tx, row, { name: newName }, now)
      await tx.updateTable('model_versions').set({ updated_at: now }).where('model_key', '=', row.id).execute()
    })
  }

  async deleteModel(name: string): Promise<void> {
    checkModelName(name)
    return this.#durably(async (tx) => {
      const row = await modelRows.toChange(tx, name)
      await refuseGitOwned(tx, row, `Registered Model ${name} cannot be deleted`)
      await modelRows.delete(tx, row)
    })
  }

  async setModelTag(name: string, tag: KeyValue): Promise<void> {
    checkModelName(name)
    checkTag(tag, '', limits.registryTagValue)
    await this.#changeModel(name, async (tx, row) => {
      await modelRows.setTag(tx, row, tag)
      await this.#tell(tx, { type: 'model.tagged', payload: { ...(await registered(tx, row)), ...tag } })
    })
  }

  async deleteModelTag(name: string, key: string): Promise<void> {
    checkModelName(name)
    checkTag({ key, value: '' })
    await this.#changeModel(name, async (tx, row) => {
      await modelRows.deleteTag(tx, row, key)
      await this.#tell(tx, { type: 'model.untagged', payload: { ...(await registered(tx, row)), key } })
    })
  }

  // Versions

  /**
   * Registers in the caller's transaction (make it a durable one), with the model where there is none yet.
   * Equal content (same model, same content digest) is the version that it already is: `existed`.
   */
  async registerVersion(tx: Tx, version: NewVersion): Promise<{ version: ModelVersion; existed: boolean }> {
    checkModelName(version.model)
    for (const tag of version.tags ?? []) checkTag(tag, '', limits.registryTagValue)
    await this.#registerModel(tx, { name: version.model })
    const model = await modelRows.toChange(tx, version.model)
    const equal = version.contentDigest && (await versionRows.byContent(tx, model, version.contentDigest))
    if (equal) return { version: await complete(tx, equal), existed: true }
    return { version: await this.#addVersion(tx, model, version), existed: false }
  }

  /** What MLflow's client does: the model must be there already, and equal content is not looked for. */
  async createVersion(version: NewVersion): Promise<ModelVersion> {
    checkModelName(version.model)
    for (const tag of version.tags ?? []) checkTag(tag, '', limits.registryTagValue)
    return this.#durably(async (tx) => this.#addVersion(tx, await modelRows.toChange(tx, version.model), version))
  }

  /** Throws NotFound. */
  async version(model: string, version: number): Promise<ModelVersion> {
    checkModelName(model)
    return complete(this.#db, await versionRows.get(this.#db, model, version))
  }

  async versionByDigest(manifestDigest: Digest): Promise<ModelVersion | undefined> {
    const row = await this.#db
      .selectFrom('model_versions')
      .selectAll()
      .where('manifest_digest', '=', manifestDigest)
      .where('deleted_at', 'is', null)
      .orderBy('created_at')
      .limit(1)
      .executeTakeFirst()
    return row && complete(this.#db, row)
  }

  /** Newest first, at most 1,000. Throws NotFound where there is no such model. */
  async versions(model: string): Promise<ModelVersion[]> {
    const { id } = await modelRows.byName(this.#db, model)
    const rows = await this.#db
      .selectFrom('model_versions')
      .selectAll()
      .where('model_key', '=', id)
      .where('deleted_at', 'is', null)
      .orderBy('version', 'desc')
      .limit(1000)
      .execute()
    return versionRows.complete(this.#db, rows)
  }

  searchVersions(search: RegistrySearch): Promise<Found<ModelVersion>> {
    return searchVersions(this.#db, search)
  }

  /** The model's own time of change stays, as in MLflow. */
  describeVersion(model: string, version: number, description: string | undefined): Promise<ModelVersion> {
    return this.#changeVersion(model, version, (tx, row, now) =>
      versionRows.update(tx, row, { description: description ?? null }, now),
    )
  }

  /** MLflow's stages. `archiveOthers` moves whatever else is in the stage to Archived. */
  async moveToStage(model: string, version: number, stage: string, archiveOthers: boolean): Promise<ModelVersion> {
    const wanted = stageNamed(stage)
    if (archiveOthers && wanted !== 'Staging' && wanted !== 'Production')
      throw invalid(
        `Model version transition cannot archive existing model versions because '${stage}' is not an Active stage. Valid stages are ['Staging', 'Production']`,
      )
    return this.#changeVersion(model, version, async (tx, row, now, modelRow) => {
      if (archiveOthers) await versionRows.archiveOthers(tx, row, wanted, now)
      await versionRows.update(tx, row, { stage: wanted }, now)
      await modelRows.update(tx, modelRow, {}, now)
    })
  }

  deleteVersion(model: string, version: number): Promise<void> {
    return this.#onVersion(model, version, async (tx, row, modelRow) => {
      await refuseGitOwned(tx, modelRow, `Model Version (name=${model}, version=${version}) cannot be deleted`, version)
      const now = this.#clock.now()
      await versionRows.delete(tx, row, now)
      await modelRows.update(tx, modelRow, {}, now)
    })
  }

  async setVersionTag(model: string, version: number, tag: KeyValue): Promise<void> {
    checkModelName(model)
    checkTag(tag, '', limits.registryTagValue)
    await this.#onVersion(model, version, async (tx, row, modelRow) => {
      await versionRows.setTag(tx, row, tag)
      await this.#tell(tx, {
        type: 'version.tagged',
        payload: { ...(await registered(tx, modelRow)), version, ...tag },
      })
    })
  }

  async deleteVersionTag(model: string, version: number, key: string): Promise<void> {
    checkModelName(model)
    checkTag({ key, value: '' })
    await this.#onVersion(model, version, async (tx, row, modelRow) => {
      await versionRows.deleteTag(tx, row, key)
      await this.#tell(tx, { type: 'version.untagged', payload: { ...(await registered(tx, modelRow)), version, key } })
    })
  }

  /** The newest version of each of the stages (all of them where none is named). */
  async latestVersions(name: string, wanted: readonly string[] = []): Promise<ModelVersion[]> {
    const { latestVersions } = await this.model(name)
    const named = wanted.map(stageNamed)
    return named.length === 0 ? latestVersions : latestVersions.filter((version) => named.includes(version.stage))
  }

  // Aliases

  /** Refuses (Forbidden) an alias that Git owns. */
  async setAlias(model: string, alias: string, version: number): Promise<void> {
    checkModelName(model)
    checkAlias(alias)
    checkAliasIsFree(alias)
    await this.#onVersion(model, version, async (tx, _row, modelRow) => {
      await refuseGitOwnedAlias(tx, modelRow, alias)
      await this.#pointAlias(tx, modelRow, { alias, version, ownedByGit: false })
    })
  }

  /** For what Git declares: an alias named like an environment. From now on the API cannot move it. */
  async setGitOwnedAlias(tx: Tx, model: string, alias: string, version: number): Promise<void> {
    const row = await modelRows.toChange(tx, model)
    await versionRows.get(tx, model, version)
    const known = await modelRows.alias(tx, row, alias)
    // Git is looked at again and again; only a change is news.
    if (known?.ownedByGit && known.version === version) return
    await this.#pointAlias(tx, row, { alias, version, ownedByGit: true })
  }

  /** Git names no version there any more. */
  async releaseGitOwnedAlias(tx: Tx, model: string, alias: string): Promise<void> {
    const row = await modelRows.find(tx, model)
    if (row && (await modelRows.alias(tx, row, alias))?.ownedByGit) await this.#removeAlias(tx, row, alias)
  }

  async deleteAlias(model: string, alias: string): Promise<void> {
    checkModelName(model)
    checkAlias(alias)
    await this.#durably(async (tx) => {
      const row = await modelRows.toChange(tx, model)
      await refuseGitOwnedAlias(tx, row, alias)
      await this.#removeAlias(tx, row, alias)
    })
  }

  /** `latest` is the highest number. Throws BadRequest for an alias that is not there, as MLflow does. */
  async versionByAlias(model: string, alias: string): Promise<ModelVersion> {
    checkModelName(model)
    checkAlias(alias)
    const row = await modelRows.byName(this.#db, model)
    if (alias.toLowerCase() === 'latest') {
      const [newest] = await this.versions(model)
      if (newest) return newest
      throw new AppError('NotFound', `Latest version not found for model ${model}.`, 'Register a version first.')
    }
    const target = await modelRows.alias(this.#db, row, alias)
    if (!target) throw invalid(`Registered model alias ${alias} not found.`)
    return this.version(model, target.version)
  }

  /** Undefined where the name is taken: of two at once one registers, and only that one tells of it. */
  async #registerModel(
    tx: Tx,
    model: { name: string; description?: string; tags?: readonly KeyValue[] },
  ): Promise<ModelRow | undefined> {
    const row = await modelRows.create(tx, { ...model, now: this.#clock.now() })
    if (!row) return undefined
    const tags = recordOf(model.tags)
    const told = { tags, ...(model.description ? { description: model.description } : {}) }
    await this.#tell(tx, { type: 'model.registered', payload: { model: row.name, prompt: isPromptBy(tags), ...told } })
    return row
  }

  async #addVersion(tx: Tx, model: ModelRow, version: NewVersion): Promise<ModelVersion> {
    const row = await versionRows.create(tx, model, version, this.#clock.now())
    const { project, manifestDigest: digest, runId, description } = version
    const tags = recordOf(version.tags)
    const payload = {
      model: model.name,
      prompt: isPromptBy(tags),
      version: row.version,
      source: version.source,
      tags,
      ...(project === undefined ? {} : { project }),
      ...(digest === undefined ? {} : { digest }),
      ...(runId === undefined ? {} : { runId }),
      ...(description ? { description } : {}),
    }
    await this.#tell(tx, { type: 'version.registered', payload })
    return complete(tx, row)
  }

  async #pointAlias(tx: Tx, row: ModelRow, alias: Alias): Promise<void> {
    await modelRows.setAlias(tx, row, alias)
    const { ownedByGit: _owned, ...told } = alias
    await this.#tell(tx, { type: 'alias.set', payload: { ...(await registered(tx, row)), ...told } })
  }

  async #removeAlias(tx: Tx, row: ModelRow, alias: string): Promise<void> {
    await modelRows.deleteAlias(tx, row, alias)
    await this.#tell(tx, { type: 'alias.deleted', payload: { ...(await registered(tx, row)), alias } })
  }

  #tell(tx: Tx, event: NewEvent): Promise<void> {
    return publish(tx, event, this.#clock.now())
  }

  #durably<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(this.#db, work, { durable: true })
  }

  async #changeModel(name: string, change: (tx: Tx, row: ModelRow) => Promise<unknown>): Promise<RegisteredModel> {
    checkModelName(name)
    return this.#durably(async (tx) => {
      const row = await modelRows.toChange(tx, name)
      await change(tx, row)
      return (await modelRows.complete(tx, [await modelRows.byId(tx, row.id)]))[0]!
    })
  }

  async #onVersion<T>(
    model: string,
    version: number,
    work: (tx: Tx, row: VersionRow, modelRow: ModelRow) => Promise<T>,
  ): Promise<T> {
    checkModelName(model)
    return this.#durably(async (tx) => {
      const found = await modelRows.find(tx, model)
      // The model is what concurrent changes of its versions and aliases queue for.
      const modelRow = found && (await modelRows.toChange(tx, model))
      const row = await versionRows.get(tx, model, version)
      return work(tx, row, modelRow!)
    })
  }

  #changeVersion(
    model: string,
    version: number,
    change: (tx: Tx, row: VersionRow, now: EpochMs, modelRow: ModelRow) => Promise<unknown>,
  ): Promise<ModelVersion> {
    return this.#onVersion(model, version, async (tx, row, modelRow) => {
      await change(tx, row, this.#clock.now(), modelRow)
      return complete(tx, await versionRows.get(tx, model, version))
    })
  }
}

const complete = async (db: Db, row: VersionRow): Promise<ModelVersion> => (await versionRows.complete(db, [row]))[0]!

function stageNamed(text: string): Stage {
  const stage = stages.find((known) => known.toLowerCase() === text.toLowerCase())
  if (stage) return stage
  throw invalid(`Invalid Model Version stage: ${text}. Value must be one of None, Staging, Production, Archived.`)
}

/** Models and prompts share their names; MLflow says which of the two is in the way. */
async function nameTaken(db: Db, name: string, asPrompt: boolean): Promise<AppError> {
  const kind = (prompt: boolean) => (prompt ? 'Prompt' : 'Registered Model')
  const { prompt } = await registered(db, await modelRows.byName(db, name))
  if (prompt === asPrompt) return alreadyExists(kind(asPrompt), name)
  return new AppError(
    'AlreadyExists',
    `Tried to create a ${kind(asPrompt).toLowerCase()} with name '${name}', but the name is already taken by a ` +
      `${kind(prompt).toLowerCase()}. MLflow does not allow creating a model and a prompt with the same name.`,
    'Choose another name.',
  )
}

const alreadyExists = (kind: string, name: string): AppError =>
  new AppError('AlreadyExists', `${kind} (name=${name}) already exists.`, 'Choose another name.')

/** How events name a model. */
const registered = async (db: Db, row: ModelRow): Promise<{ model: string; prompt: boolean }> => ({
  model: row.name,
  prompt: isPromptBy(await modelRows.tags(db, row)),
})

async function refuseGitOwnedAlias(db: Db, model: ModelRow, alias: string): Promise<void> {
  const known = await modelRows.alias(db, model, alias)
  if (!known?.ownedByGit) return
  throw new AppError(
    'Forbidden',
    `Alias '${alias}' of model '${model.name}' says what Git declares, so it is read-only here.`,
    'Change `deployments:` in modelwright.yaml and push.',
  )
}

/** What Git declares as deployed must stay findable. */
async function refuseGitOwned(db: Db, model: ModelRow, what: string, version?: number): Promise<void> {
  let query = db
    .selectFrom('registered_model_aliases')
    .select('alias')
    .where('model_key', '=', model.id)
    .where('owned_by_git', '=', 1)
  if (version !== undefined) query = query.where('version', '=', version)
  const owned = await query.limit(1).executeTakeFirst()
  if (owned)
    throw new AppError(
      'Forbidden',
      `${what}: Git declares it for '${owned.alias}'.`,
      'Change `deployments:` in modelwright.yaml and push first.',
    )
}
