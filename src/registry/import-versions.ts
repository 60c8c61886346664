import type { Db, Tx } from '../db/index.ts'
import type { KeyValue } from '../tracking/index.ts'
import type { ModelVersion, RegisteredModel } from './registry.ts'
import { type ModelRow, modelRows, versionRows } from './registry-store.ts'

export type ImportedModel = Pick<RegisteredModel, 'name' | 'description' | 'createdAt' | 'updatedAt'> & {
  tags: readonly KeyValue[]
  /** Greater than every number that was ever given there, also to versions that are gone. */
  nextVersion: number
}

export type ImportedVersion = Omit<
  ModelVersion,
  'tags' | 'origin' | 'project' | 'contentDigest' | 'manifestDigest' | 'verdictId' | 'executionId'
> & {
  tags: readonly KeyValue[]
}

/**
 * Registered models and versions of another server, with the names, numbers and times that they have there, in the caller's
 * transaction. Everything only adds: what is here already stays as it is. No event tells of them: nothing was registered, and
 * nothing has judged them, so that Git cannot name them (`origin: client`).
 */
export const importedVersions = {
  async addModel(tx: Tx, model: ImportedModel): Promise<void> {
    const row =
      (await modelRows.find(tx, model.name)) ??
      (await tx
        .insertInto('registered_models')
        .values({
          name: model.name,
          description: model.description ?? null,
          next_version: model.nextVersion,
          created_at: model.createdAt,
          updated_at: model.updatedAt,
        })
        .returningAll()
        .executeTakeFirstOrThrow())
    if (row.next_version < model.nextVersion)
      await tx
        .updateTable('registered_models')
        .set({ next_version: model.nextVersion })
        .where('id', '=', row.id)
        .execute()
    for (const { key, value } of model.tags)
      await tx
        .insertInto('registered_model_tags')
        .values({ model_key: row.id, key, value })
        .onConflict((c) => c.doNothing())
        .execute()
  },

  /** Whose number is taken here stays as it is; the model must be here. */
  async addVersion(tx: Tx, version: ImportedVersion): Promise<void> {
    const model = await modelRows.byName(tx, version.model)
    await tx
      .insertInto('model_versions')
      .values({
        model_key: model.id,
        version: version.version,
        created_at: version.createdAt,
        updated_at: version.updatedAt,
        description: version.description ?? null,
        user_id: version.userId ?? null,
        stage: version.stage,
        source: version.source,
        storage_location: version.storageLocation,
        run_id: version.runId ?? null,
        run_link: version.runLink ?? null,
        status: version.status,
        status_message: version.statusMessage ?? null,
        logged_model_id: version.loggedModelId ?? null,
        origin: 'client',
        project: null,
        content_digest: null,
        manifest_digest: null,
        verdict_id: null,
        execution_id: null,
        deleted_at: null,
      })
      .onConflict((c) => c.doNothing())
      .execute()
    for (const { key, value } of version.tags)
      await tx
        .insertInto('model_version_tags')
        .values({ model_key: model.id, version: version.version, key, value })
        .onConflict((c) => c.doNothing())
        .execute()
    for (const alias of version.aliases) await addAlias(tx, model, alias, version.version)
  },

  async modelHere(db: Db, name: string): Promise<boolean> {
    return (await modelRows.find(db, name)) !== undefined
  },

  /** Deleted ones count: their number is not given again. */
  async versionHere(db: Db, name: string, version: number): Promise<boolean> {
    const model = await modelRows.find(db, name)
    if (!model) return false
    const row = await db
      .selectFrom('model_versions')
      .select('version')
      .where('model_key', '=', model.id)
      .where('version', '=', version)
      .executeTakeFirst()
    return row !== undefined
  },

  async findModel(db: Db, name: string): Promise<RegisteredModel | undefined> {
    const row = await modelRows.find(db, name)
    return row && (await modelRows.complete(db, [row]))[0]
  },

  async findVersion(db: Db, name: string, version: number): Promise<ModelVersion | undefined> {
    const model = await modelRows.find(db, name)
    const row = model && (await versionRows.find(db, model, version))
    return row && (await versionRows.complete(db, [row]))[0]
  },
}

/** An alias that points somewhere already is left there: Git or a person moved it here. */
async function addAlias(tx: Tx, model: ModelRow, alias: string, version: number): Promise<void> {
  await tx
    .insertInto('registered_model_aliases')
    .values({ model_key: model.id, alias, version, owned_by_git: 0 })
    .onConflict((c) => c.doNothing())
    .execute()
}
