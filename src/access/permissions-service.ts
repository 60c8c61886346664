import { type Db, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { Actor } from '../kernel/route.ts'
import type { Clock } from '../ports/clock.ts'
import { appendAudit } from './audit.ts'
import { type Answer, type Deed, may, permissionOn, type Standing, visibleTo } from './decide/may.ts'
import type { Grant, Level, Permission, Resource, ResourceType, User, Visible } from './user.ts'
import { userStore } from './user-store.ts'
import { existing } from './users-service.ts'

/** Other servers on the same database hear of a change within this time; this one at once. */
const freshMs = 5000
const usersKept = 10_000

/** What the routes of others' rooms need: whether the reader may see a thing, and which things. */
export type Reading = Pick<PermissionsService, 'insistOnReading' | 'visibleTo'>

/** What users may do with which things. Every change by a person is in the audit trail. */
export class PermissionsService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #defaultPermission: Level
  readonly #standings = new Map<number, { standing: Standing; readAt: number }>()

  constructor(parts: { db: Db; clock: Clock; defaultPermission: Level }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#defaultPermission = parts.defaultPermission
  }

  async may(actor: Actor, deed: Deed): Promise<Answer> {
    return may(actor, deed, await this.#standingFor(actor))
  }

  /** @throws AppError Forbidden */
  async insistOnReading(actor: Actor, on: Resource): Promise<void> {
    insist(await this.may(actor, { action: 'read', on }), 'Ask who may manage it, or an admin, for a permission.')
  }

  /** Which things of a type a search may show; undefined = all of them. */
  async visibleTo(actor: Actor, type: ResourceType): Promise<Visible | undefined> {
    const standing = await this.#standingFor(actor)
    return standing && visibleTo(type, standing)
  }

  /** The permission that counts for a user, from whatever grant or the default. */
  async effective(userName: string, resource: Resource): Promise<Permission> {
    const user = await existing(this.#db, userName)
    return permissionOn(resource, {
      grants: await userStore.grants(this.#db, user.id),
      defaultPermission: this.#defaultPermission,
    })
  }

  async grantsOf(userName: string): Promise<{ user: User; grants: Grant[] }> {
    const user = await existing(this.#db, userName)
    return { user, grants: await userStore.grants(this.#db, user.id) }
  }

  /** `new`: there must be none yet; `changed`: there must be one. The errors are the caller's to word: its API has words for them. */
  async grant(
    by: Actor,
    userName: string,
    grant: Grant,
    expected: 'new' | 'changed',
  ): Promise<User | 'exists' | 'missing'> {
    const outcome = await transact(
      this.#db,
      async (tx) => {
        const user = await existing(tx, userName)
        const known = (await userStore.grants(tx, user.id)).some(sameThing(grant))
        if (known && expected === 'new') return 'exists' as const
        if (!known && expected === 'changed') return 'missing' as const
        await userStore.setGrant(tx, user.id, grant)
        await appendAudit(tx, {
          at: this.#clock.now(),
          actor: by.name,
          action: 'permission.set',
          subject: `user ${userName}`,
          details: grant,
        })
        return user
      },
      { durable: true },
    )
    if (typeof outcome === 'object') this.forget(outcome.id)
    return outcome
  }

  /** False where there was none. */
  async revoke(by: Actor, userName: string, type: ResourceType, pattern: string): Promise<boolean> {
    const user = await transact(
      this.#db,
      async (tx) => {
        const known = await existing(tx, userName)
        if (!(await userStore.removeGrant(tx, known.id, type, pattern))) return undefined
        await appendAudit(tx, {
          at: this.#clock.now(),
          actor: by.name,
          action: 'permission.remove',
          subject: `user ${userName}`,
          details: { type, pattern },
        })
        return known
      },
      { durable: true },
    )
    if (user) this.forget(user.id)
    return user !== undefined
  }

  /** Who makes a thing may manage it. */
  async madeBy(actor: Actor, { type, id }: Resource): Promise<void> {
    const { userId } = actor
    if (userId === undefined) return
    await transact(this.#db, (tx) => userStore.setGrant(tx, userId, { type, pattern: id, permission: 'MANAGE' }))
    this.forget(userId)
  }

  async renamed(types: readonly ResourceType[], from: string, to: string): Promise<void> {
    if (from === to) return
    await transact(this.#db, (tx) => userStore.moveGrants(tx, types, from, to))
    this.#standings.clear()
  }

  async deleted(types: readonly ResourceType[], id: string): Promise<void> {
    await transact(this.#db, (tx) => userStore.removeGrantsOn(tx, types, id))
    this.#standings.clear()
  }

  /** All of a type whose ids begin so. */
  async deletedWithin(type: ResourceType, prefix: string): Promise<void> {
    await transact(this.#db, (tx) => userStore.removeGrantsWithin(tx, type, prefix))
    this.#standings.clear()
  }

  forget(userId: number): void {
    this.#standings.delete(userId)
  }

  /** Undefined for who needs none: all but members who are no admins. */
  async #standingFor(actor: Actor): Promise<Standing | undefined> {
    if (actor.kind !== 'member' || actor.admin === true || actor.userId === undefined) return undefined
    const known = this.#standings.get(actor.userId)
    if (known && this.#clock.now() - known.readAt < freshMs) return known.standing
    const readAt = this.#clock.now()
    const standing = {
      grants: await userStore.grants(this.#db, actor.userId),
      defaultPermission: this.#defaultPermission,
    }
    if (this.#standings.size >= usersKept) this.#standings.clear()
    this.#standings.set(actor.userId, { standing, readAt })
    return standing
  }
}

const sameThing =
  ({ type, pattern }: Grant) =>
  (other: Grant): boolean =>
    other.type === type && other.pattern === pattern

/** @throws AppError Forbidden with the reason. */
export function insist(answer: Answer, next: string): void {
  if (!answer.allowed) throw new AppError('Forbidden', `Permission denied: ${answer.reason}.`, next)
}
