import type { Db, Tx } from '../db/index.ts'
import { digestOfJson } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'

export type AuditEntry = { at: EpochMs; actor: string; action: string; subject: string; details: unknown }

/** Each entry carries the digest of the one before, so that a changed or missing entry shows. Call it in the transaction of the deed. */
export async function appendAudit(tx: Tx, entry: AuditEntry): Promise<void> {
  const last = await tx.selectFrom('audit').select('digest').orderBy('id', 'desc').limit(1).executeTakeFirst()
  const previous = last?.digest ?? ''
  const details = JSON.stringify(entry.details)
  await tx
    .insertInto('audit')
    .values({
      at: entry.at,
      actor: entry.actor,
      action: entry.action,
      subject: entry.subject,
      details,
      previous,
      digest: digestOfJson({ ...entry, details, previous }),
    })
    .execute()
}

/** The id of the first entry that was changed or whose predecessor is missing; undefined where the chain is whole. */
export async function verifyAudit(db: Db): Promise<number | undefined> {
  let previous = ''
  for (let last = 0; ; ) {
    const page = await db.selectFrom('audit').selectAll().where('id', '>', last).orderBy('id').limit(1000).execute()
    for (const { id, digest, at, actor, action, subject, details, previous: claimed } of page) {
      const found = digestOfJson({ at, actor, action, subject, details, previous })
      if (claimed !== previous || found !== digest) return id
      previous = digest
      last = id
    }
    if (page.length === 0) return undefined
  }
}
