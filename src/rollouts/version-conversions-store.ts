import type { Db } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { ConversionProof, VersionConversion } from './version-conversion.ts'

/** `formDigest`: of the files of the ONNX form, as they were proved. */
export type KeptConversion = { converter: Digest; formDigest?: string; fact: VersionConversion }

/** One row per version: the last try to convert it. */
export class VersionConversionsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async find(digest: Digest): Promise<KeptConversion | undefined> {
    const row = await this.#db
      .selectFrom('version_conversions')
      .selectAll()
      .where('digest', '=', digest)
      .executeTakeFirst()
    if (!row) return undefined
    return {
      converter: row.converter as Digest,
      ...(row.form_digest === null ? {} : { formDigest: row.form_digest }),
      fact: toFact(row),
    }
  }

  async save(digest: Digest, { converter, formDigest, fact }: KeptConversion): Promise<void> {
    const row = {
      converter,
      outcome: fact.outcome,
      reason: fact.outcome === 'converted' ? null : fact.reason,
      proof: fact.outcome === 'converted' ? JSON.stringify(fact.proof) : null,
      form_digest: formDigest ?? null,
      at: fact.at,
    }
    await this.#db
      .insertInto('version_conversions')
      .values({ digest, ...row })
      .onConflict((conflict) => conflict.column('digest').doUpdateSet(row))
      .execute()
  }

  /** Of those versions that somebody tried to convert. */
  async factsOf(digests: readonly Digest[]): Promise<Map<Digest, VersionConversion>> {
    if (digests.length === 0) return new Map()
    const rows = await this.#db
      .selectFrom('version_conversions')
      .selectAll()
      .where('digest', 'in', [...digests])
      .execute()
    return new Map(rows.map((row) => [row.digest as Digest, toFact(row)]))
  }
}

function toFact(row: { outcome: string; reason: string | null; proof: string | null; at: number }): VersionConversion {
  if (row.proof !== null) return { outcome: 'converted', proof: JSON.parse(row.proof) as ConversionProof, at: row.at }
  return { outcome: row.outcome as 'refused' | 'failed', reason: row.reason ?? '', at: row.at }
}
