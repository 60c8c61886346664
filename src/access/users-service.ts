import { createHash, randomBytes } from 'node:crypto'
import { type Db, type Tx, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { Actor } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { appendAudit } from './audit.ts'
import { checkPassword, hashPassword, type PasswordCost } from './password.ts'
import type { User, UserToken } from './user.ts'
import { userStore } from './user-store.ts'

/** Users and their tokens. Every change is in the audit trail, by whom and of whom; no secret is. */
export class UsersService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #cost: PasswordCost | undefined
  readonly #changed: (userId: number) => void

  /** `changed` hears of each user whose rights or proofs are others from now on. */
  constructor(parts: { db: Db; clock: Clock; changed: (userId: number) => void; passwordCost?: PasswordCost }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#changed = parts.changed
    this.#cost = parts.passwordCost
  }

  async create(by: Actor, user: { name: string; password?: string; admin?: boolean }): Promise<User> {
    checkUserName(user.name)
    if (user.password !== undefined) checkPassword(user.password)
    const passwordHash = user.password === undefined ? undefined : await hashPassword(user.password, this.#cost)
    const admin = user.admin ?? false
    return this.#audited(by, 'user.create', user.name, { admin }, async (tx) => {
      const created = await userStore.create(tx, { name: user.name, passwordHash, admin, now: this.#clock.now() })
      if (!created)
        throw new AppError('AlreadyExists', `User (username=${user.name}) already exists.`, 'Choose another name.')
      return created
    })
  }

  list(page: { after?: string; limit: number }): Promise<User[]> {
    return userStore.list(this.#db, page)
  }

  async named(name: string): Promise<User> {
    const { passwordHash: _, ...user } = await existing(this.#db, name)
    return user
  }

  async setPassword(by: Actor, name: string, password: string): Promise<void> {
    checkPassword(password)
    const passwordHash = await hashPassword(password, this.#cost)
    await this.#change(by, 'user.password', name, {}, (tx, user) => userStore.set(tx, user.id, { passwordHash }))
  }

  async setAdmin(by: Actor, name: string, admin: boolean): Promise<void> {
    await this.#change(by, 'user.admin', name, { admin }, (tx, user) => userStore.set(tx, user.id, { admin }))
  }

  /** With all tokens and permissions. */
  async remove(by: Actor, name: string): Promise<void> {
    await this.#change(by, 'user.remove', name, {}, (tx, user) => userStore.remove(tx, user.id))
  }

  /** The secret, told this once. */
  async issueToken(by: Actor, name: string, token: { name: string; expiresAt?: EpochMs }): Promise<string> {
    if (token.name === '' || token.name.length > 200 || hasControl(token.name))
      throw new AppError('BadRequest', `"${token.name}" is no name for a token.`, 'Name it after where it is used.')
    const secret = `mwu_${randomBytes(24).toString('base64url')}`
    const entry = { ...token, createdAt: this.#clock.now() }
    await this.#change(by, 'token.issue', name, token, async (tx, user) => {
      if (await userStore.addToken(tx, user.id, hashOf(secret), entry)) return
      throw new AppError(
        'AlreadyExists',
        `${name} has a token called "${token.name}" already.`,
        'Name the new one otherwise, or revoke that one first.',
      )
    })
    return secret
  }

  async tokens(name: string): Promise<UserToken[]> {
    return userStore.tokens(this.#db, (await existing(this.#db, name)).id)
  }

  async revokeToken(by: Actor, name: string, tokenName: string): Promise<void> {
    await this.#change(by, 'token.revoke', name, { name: tokenName }, async (tx, user) => {
      if (await userStore.removeToken(tx, user.id, tokenName)) return
      throw new AppError('NotFound', `${name} has no token called "${tokenName}".`, 'List them to see their names.')
    })
  }

  async #change(
    by: Actor,
    action: string,
    name: string,
    details: unknown,
    work: (tx: Tx, user: User) => Promise<void>,
  ): Promise<void> {
    const userId = await this.#audited(by, action, name, details, async (tx) => {
      const user = await existing(tx, name)
      await work(tx, user)
      return user.id
    })
    this.#changed(userId)
  }

  #audited<T>(by: Actor, action: string, name: string, details: unknown, work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(
      this.#db,
      async (tx) => {
        const result = await work(tx)
        const at = this.#clock.now()
        await appendAudit(tx, { at, actor: by.name, action, subject: `user ${name}`, details })
        return result
      },
      { durable: true },
    )
  }
}

/** @throws AppError NotFound, in MLflow's words. */
export async function existing(db: Db, name: string) {
  const user = await userStore.byName(db, name)
  if (user) return user
  throw new AppError('NotFound', `User with username=${name} not found`, '`modelwright users list` shows who there is.')
}

export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

/** A colon would end the name in an Authorization header. @throws AppError BadRequest */
function checkUserName(name: string): void {
  if (name === '') throw new AppError('BadRequest', 'Username cannot be empty.', 'Give the user a name.')
  if (name.length <= 200 && !name.includes(':') && name.trim() === name && !hasControl(name) && name.isWellFormed())
    return
  throw new AppError(
    'BadRequest',
    `${JSON.stringify(name.slice(0, 250))} cannot be the name of a user.`,
    'Use up to 200 characters without ":" and without spaces around them.',
  )
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const hasControl = (text: string): boolean => /[\u0000-\u001f\u007f]/.test(text)
