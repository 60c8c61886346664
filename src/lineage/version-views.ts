import type { Db } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { conversionText, VersionConversionsStore } from '../rollouts/index.ts'

/** Questions over judged versions that no slice answers alone; reads only. */
export class VersionViews {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  judged(digest: string) {
    return this.#db.selectFrom('judged_versions').selectAll().where('digest', '=', digest).executeTakeFirst()
  }

  /** By the beginning of the digest's hex digits and the number, as a prediction id carries them. */
  async byPrefix(prefix: string, version: number): Promise<{ digest: Digest; project: string; model: string }[]> {
    const rows = await this.#db
      .selectFrom('judged_versions')
      .select(['digest', 'project', 'model'])
      .where('digest', '>=', `sha256:${prefix}`)
      // `g` sorts after every hex digit.
      .where('digest', '<', `sha256:${prefix}g`)
      .where('version', '=', version)
      .limit(10)
      .execute()
    return rows.map((row) => ({ ...row, digest: row.digest as Digest }))
  }

  /** Newest first; `before` is a digest of an earlier page. */
  async ofProject(project: string, page: { model?: string; before?: string; limit: number }) {
    let query = this.#db
      .selectFrom('judged_versions')
      .selectAll()
      .where('project', '=', project)
      .orderBy('created_at', 'desc')
      .orderBy('digest', 'desc')
      .limit(page.limit)
    if (page.model) query = query.where('model', '=', page.model)
    const last = page.before ? await this.judged(page.before) : undefined
    if (last)
      query = query.where((e) =>
        e.or([
          e('created_at', '<', last.created_at),
          e.and([e('created_at', '=', last.created_at), e('digest', '<', last.digest)]),
        ]),
      )
    return query.execute()
  }

  /** What came of computing them as ONNX, of those for which it was tried. */
  async conversions(digests: readonly Digest[]) {
    const facts = await new VersionConversionsStore(this.#db).factsOf(digests)
    return new Map([...facts].map(([digest, fact]) => [digest, { ...fact, text: conversionText(fact) }]))
  }

  bars(project: string) {
    return this.#db
      .selectFrom('promotion_bars')
      .select(['environment', 'digest', 'reason'])
      .where('project', '=', project)
      .where('lifted_at', 'is', null)
      .execute()
  }
}
