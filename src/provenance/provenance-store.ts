import { appendAudit, type SecretBox } from '../access/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'

/** `model`: OpenSSF's statement on the files; `making`: in-toto's on how they came about. */
export const signatureKinds = ['model', 'making'] as const
export type SignatureKind = (typeof signatureKinds)[number]

export type SigningKey = { id: string; publicKey: string; privateKey: string }
export type Signature = { kind: SignatureKind; keyId: string; bundle: object; signedAt: EpochMs }

const purpose = 'signing key'

/** Tables signing_keys and signatures. */
export class ProvenanceStore {
  readonly #db: Db
  readonly #secrets: Pick<SecretBox, 'seal' | 'open'>

  constructor(db: Db, secrets: Pick<SecretBox, 'seal' | 'open'>) {
    this.#db = db
    this.#secrets = secrets
  }

  /** The first key is the one that signs: of several servers that make it at once, all end with the same. */
  async key(): Promise<SigningKey | undefined> {
    const row = await this.#db
      .selectFrom('signing_keys')
      .selectAll()
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst()
    return (
      row && {
        id: row.id,
        publicKey: row.public_key,
        privateKey: this.#secrets.open(row.private_key, `${purpose} ${row.id}`),
      }
    )
  }

  async addFirstKey(key: SigningKey, at: EpochMs): Promise<void> {
    const sealed = this.#secrets.seal(key.privateKey, `${purpose} ${key.id}`)
    await transact(
      this.#db,
      async (tx) => {
        if (await tx.selectFrom('signing_keys').select('id').limit(1).executeTakeFirst()) return
        await tx
          .insertInto('signing_keys')
          .values({ id: key.id, public_key: key.publicKey, private_key: sealed, created_at: at })
          .execute()
        await appendAudit(tx, { at, actor: 'modelwright', action: 'provenance.key', subject: key.id, details: {} })
      },
      { durable: true },
    )
  }

  async signature(digest: Digest, kind: SignatureKind): Promise<Signature | undefined> {
    const row = await this.#db
      .selectFrom('signatures')
      .selectAll()
      .where('digest', '=', digest)
      .where('kind', '=', kind)
      .executeTakeFirst()
    return row && { kind, keyId: row.key_id, bundle: JSON.parse(row.bundle) as object, signedAt: row.signed_at }
  }

  /** The first stays. */
  async addSignature(digest: Digest, signature: Signature): Promise<void> {
    const { kind, keyId, bundle, signedAt: at } = signature
    await transact(this.#db, async (tx) => {
      const added = await tx
        .insertInto('signatures')
        .values({ digest, kind, key_id: keyId, bundle: JSON.stringify(bundle), signed_at: at })
        .onConflict((c) => c.columns(['digest', 'kind']).doNothing())
        .executeTakeFirst()
      if (added.numInsertedOrUpdatedRows === 0n) return
      const details = { kind, key: keyId }
      await appendAudit(tx, { at, actor: 'modelwright', action: 'provenance.sign', subject: digest, details })
    })
  }
}
