import { createHash, randomBytes } from 'node:crypto'
import type { Db, Tx } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { RunId } from '../kernel/ids.ts'
import { type Actor, anonymous } from '../kernel/route.ts'
import type { Clock } from '../ports/clock.ts'
import { ownerTokenAt } from './owner-token.ts'

/** Tokens are kept as hashes; the owner's own lies in a file that only its user can read. */
export class AccessService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #ownerTokenPath: string
  /** Actors by token hash; a step's entry goes with its token. */
  readonly #known = new Map<string, Actor>()

  constructor(parts: { db: Db; clock: Clock; ownerTokenPath: string }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#ownerTokenPath = parts.ownerTokenPath
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

  /** `Bearer TOKEN`, or `Basic` with the token as password; no header = anonymous; an unknown token is refused, never ignored. */
  async authenticate(authorization: string | undefined): Promise<Actor> {
    if (!authorization) return anonymous
    const token = tokenIn(authorization)
    const actor = token === undefined ? undefined : await this.#actorOf(hashOf(token))
    if (actor) return actor
    throw new AppError(
      'Unauthenticated',
      'The token is not known here.',
      'Use the token in keys/owner.token under the data folder, or ask for a new one.',
    )
  }

  /** A token that stands for one run; written in the transaction that starts the step. */
  async issueStepToken(tx: Tx, runId: RunId): Promise<string> {
    const token = `mws_${randomBytes(24).toString('base64url')}`
    await tx
      .insertInto('tokens')
      .values({
        hash: hashOf(token),
        name: `step ${runId}`,
        kind: 'step',
        scope: runId,
        created_at: this.#clock.now(),
        expires_at: null,
      })
      .execute()
    return token
  }

  async withdrawStepTokens(tx: Tx, runId: RunId): Promise<void> {
    const rows = await tx
      .deleteFrom('tokens')
      .where('kind', '=', 'step')
      .where('scope', '=', runId)
      .returning('hash')
      .execute()
    for (const { hash } of rows) this.#known.delete(hash)
  }

  async #actorOf(hash: string): Promise<Actor | undefined> {
    const known = this.#known.get(hash)
    if (known) return known
    const row = await this.#db.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst()
    if (!row || (row.expires_at !== null && row.expires_at < this.#clock.now())) return undefined
    const actor: Actor = {
      kind: row.kind as Actor['kind'],
      name: row.name,
      ...(row.kind === 'step' ? { runId: row.scope ?? '' } : {}),
    }
    this.#known.set(hash, actor)
    return actor
  }
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

function tokenIn(authorization: string): string | undefined {
  const [scheme, value] = authorization.split(/\s+/, 2)
  if (!value) return undefined
  if (/^bearer$/i.test(scheme!)) return value
  if (!/^basic$/i.test(scheme!)) return undefined
  const pair = Buffer.from(value, 'base64').toString('utf8')
  return pair.slice(pair.indexOf(':') + 1)
}
