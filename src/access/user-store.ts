import type { Selectable } from 'kysely'
import type { Db } from '../db/index.ts'
import type { UserTables } from '../db/tables/users.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Grant, Permission, ResourceType, User, UserToken } from './user.ts'

type Row = Selectable<UserTables['users']>
export type KnownUser = User & { passwordHash?: string }

const userFrom = (row: Row): KnownUser => ({
  id: row.id,
  name: row.name,
  admin: row.admin === 1,
  createdAt: row.created_at,
  ...(row.password_hash === null ? {} : { passwordHash: row.password_hash }),
})

/** Users, their tokens and their permissions. Each method takes the handle, so that it can be part of a transaction. */
export const userStore = {
  /** Undefined where the name is taken. */
  async create(
    db: Db,
    user: { name: string; passwordHash?: string; admin: boolean; now: EpochMs },
  ): Promise<User | undefined> {
    const row = await db
      .insertInto('users')
      .values({
        name: user.name,
        password_hash: user.passwordHash ?? null,
        admin: user.admin ? 1 : 0,
        created_at: user.now,
      })
      .onConflict((c) => c.column('name').doNothing())
      .returningAll()
      .executeTakeFirst()
    return row && withoutHash(userFrom(row))
  },

  async byName(db: Db, name: string): Promise<KnownUser | undefined> {
    const row = await db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst()
    return row && userFrom(row)
  },

  async byId(db: Db, id: number): Promise<KnownUser | undefined> {
    const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
    return row && userFrom(row)
  },

  async byToken(db: Db, hash: string): Promise<{ user: KnownUser; expiresAt?: EpochMs } | undefined> {
    const row = await db
      .selectFrom('user_tokens as t')
      .innerJoin('users as u', 'u.id', 't.user_id')
      .selectAll('u')
      .select('t.expires_at')
      .where('t.hash', '=', hash)
      .executeTakeFirst()
    return row && { user: userFrom(row), ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }) }
  },

  /** In order of name, after the one named. */
  async list(db: Db, page: { after?: string; limit: number }): Promise<User[]> {
    let query = db.selectFrom('users').selectAll().orderBy('name').limit(page.limit)
    if (page.after !== undefined) query = query.where('name', '>', page.after)
    return (await query.execute()).map((row) => withoutHash(userFrom(row)))
  },

  async set(db: Db, id: number, change: { passwordHash?: string; admin?: boolean }): Promise<void> {
    await db
      .updateTable('users')
      .set({
        ...(change.passwordHash === undefined ? {} : { password_hash: change.passwordHash }),
        ...(change.admin === undefined ? {} : { admin: change.admin ? 1 : 0 }),
      })
      .where('id', '=', id)
      .execute()
  },

  async remove(db: Db, id: number): Promise<void> {
    await db.deleteFrom('user_permissions').where('user_id', '=', id).execute()
    await db.deleteFrom('user_tokens').where('user_id', '=', id).execute()
    await db.deleteFrom('users').where('id', '=', id).execute()
  },

  /** False where the user has a token of that name. */
  async addToken(db: Db, userId: number, hash: string, token: UserToken): Promise<boolean> {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('user_tokens')
      .values({
        hash,
        user_id: userId,
        name: token.name,
        created_at: token.createdAt,
        expires_at: token.expiresAt ?? null,
      })
      .onConflict((c) => c.columns(['user_id', 'name']).doNothing())
      .executeTakeFirst()
    return numInsertedOrUpdatedRows === 1n
  },

  async tokens(db: Db, userId: number): Promise<UserToken[]> {
    const rows = await db
      .selectFrom('user_tokens')
      .selectAll()
      .where('user_id', '=', userId)
      .orderBy('name')
      .limit(1000)
      .execute()
    return rows.map((row) => ({
      name: row.name,
      createdAt: row.created_at,
      ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    }))
  },

  async removeToken(db: Db, userId: number, name: string): Promise<boolean> {
    const { numDeletedRows } = await db
      .deleteFrom('user_tokens')
      .where('user_id', '=', userId)
      .where('name', '=', name)
      .executeTakeFirst()
    return numDeletedRows === 1n
  },

  async grants(db: Db, userId: number): Promise<Grant[]> {
    const rows = await db
      .selectFrom('user_permissions')
      .selectAll()
      .where('user_id', '=', userId)
      .orderBy('resource_type')
      .orderBy('pattern')
      .execute()
    return rows.map((row) => ({
      type: row.resource_type as ResourceType,
      pattern: row.pattern,
      permission: row.permission as Permission,
    }))
  },

  async setGrant(db: Db, userId: number, { type, pattern, permission }: Grant): Promise<void> {
    await db
      .insertInto('user_permissions')
      .values({ user_id: userId, resource_type: type, pattern, permission })
      .onConflict((c) => c.columns(['user_id', 'resource_type', 'pattern']).doUpdateSet({ permission }))
      .execute()
  },

  async removeGrant(db: Db, userId: number, type: ResourceType, pattern: string): Promise<boolean> {
    const { numDeletedRows } = await db
      .deleteFrom('user_permissions')
      .where('user_id', '=', userId)
      .where('resource_type', '=', type)
      .where('pattern', '=', pattern)
      .executeTakeFirst()
    return numDeletedRows === 1n
  },

  /** How many users had a permission on it. */
  async removeGrantsOn(db: Db, types: readonly ResourceType[], pattern: string): Promise<number> {
    const { numDeletedRows } = await db
      .deleteFrom('user_permissions')
      .where('resource_type', 'in', types)
      .where('pattern', '=', pattern)
      .executeTakeFirst()
    return Number(numDeletedRows)
  },

  async removeGrantsWithin(db: Db, type: ResourceType, prefix: string): Promise<void> {
    await db
      .deleteFrom('user_permissions')
      .where('resource_type', '=', type)
      .where('pattern', '>=', prefix)
      .where('pattern', '<', `${prefix}\u{10ffff}`)
      .execute()
  },

  async moveGrants(db: Db, types: readonly ResourceType[], from: string, to: string): Promise<number> {
    // What a thing that once had the new name left behind must not count for this one.
    await this.removeGrantsOn(db, types, to)
    const { numUpdatedRows } = await db
      .updateTable('user_permissions')
      .set({ pattern: to })
      .where('resource_type', 'in', types)
      .where('pattern', '=', from)
      .executeTakeFirst()
    return Number(numUpdatedRows)
  },
}

const withoutHash = ({ passwordHash: _, ...user }: KnownUser): User => user
