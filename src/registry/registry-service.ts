import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
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
  type Search,
} from '../tracking/index.ts'
import { type ModelVersion, type NewVersion, type RegisteredModel, type Stage, stages } from './registry.ts'
import { searchModels, searchVersions } from './registry-search.ts'
import { type ModelRow, modelRows, type VersionRow, versionRows } from './registry-store.ts'

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
      await refuseTakenName(tx, model.name)
      const row = await modelRows.create(tx, { ...model, now: this.#clock.now() })
      return (await modelRows.complete(tx, [row]))[0]!
    })
  }

  /** Throws NotFound. */
  async model(name: string): Promise<RegisteredModel> {
    return (await modelRows.complete(this.#db, [await modelRows.byName(this.#db, name)]))[0]!
  }

  /** All models by name, at most 1,000; `searchModels` pages. */
  async models(): Promise<RegisteredModel[]> {
    return (await searchModels(this.#db, { limit: 1000 })).items
  }

  searchModels(search: Search): Promise<Found<RegisteredModel>> {
    return searchModels(this.#db, search)
  }

  describeModel(name: string, description: string): Promise<RegisteredModel> {
    return this.#changeModel(name, (tx, row, now) =>
      tx.updateTable('registered_models').set({ description, updated_at: now }).where('id', '=', row.id).execute(),
    )
  }

  async renameModel(name: string, newName: string): Promise<RegisteredModel> {
    checkModelName(newName, 'new_name')
    return this.#durably(async (tx) => {
      const row = await modelRows.byName(tx, name)
      await refuseGitOwned(tx, row, `Registered Model ${name} cannot be renamed`)
      if (newName !== name) await refuseTakenName(tx, newName)
      const now = this.#clock.now()
      await tx
        .updateTable('registered_models')
        .set({ name: newName, updated_at: now })
        .where('id', '=', row.id)
        .execute()
      await tx.updateTable('model_versions').set({ updated_at: now }).where('model_key', '=', row.id).execute()
      return (await modelRows.complete(tx, [await modelRows.byName(tx, newName)]))[0]!
    })
  }

  deleteModel(name: string): Promise<void> {
    return this.#durably(async (tx) => {
      const row = await modelRows.byName(tx, name)
      await refuseGitOwned(tx, row, `Registered Model ${name} cannot be deleted`)
      await modelRows.delete(tx, row)
    })
  }

  async setModelTag(name: string, tag: KeyValue): Promise<void> {
    checkTag(tag, '', limits.registryTagValue)
    await this.#changeModel(name, (tx, row) => modelRows.setTag(tx, row, tag))
  }

  async deleteModelTag(name: string, key: string): Promise<void> {
    await this.#changeModel(name, (tx, row) => modelRows.deleteTag(tx, row, key))
  }

  // Versions

  /**
   * Registers in the caller's transaction (make it a durable one), with the model where there is none yet.
   * Equal content (same model, same content digest) is the version that it already is: `existed`.
   */
  async registerVersion(tx: Tx, version: NewVersion): Promise<{ version: ModelVersion; existed: boolean }> {
    checkModelName(version.model)
    for (const tag of version.tags ?? []) checkTag(tag, '', limits.registryTagValue)
    const now = this.#clock.now()
    const model =
      (await modelRows.find(tx, version.model)) ?? (await modelRows.create(tx, { name: version.model, now }))
    const equal = version.contentDigest && (await versionRows.byContent(tx, model, version.contentDigest))
    if (equal) return { version: await complete(tx, equal), existed: true }
    const row = await versionRows.create(tx, model, version, now)
    await publish(
      tx,
      {
        type: 'version.registered',
        payload: {
          model: version.model,
          version: row.version,
          ...(version.project === undefined ? {} : { project: version.project }),
          ...(version.manifestDigest === undefined ? {} : { digest: version.manifestDigest }),
        },
      },
      now,
    )
    return { version: await complete(tx, row), existed: false }
  }

  /** What MLflow's client does: the model must be there already, and equal content is not looked for. */
  createVersion(version: NewVersion): Promise<ModelVersion> {
    return this.#durably(async (tx) => {
      await modelRows.byName(tx, version.model)
      return (await this.registerVersion(tx, version)).version
    })
  }

  /** Throws NotFound. */
  async version(model: string, version: number): Promise<ModelVersion> {
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

  searchVersions(search: Search): Promise<Found<ModelVersion>> {
    return searchVersions(this.#db, search)
  }

  describeVersion(model: string, version: number, description: string): Promise<ModelVersion> {
    return this.#changeVersion(model, version, (tx, row, now) => versionRows.update(tx, row, { description }, now))
  }

  /** MLflow's stages. `archiveOthers` moves whatever else is in the stage to Archived. */
  async moveToStage(model: string, version: number, stage: string, archiveOthers: boolean): Promise<ModelVersion> {
    const wanted = stageNamed(stage)
    if (archiveOthers && wanted !== 'Staging' && wanted !== 'Production')
      throw invalid(
        `Model version transition cannot archive existing model versions because '${stage}' is not an Active stage. Valid stages are ['Staging', 'Production']`,
      )
    return this.#changeVersion(model, version, async (tx, row, now) => {
      if (archiveOthers)
        await tx
          .updateTable('model_versions')
          .set({ stage: 'Archived', updated_at: now })
          .where('model_key', '=', row.model_key)
          .where('stage', '=', wanted)
          .where('version', '!=', version)
          .execute()
      await versionRows.update(tx, row, { stage: wanted }, now)
    })
  }

  deleteVersion(model: string, version: number): Promise<void> {
    return this.#durably(async (tx) => {
      const row = await versionRows.get(tx, model, version)
      const modelRow = await modelRows.byName(tx, model)
      await refuseGitOwned(tx, modelRow, `Model Version (name=${model}, version=${version}) cannot be deleted`, version)
      const now = this.#clock.now()
      await versionRows.delete(tx, row, now)
      await modelRows.touch(tx, modelRow, now)
    })
  }

  async setVersionTag(model: string, version: number, tag: KeyValue): Promise<void> {
    checkTag(tag, '', limits.registryTagValue)
    await this.#durably(async (tx) => versionRows.setTag(tx, await versionRows.get(tx, model, version), tag))
  }

  async deleteVersionTag(model: string, version: number, key: string): Promise<void> {
    await this.#durably(async (tx) => versionRows.deleteTag(tx, await versionRows.get(tx, model, version), key))
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
    await this.#durably(async (tx) => {
      await versionRows.get(tx, model, version)
      const row = await modelRows.byName(tx, model)
      await refuseGitOwnedAlias(tx, row, alias)
      await modelRows.setAlias(tx, row, { alias, version, ownedByGit: false })
    })
  }

  /** For what Git declares: an alias named like an environment. From now on the API cannot move it. */
  async setGitOwnedAlias(tx: Tx, model: string, alias: string, version: number): Promise<void> {
    await versionRows.get(tx, model, version)
    await modelRows.setAlias(tx, await modelRows.byName(tx, model), { alias, version, ownedByGit: true })
  }

  /** Git names no version there any more. */
  async releaseGitOwnedAlias(tx: Tx, model: string, alias: string): Promise<void> {
    const row = await modelRows.find(tx, model)
    if (row && (await modelRows.alias(tx, row, alias))?.ownedByGit) await modelRows.deleteAlias(tx, row, alias)
  }

  async deleteAlias(model: string, alias: string): Promise<void> {
    checkModelName(model)
    checkAlias(alias)
    await this.#durably(async (tx) => {
      const row = await modelRows.byName(tx, model)
      await refuseGitOwnedAlias(tx, row, alias)
      await modelRows.deleteAlias(tx, row, alias)
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

  #durably<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(this.#db, work, { durable: true })
  }

  #changeModel(
    name: string,
    change: (tx: Tx, row: ModelRow, now: EpochMs) => Promise<unknown>,
  ): Promise<RegisteredModel> {
    return this.#durably(async (tx) => {
      const row = await modelRows.byName(tx, name)
      await change(tx, row, this.#clock.now())
      return (await modelRows.complete(tx, [await modelRows.byName(tx, name)]))[0]!
    })
  }

  #changeVersion(
    model: string,
    version: number,
    change: (tx: Tx, row: VersionRow, now: EpochMs) => Promise<unknown>,
  ): Promise<ModelVersion> {
    return this.#durably(async (tx) => {
      const row = await versionRows.get(tx, model, version)
      const now = this.#clock.now()
      await change(tx, row, now)
      await modelRows.touch(tx, await modelRows.byName(tx, model), now)
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

async function refuseTakenName(db: Db, name: string): Promise<void> {
  if (await modelRows.find(db, name))
    throw new AppError('AlreadyExists', `Registered Model (name=${name}) already exists.`, 'Choose another name.')
}

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
