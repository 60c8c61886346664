import { type Selectable, sql } from 'kysely'
import { type Db, deleteSome, type Tx } from '../db/index.ts'
import type { ImportTables } from '../db/tables/imports.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Import, ImportItem } from './imports.ts'
import type { Facts, ItemKind } from './imports-contract.ts'

const rowsAtOnce = 1000

/** Imports and what came of what. Each method takes the handle, so that it can be part of a transaction. */
export const importStore = {
  async add(tx: Tx, one: Import): Promise<void> {
    await tx
      .insertInto('imports')
      .values({
        id: one.id,
        source: one.source,
        artifacts: one.artifacts,
        state: one.state,
        actor: one.actor,
        started_at: one.startedAt,
        updated_at: one.updatedAt,
      })
      .execute()
  },

  async ofSource(db: Db, source: string): Promise<Import | undefined> {
    const row = await db.selectFrom('imports').selectAll().where('source', '=', source).executeTakeFirst()
    return row && importFrom(row)
  },

  async byId(db: Db, id: string): Promise<Import | undefined> {
    const row = await db.selectFrom('imports').selectAll().where('id', '=', id).executeTakeFirst()
    return row && importFrom(row)
  },

  async newest(db: Db, limit: number): Promise<Import[]> {
    const rows = await db.selectFrom('imports').selectAll().orderBy('started_at', 'desc').limit(limit).execute()
    return rows.map(importFrom)
  },

  async touch(tx: Tx, id: string, state: Import['state'], now: EpochMs): Promise<void> {
    await tx.updateTable('imports').set({ state, updated_at: now }).where('id', '=', id).execute()
  },

  async setArtifacts(tx: Tx, id: string, artifacts: Import['artifacts']): Promise<void> {
    await tx.updateTable('imports').set({ artifacts }).where('id', '=', id).execute()
  },

  /** Everything is looked at anew; what it became stays known. */
  async forgetFacts(tx: Tx, id: string): Promise<void> {
    await tx.updateTable('import_items').set({ facts: null }).where('import_id', '=', id).execute()
  },

  async addItems(tx: Tx, importId: string, items: readonly ImportItem[]): Promise<void> {
    for (let from = 0; from < items.length; from += rowsAtOnce)
      await tx
        .insertInto('import_items')
        .values(
          items.slice(from, from + rowsAtOnce).map((item) => ({
            import_id: importId,
            kind: item.kind,
            source_id: item.sourceId,
            target_id: item.targetId,
            joined: item.joined ? 1 : 0,
            source_uri: item.sourceUri ?? null,
            target_uri: item.targetUri ?? null,
            facts: null,
          })),
        )
        .onConflict((c) => c.doNothing())
        .execute()
  },

  async setFacts(tx: Tx, importId: string, item: { kind: ItemKind; id: string; facts: Facts }): Promise<void> {
    await tx
      .updateTable('import_items')
      .set({ facts: JSON.stringify(item.facts) })
      .where('import_id', '=', importId)
      .where('kind', '=', item.kind)
      .where('source_id', '=', item.id)
      .execute()
  },

  /** By the source's id. */
  async items(db: Db, importId: string, kind: ItemKind, ids: readonly string[]): Promise<Map<string, ImportItem>> {
    const found = new Map<string, ImportItem>()
    for (let from = 0; from < ids.length; from += rowsAtOnce) {
      const rows = await db
        .selectFrom('import_items')
        .selectAll()
        .where('import_id', '=', importId)
        .where('kind', '=', kind)
        .where('source_id', 'in', ids.slice(from, from + rowsAtOnce))
        .execute()
      for (const row of rows) found.set(row.source_id, itemFrom(row))
    }
    return found
  },

  /** By our id, at most `limit`: what became of them is no more. Gives how many those were. */
  forget(tx: Tx, kind: ItemKind, targetIds: readonly string[], limit: number): Promise<number> {
    return deleteSome(tx, 'import_items', {
      key: ['import_id', 'kind', 'source_id'],
      where: sql`kind = ${kind} and target_id in (${sql.join(targetIds)})`,
      limit,
    })
  },

  async doneByKind(db: Db, importId: string): Promise<Partial<Record<ItemKind, number>>> {
    const rows = await db
      .selectFrom('import_items')
      .select('kind')
      .select((e) => e.fn.countAll<number>().as('items'))
      .where('import_id', '=', importId)
      .where('facts', 'is not', null)
      .groupBy('kind')
      .execute()
    return Object.fromEntries(rows.map((row) => [row.kind, Number(row.items)]))
  },
}

const importFrom = (row: Selectable<ImportTables['imports']>): Import => ({
  id: row.id,
  source: row.source,
  artifacts: row.artifacts as Import['artifacts'],
  state: row.state as Import['state'],
  actor: row.actor,
  startedAt: row.started_at,
  updatedAt: row.updated_at,
})

const itemFrom = (row: Selectable<ImportTables['import_items']>): ImportItem => ({
  kind: row.kind as ItemKind,
  sourceId: row.source_id,
  targetId: row.target_id,
  joined: row.joined === 1,
  ...(row.source_uri === null ? {} : { sourceUri: row.source_uri }),
  ...(row.target_uri === null ? {} : { targetUri: row.target_uri }),
  ...(row.facts === null ? {} : { facts: JSON.parse(row.facts) as Facts }),
})
