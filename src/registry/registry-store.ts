import type { Selectable } from 'kysely'
import type { Db } from '../db/index.ts'
import type { RegistryTables } from '../db/tables/registry.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { ExecutionId, LoggedModelId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { KeyValue } from '../tracking/index.ts'
import type { Alias, ModelVersion, NewVersion, RegisteredModel, Stage } from './registry.ts'

export type ModelRow = Selectable<RegistryTables['registered_models']>
export type VersionRow = Selectable<RegistryTables['model_versions']>
type VersionChange = Partial<Pick<VersionRow, 'description' | 'stage' | 'deleted_at'>>

/** Rows of registered models. Throws NotFound in MLflow's words. */
export const modelRows = {
  async find(db: Db, name: string): Promise<ModelRow | undefined> {
    return db.selectFrom('registered_models').selectAll().where('name', '=', name).executeTakeFirst()
  },

  async byName(db: Db, name: string): Promise<ModelRow> {
    const row = await this.find(db, name)
    if (row) return row
    throw new AppError(
      'NotFound',
      `Registered Model with name=${name} not found`,
      'List models to see which there are.',
    )
  },

  async byId(db: Db, id: number): Promise<ModelRow> {
    return db.selectFrom('registered_models').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  },

  /**
   * As `byName`, and until the end of the transaction nobody else changes the model, its versions or aliases. An update that
   * changes nothing holds the row in every kind of database.
   */
  async toChange(tx: Db, name: string): Promise<ModelRow> {
    const row = await tx
      .updateTable('registered_models')
      .set((e) => ({ next_version: e.ref('next_version') }))
      .where('name', '=', name)
      .returningAll()
      .executeTakeFirst()
    return row ?? this.byName(tx, name)
  },

  /** Undefined where the name is taken. */
  async create(
    db: Db,
    model: { name: string; description?: string; tags?: readonly KeyValue[]; now: EpochMs },
  ): Promise<ModelRow | undefined> {
    const row = await db
      .insertInto('registered_models')
      .values({
        name: model.name,
        description: model.description ?? null,
        next_version: 1,
        created_at: model.now,
        updated_at: model.now,
      })
      .onConflict((c) => c.column('name').doNothing())
      .returningAll()
      .executeTakeFirst()
    if (row) for (const tag of model.tags ?? []) await this.setTag(db, row, tag)
    return row
  },

  async update(db: Db, row: ModelRow, change: Partial<Pick<ModelRow, 'name' | 'description'>>, now: EpochMs) {
    await db
      .updateTable('registered_models')
      .set({ ...change, updated_at: now })
      .where('id', '=', row.id)
      .execute()
  },

  async tags(db: Db, row: ModelRow): Promise<Record<string, string>> {
    return recordOf(
      await db.selectFrom('registered_model_tags').select(['key', 'value']).where('model_key', '=', row.id).execute(),
    )
  },

  /** The model with all its versions, tags and aliases. */
  async delete(db: Db, row: ModelRow): Promise<void> {
    for (const table of [
      'registered_model_tags',
      'registered_model_aliases',
      'model_version_tags',
      'model_versions',
    ] as const)
      await db.deleteFrom(table).where('model_key', '=', row.id).execute()
    await db.deleteFrom('registered_models').where('id', '=', row.id).execute()
  },

  async setTag(db: Db, row: ModelRow, { key, value }: KeyValue): Promise<void> {
    await db
      .insertInto('registered_model_tags')
      .values({ model_key: row.id, key, value })
      .onConflict((c) => c.columns(['model_key', 'key']).doUpdateSet({ value }))
      .execute()
  },

  async deleteTag(db: Db, row: ModelRow, key: string): Promise<void> {
    await db.deleteFrom('registered_model_tags').where('model_key', '=', row.id).where('key', '=', key).execute()
  },

  async alias(db: Db, row: ModelRow, alias: string): Promise<Alias | undefined> {
    const found = await db
      .selectFrom('registered_model_aliases')
      .selectAll()
      .where('model_key', '=', row.id)
      .where('alias', '=', alias)
      .executeTakeFirst()
    return found && aliasFrom(found)
  },

  async setAlias(db: Db, row: ModelRow, { alias, version, ownedByGit }: Alias): Promise<void> {
    const target = { version, owned_by_git: ownedByGit ? 1 : 0 }
    await db
      .insertInto('registered_model_aliases')
      .values({ model_key: row.id, alias, ...target })
      .onConflict((c) => c.columns(['model_key', 'alias']).doUpdateSet(target))
      .execute()
  },

  async deleteAlias(db: Db, row: ModelRow, alias: string): Promise<void> {
    await db.deleteFrom('registered_model_aliases').where('model_key', '=', row.id).where('alias', '=', alias).execute()
  },

  async complete(db: Db, rows: readonly ModelRow[]): Promise<RegisteredModel[]> {
    if (rows.length === 0) return []
    const keys = rows.map((row) => row.id)
    const tags = await db.selectFrom('registered_model_tags').selectAll().where('model_key', 'in', keys).execute()
    const aliases = await db
      .selectFrom('registered_model_aliases')
      .selectAll()
      .where('model_key', 'in', keys)
      .orderBy('alias')
      .execute()
    const latestOf = Map.groupBy(await latestOfEachStage(db, keys), (version) => version.model)
    const tagsOf = Map.groupBy(tags, (tag) => tag.model_key)
    const aliasesOf = Map.groupBy(aliases, (alias) => alias.model_key)
    return rows.map((row) => ({
      name: row.name,
      description: row.description ?? undefined,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      tags: recordOf(tagsOf.get(row.id)),
      aliases: (aliasesOf.get(row.id) ?? []).map(aliasFrom),
      latestVersions: latestOf.get(row.name) ?? [],
    }))
  },
}

