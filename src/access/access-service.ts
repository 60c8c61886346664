import { createHash, randomBytes } from 'node:crypto'
import { type Db, statement, type Tx } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { RunId } from '../kernel/ids.ts'
import { type Actor, anonymous } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { readAuthorization, type Shown } from './authorization.ts'
import { type Known, KnownCredentials, type Proof } from './known-credentials.ts'
import { ownerTokenAt } from './owner-token.ts'
import type { PasswordCost } from './password.ts'
import { PasswordChecks } from './password-checks.ts'
import { PermissionsService } from './permissions-service.ts'
import type { Level } from './user.ts'
import { type KnownUser, userStore } from './user-store.ts'
import { hashOf, UsersService } from './users-service.ts'

/** So long a checked header is believed without a look: other servers on the same database hear of a change that late. */
const freshMs = 5000

// At each start and end of a step: their texts are made once.
const insertStepToken = statement(
  "insert into tokens (hash, name, kind, scope, created_at) values (?, ?, 'step', ?, ?)",
)
const deleteStepTokens = statement<{ hash: string }>(
  "delete from tokens where kind = 'step' and scope = ? returning hash",
)

export type AccessParts = {
  db: Db
  clock: Clock
  ownerTokenPath: string
  /** What a user may do with a thing that no permission speaks of; READ where nothing is said, as in MLflow. */
  defaultPermission?: Level
  passwordCost?: PasswordCost
}

/** Who calls. Tokens are kept as hashes; the owner's own lies in a file that only its user can read. */
export class AccessService {
  readonly users: UsersService
  readonly permissions: PermissionsService
  readonly #db: Db
  readonly #clock: Clock
  readonly #ownerTokenPath: string
  readonly #known = new KnownCredentials()
  readonly #checking = new Map<string, Promise<Known | undefined>>()
  readonly #passwords: PasswordChecks

  constructor({ db, clock, ownerTokenPath, defaultPermission = 'READ', passwordCost }: AccessParts) {
    this.#db = db
    this.#clock = clock
    this.#ownerTokenPath = ownerTokenPath
    this.#passwords = new PasswordChecks(passwordCost)
    this.permissions = new PermissionsService({ db, clock, defaultPermission })
    const changed = (userId: number): void => {
      this.#known.forgetUser(userId)
      this.permissions.forget(userId)
    }
    this.users = new UsersService({ db, clock, changed, ...(passwordCost ? { passwordCost } : {}) })
  }

  /** At server start: the owner's token is made once, and again only when its file is gone. */
  async prepareOwnerToken(): Promise<void> {
    const token = ownerTokenAt(this.#ownerTokenPath)
    await this.#db
      .insertInto('tokens')
      .values({
        hash: hashOf(token),
        name: 'owner',
        kind: 'owner',
        scope: null,
        created_at: this.#clock.now(),
        expires_at: null,
      })
      .onConflict((c) => c.doNothing())
      .execute()
  }

  /**
   * `Bearer TOKEN`, or `Basic` with a user's password, or with a token as password; no header = anonymous; what is not known is
   * refused, never ignored.
   */
  async authenticate(authorization: string | undefined): Promise<Actor> {
    if (!authorization) return anonymous
    const header = createHash('sha256').update(authorization).digest('base64')
    const known = this.#known.get(header)
    if (known && this.#isFresh(known)) return known.actor
    const found = await this.#once(header, () => this.#check(header, known, authorization))
    if (found) return found.actor
    throw new AppError(
      'Unauthenticated',
      'You are not authenticated. The user and password, or the token, are not known here.',
      'Use your password, a token of yours, or the one in keys/owner.token under the data folder.',
    )
  }

  /** Whether it is the user's password; as slow for guessers as the door. */
  async isPassword(name: string, password: string): Promise<boolean> {
    const user = await userStore.byName(this.#db, name)
    return this.#passwords.matches(name, password, user?.passwordHash, this.#clock.now())
  }

  /** A token that stands for one run; written in the transaction that starts the step. */
  async issueStepToken(tx: Tx, runId: RunId): Promise<string> {
    const token = `mws_${randomBytes(24).toString('base64url')}`
    await insertStepToken(tx, [hashOf(token), `step ${runId}`, runId, this.#clock.now()])
    return token
  }

  async withdrawStepTokens(tx: Tx, runId: RunId): Promise<void> {
    const rows = await deleteStepTokens(tx, [runId])
    this.#known.forgetTokens(new Set(rows.map(({ hash }) => hash)))
  }

  #isFresh({ proof, checkedAt }: Known): boolean {
    const now = this.#clock.now()
    return now - checkedAt < freshMs && !('expiresAt' in proof && isOver(proof.expiresAt, now))
  }

  async #check(header: string, before: Known | undefined, authorization: string): Promise<Known | undefined> {
    const checkedAt = this.#clock.now()
    const shown = readAuthorization(authorization)
    const known = shown && ((await this.#still(before?.proof)) ?? (await this.#whoShows(shown)))
    if (known) this.#known.keep(header, { ...known, checkedAt })
    else this.#known.forget(header)
    return known && { ...known, checkedAt }
  }

  /** What was proved before and still holds, without the password's dear check. */
  async #still(proof: Proof | undefined): Promise<Omit<Known, 'checkedAt'> | undefined> {
    if (!proof || 'tokenHash' in proof) return undefined
    const user = await userStore.byId(this.#db, proof.userId)
    return user && user.passwordHash === proof.passwordHash ? { actor: actorOf(user), proof } : undefined
  }

  async #whoShows({ user: name, secret }: Shown): Promise<Omit<Known, 'checkedAt'> | undefined> {
    const now = this.#clock.now()
    const byToken = await this.#byToken(hashOf(secret), now)
    if (byToken || name === undefined || name === '') return byToken
    const user = await userStore.byName(this.#db, name)
    if (!(await this.#passwords.matches(name, secret, user?.passwordHash, now))) return undefined
    return { actor: actorOf(user!), proof: { userId: user!.id, passwordHash: user!.passwordHash! } }
  }

  async #byToken(tokenHash: string, now: EpochMs): Promise<Omit<Known, 'checkedAt'> | undefined> {
    const row = await this.#db.selectFrom('tokens').selectAll().where('hash', '=', tokenHash).executeTakeFirst()
    if (row && !isOver(row.expires_at ?? undefined, now)) {
      const run = row.kind === 'step' ? { runId: row.scope ?? '' } : {}
      return { actor: { kind: row.kind as Actor['kind'], name: row.name, ...run }, proof: proofOf(tokenHash, row) }
    }
    const token = await userStore.byToken(this.#db, tokenHash)
    if (!token || isOver(token.expiresAt, now)) return undefined
    return {
      actor: actorOf(token.user),
      proof: { tokenHash, ...(token.expiresAt ? { expiresAt: token.expiresAt } : {}) },
    }
  }

  /** Many requests with the same header at once are checked once. */
  #once(header: string, check: () => Promise<Known | undefined>): Promise<Known | undefined> {
    const running = this.#checking.get(header)
    if (running) return running
    const checking = check().finally(() => this.#checking.delete(header))
    this.#checking.set(header, checking)
    return checking
  }
}

const isOver = (expiresAt: EpochMs | undefined, now: EpochMs): boolean => expiresAt !== undefined && expiresAt <= now

const proofOf = (tokenHash: string, row: { expires_at: EpochMs | null }): Proof => ({
  tokenHash,
  ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
})

const actorOf = (user: KnownUser): Actor => ({
  kind: 'member',
  name: user.name,
  userId: user.id,
  ...(user.admin ? { admin: true } : {}),
})