/** Rows of model versions; deleted ones are never found. */
export const versionRows = {
  async find(db: Db, model: ModelRow, version: number): Promise<VersionRow | undefined> {
    return db
      .selectFrom('model_versions')
      .selectAll()
      .where('model_key', '=', model.id)
      .where('version', '=', version)
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
  },

  async get(db: Db, name: string, version: number): Promise<VersionRow> {
    const model = await modelRows.find(db, name)
    const row = model && (await this.find(db, model, version))
    if (row) return row
    throw new AppError(
      'NotFound',
      `Model Version (name=${name}, version=${version}) not found`,
      "List the model's versions to see which there are.",
    )
  },

  async byContent(db: Db, model: ModelRow, contentDigest: Digest): Promise<VersionRow | undefined> {
    return db
      .selectFrom('model_versions')
      .selectAll()
      .where('model_key', '=', model.id)
      .where('content_digest', '=', contentDigest)
      .executeTakeFirst()
  },

  /** Gives the model's next number. */
  async create(db: Db, model: ModelRow, version: NewVersion, now: EpochMs): Promise<VersionRow> {
    const { next_version } = await db
      .updateTable('registered_models')
      .set((e) => ({ next_version: e('next_version', '+', 1), updated_at: now }))
      .where('id', '=', model.id)
      .returning('next_version')
      .executeTakeFirstOrThrow()
    const row = await db
      .insertInto('model_versions')
      .values({
        model_key: model.id,
        version: next_version - 1,
        created_at: now,
        updated_at: now,
        description: version.description ?? null,
        user_id: version.userId ?? null,
        stage: 'None',
        source: version.source,
        storage_location: version.storageLocation ?? version.source,
        run_id: version.runId ?? null,
        run_link: version.runLink ?? null,
        status: 'READY',
        status_message: null,
        logged_model_id: version.loggedModelId ?? null,
        origin: version.origin,
        project: version.project ?? null,
        content_digest: version.contentDigest ?? null,
        manifest_digest: version.manifestDigest ?? null,
        verdict_id: version.verdictId ?? null,
        execution_id: version.executionId ?? null,
        deleted_at: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    for (const tag of version.tags ?? []) await this.setTag(db, row, tag)
    return row
  },

  async update(db: Db, row: VersionRow, change: VersionChange, now: EpochMs): Promise<void> {
    await db
      .updateTable('model_versions')
      .set({ ...change, updated_at: now })
      .where('model_key', '=', row.model_key)
      .where('version', '=', row.version)
      .execute()
  },

  async archiveOthers(db: Db, row: VersionRow, stage: Stage, now: EpochMs): Promise<void> {
    await db
      .updateTable('model_versions')
      .set({ stage: 'Archived', updated_at: now })
      .where('model_key', '=', row.model_key)
      .where('stage', '=', stage)
      .where('version', '!=', row.version)
      .where('deleted_at', 'is', null)
      .execute()
  },

  /** Keeps the row, so that the number stays taken, and nothing that points to it. */
  async delete(db: Db, row: VersionRow, now: EpochMs): Promise<void> {
    await db
      .deleteFrom('registered_model_aliases')
      .where('model_key', '=', row.model_key)
      .where('version', '=', row.version)
      .execute()
    await db
      .updateTable('model_versions')
      .set({ deleted_at: now, updated_at: now, content_digest: null })
      .where('model_key', '=', row.model_key)
      .where('version', '=', row.version)
      .execute()
  },

  async setTag(db: Db, row: VersionRow, { key, value }: KeyValue): Promise<void> {
    await db
      .insertInto('model_version_tags')
      .values({ model_key: row.model_key, version: row.version, key, value })
      .onConflict((c) => c.columns(['model_key', 'version', 'key']).doUpdateSet({ value }))
      .execute()
  },

  async deleteTag(db: Db, row: VersionRow, key: string): Promise<void> {
    await db
      .deleteFrom('model_version_tags')
      .where('model_key', '=', row.model_key)
      .where('version', '=', row.version)
      .where('key', '=', key)
      .execute()
  },

  async complete(db: Db, rows: readonly VersionRow[]): Promise<ModelVersion[]> {
    const versions: ModelVersion[] = []
    // A database takes only so many parameters in one statement.
    for (let start = 0; start < rows.length; start += 1000)
      versions.push(...(await this.completeSome(db, rows.slice(start, start + 1000))))
    return versions
  },

  async completeSome(db: Db, rows: readonly VersionRow[]): Promise<ModelVersion[]> {
    const keys = [...new Set(rows.map((row) => row.model_key))]
    const numbers = [...new Set(rows.map((row) => row.version))]
    const names = await db.selectFrom('registered_models').select(['id', 'name']).where('id', 'in', keys).execute()
    const tags = await db
      .selectFrom('model_version_tags')
      .selectAll()
      .where('model_key', 'in', keys)
      .where('version', 'in', numbers)
      .execute()
    const aliases = await db
      .selectFrom('registered_model_aliases')
      .selectAll()
      .where('model_key', 'in', keys)
      .where('version', 'in', numbers)
      .orderBy('alias')
      .execute()
    const nameOf = new Map(names.map((model) => [model.id, model.name]))
    const tagsOf = Map.groupBy(tags, versionKey)
    const aliasesOf = Map.groupBy(aliases, versionKey)
    return rows.map((row) =>
      versionFrom(row, {
        model: nameOf.get(row.model_key)!,
        tags: recordOf(tagsOf.get(versionKey(row))),
        aliases: (aliasesOf.get(versionKey(row)) ?? []).map((alias) => alias.alias),
      }),
    )
  },
}

const versionKey = (row: { model_key: number; version: number }): string => `${row.model_key}/${row.version}`

async function latestOfEachStage(db: Db, modelKeys: readonly number[]): Promise<ModelVersion[]> {
  const rows = await db
    .selectFrom('model_versions as v')
    .selectAll('v')
    .innerJoin(
      (e) =>
        e
          .selectFrom('model_versions')
          .select(['model_key', 'stage'])
          .select((f) => f.fn.max('version').as('newest'))
          .where('model_key', 'in', modelKeys)
          .where('deleted_at', 'is', null)
          .groupBy(['model_key', 'stage'])
          .as('l'),
      (join) => join.onRef('l.model_key', '=', 'v.model_key').onRef('l.newest', '=', 'v.version'),
    )
    .orderBy('v.version')
    .execute()
  return versionRows.complete(db, rows)
}

function versionFrom(row: VersionRow, more: Pick<ModelVersion, 'model' | 'tags' | 'aliases'>): ModelVersion {
  return {
    ...more,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    description: row.description ?? undefined,
    userId: row.user_id ?? undefined,
    stage: row.stage as Stage,
    source: row.source,
    storageLocation: row.storage_location,
    runId: (row.run_id as RunId | null) ?? undefined,
    runLink: row.run_link ?? undefined,
    status: row.status,
    statusMessage: row.status_message ?? undefined,
    loggedModelId: (row.logged_model_id as LoggedModelId | null) ?? undefined,
    origin: row.origin as ModelVersion['origin'],
    project: row.project ?? undefined,
    contentDigest: (row.content_digest as Digest | null) ?? undefined,
    manifestDigest: (row.manifest_digest as Digest | null) ?? undefined,
    verdictId: row.verdict_id ?? undefined,
    executionId: (row.execution_id as ExecutionId | null) ?? undefined,
  }
}

const aliasFrom = (row: { alias: string; version: number; owned_by_git: number }): Alias => ({
  alias: row.alias,
  version: row.version,
  ownedByGit: row.owned_by_git === 1,
})

/** Of a key that comes twice the last value counts. */
export const recordOf = (pairs: readonly KeyValue[] = []): Record<string, string> =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, value]))
